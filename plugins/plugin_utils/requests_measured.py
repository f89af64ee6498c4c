# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What one request costs on the target, as service times: from the benchmark, from a user's own clips, or from a mix.

Whisper hears audio in windows of 30 s and pads the last one, so the cost of a request goes up in steps of a window. A
length that was not measured is taken from the measured length nearest in windows, times windows over windows.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.rightsize.whisper.plugins.plugin_utils.load import Load, MixPart, SizingError
from ansible_collections.rightsize.whisper.plugins.plugin_utils.load_percentiles import REQUESTS_NEEDED
from ansible_collections.rightsize.whisper.plugins.plugin_utils.service_times import QueueingError, ServiceTimes
from ansible_collections.rightsize.whisper.plugins.plugin_utils.statistics import Caveat, Sample, StatisticsError

WINDOW_SECONDS = 30.0


@dataclass(frozen=True)
class Clip:
    """A measured clip: its length, and what it took each time, in seconds."""

    name: str
    audio_seconds: float
    seconds: tuple[float, ...]
    tokens: int
    windows: int
    fallbacks: int

    @property
    def padded_windows(self) -> int:
        return windows_of(self.audio_seconds)

    @classmethod
    def of_result(cls, result: Mapping[str, Any]) -> Clip:
        try:
            audio, transcript = result["audio"], result["transcript"]
            return cls(
                # Into a container audio goes through standard input, which has no name.
                name=result["labels"].get("clip") or audio["name"],
                audio_seconds=audio["seconds"],
                seconds=tuple(wall_ms / 1000 for wall_ms in Sample.of_result(result).iterations),
                tokens=transcript["tokens"],
                windows=transcript["windows"],
                fallbacks=transcript["fallbacks"],
            )
        except (KeyError, TypeError, StatisticsError) as error:
            raise SizingError(f"this is no result of bench_runner ({error!r}); check it against its schema") from error


@dataclass(frozen=True)
class ClipFigures:
    """A clip as the report lists it; times in seconds."""

    name: str
    audio_seconds: float
    iterations: int
    mean_seconds: float
    longest_seconds: float
    real_time_factor: float
    tokens: int
    windows: int
    fallbacks: int


@dataclass(frozen=True)
class Requests:
    """Service times of the requests to come, as measured; `work_factor` is their mean over that of the benchmark."""

    times: ServiceTimes
    audio_seconds: float
    samples: int
    work_factor: float
    clips: tuple[ClipFigures, ...]
    warnings: tuple[Caveat, ...]


def requests_measured(target: Mapping[str, Any], clips: Sequence[Mapping[str, Any]], load: Load) -> Requests:
    """What a request is: a part of the load's mix, else one of the user's clips, else the clip of the benchmark."""
    benchmark = Clip.of_result(target)
    own = [Clip.of_result(clip) for clip in clips]
    measured = own or [benchmark]
    warnings: list[Caveat] = []
    try:
        if load.mix:
            parts = [(part.share, _seconds_for(part, measured, warnings)) for part in load.mix]
            audio_seconds = math.fsum(part.share * part.audio_seconds for part in load.mix)
        else:
            parts = [(1 / len(measured), clip.seconds) for clip in measured]
            audio_seconds = statistics.fmean(clip.audio_seconds for clip in measured)
        times = ServiceTimes.mix(parts)
    except QueueingError as error:
        raise SizingError(str(error)) from error
    samples = sum(len(clip.seconds) for clip in measured)
    warnings += _few_samples(samples, load)
    return Requests(
        times=times,
        audio_seconds=audio_seconds,
        samples=samples,
        # Exactly 1 where it is the benchmark's clip, whatever sums in another order round to.
        work_factor=times.mean_seconds / statistics.fmean(benchmark.seconds) if own or load.mix else 1.0,
        clips=tuple(map(_figures, own)),
        warnings=tuple(warnings),
    )


def windows_of(audio_seconds: float) -> int:
    """Windows of 30 s, the last one padded."""
    return max(1, math.ceil(audio_seconds / WINDOW_SECONDS))


def _seconds_for(part: MixPart, measured: Iterable[Clip], warnings: list[Caveat]) -> tuple[float, ...]:
    """Measured times of clips with as many windows; for want of them, of the nearest, stretched."""
    windows = windows_of(part.audio_seconds)
    nearest = min((clip.padded_windows for clip in measured), key=lambda count: (abs(count - windows), count))
    alike = [seconds for clip in measured if clip.padded_windows == nearest for seconds in clip.seconds]
    if nearest != windows:
        warnings.append(
            Caveat(
                code="mix_extrapolated",
                message=f"no clip of {part.audio_seconds:g} s ({windows} windows of 30 s) was measured: the times of "
                f"{nearest} windows were multiplied by {windows / nearest:.3g}; measure such clips (benchmark_audio)",
            )
        )
    return tuple(seconds * windows / nearest for seconds in alike)


def _few_samples(samples: int, load: Load) -> Iterable[Caveat]:
    if load.objective is None:
        return
    needed = next(
        (count for share, count in REQUESTS_NEEDED.items() if load.objective.percentile <= share),
        max(REQUESTS_NEEDED.values()),
    )
    if samples < needed:
        yield Caveat(
            code="few_samples",
            message=f"{samples} measured times say little of the slowest requests: {load.objective} is judged as if none "
            f"were slower than the slowest of them; measure {needed} iterations",
        )


def _figures(clip: Clip) -> ClipFigures:
    mean_seconds = statistics.fmean(clip.seconds)
    return ClipFigures(
        name=clip.name,
        audio_seconds=clip.audio_seconds,
        iterations=len(clip.seconds),
        mean_seconds=mean_seconds,
        longest_seconds=max(clip.seconds),
        real_time_factor=mean_seconds / clip.audio_seconds,
        tokens=clip.tokens,
        windows=clip.windows,
        fallbacks=clip.fallbacks,
    )
