# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a service is sized for: requests, how they arrive, and within which time they are to be answered."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast, get_args

from ansible_collections.rightsize.whisper.plugins.plugin_utils.queueing import (
    DEFAULT_UTILISATION_CEILING,
    LEAST_ARRIVAL_SCV,
    MOST_ARRIVAL_SCV,
    Dispatch,
    LatencyObjective,
)
from ansible_collections.rightsize.whisper.plugins.plugin_utils.service_times import MIX_TOLERANCE

DEFAULT_PERCENTILE = 0.95
# One queue is computed worker by worker; nobody runs so many, and a slip of the keyboard must not take minutes.
MOST_POOLED_RPS = 100_000.0
DISPATCHES: tuple[str, ...] = get_args(Dispatch)
POOLED_RATE = f"at most {MOST_POOLED_RPS:g} requests per second for pooled dispatch, which is computed worker by worker"
ARRIVAL_SCV = f"a number from {LEAST_ARRIVAL_SCV:g} to {MOST_ARRIVAL_SCV:g}; 1 is Poisson"
A_PART = "{audio_seconds: 30, share: 0.6}"
# What `Load.of` takes beside the rate.
OPTIONS = frozenset(
    {
        "base_rps",
        "latency_percentile",
        "latency_seconds",
        "arrival_scv",
        "dispatch",
        "derate",
        "price_per_cpu_hour",
        "mix",
    }
)


class SizingError(ValueError):
    """What nothing can be sized for, or by; the message is one line for the user."""


@dataclass(frozen=True)
class MixPart:
    """This share of the requests has audio of so many seconds."""

    audio_seconds: float
    share: float


@dataclass(frozen=True)
class Load:
    """What to size for.

    `target_rps` is the busiest period's rate and `base_rps` that of the quiet hours, in requests per second;
    `utilisation_ceiling` the share of its time that a worker may be busy; `arrival_scv` the squared coefficient of
    variation of the time between arrivals (1: Poisson); `derate` how many times as long a request takes beside busy
    neighbours on its node; `price_per_cpu_hour` in whatever currency; `mix` the lengths of audio, where they are not
    that of the measured clip.
    """

    target_rps: float
    utilisation_ceiling: float = DEFAULT_UTILISATION_CEILING
    base_rps: float | None = None
    objective: LatencyObjective | None = None
    arrival_scv: float = 1.0
    dispatch: Dispatch = "random"
    derate: float = 1.0
    price_per_cpu_hour: float | None = None
    mix: tuple[MixPart, ...] = ()

    def __post_init__(self) -> None:
        _require("target_rps", self.target_rps, _positive(self.target_rps), "a number of requests per second above 0")
        ceiling = self.utilisation_ceiling
        _require("utilisation_ceiling", ceiling, 0 < ceiling <= 1, "a share above 0 and at most 1, such as 0.7")
        if self.dispatch not in DISPATCHES:
            raise SizingError(f"dispatch is {ascii(self.dispatch)[:60]}: name {' or '.join(DISPATCHES)}")
        if self.dispatch == "pooled":
            _require("target_rps", self.target_rps, self.target_rps <= MOST_POOLED_RPS, POOLED_RATE)
        if self.base_rps is not None:
            fits = 0 < self.base_rps <= self.target_rps
            _require(
                "base_rps", self.base_rps, fits, f"a rate above 0 and at most that of target_rps, {self.target_rps:g}"
            )
        scv = self.arrival_scv
        _require("arrival_scv", scv, LEAST_ARRIVAL_SCV <= scv <= MOST_ARRIVAL_SCV, ARRIVAL_SCV)
        fits = math.isfinite(self.derate) and self.derate >= 1
        _require("derate", self.derate, fits, "a number of at least 1, such as 1.2 for a fifth slower")
        if self.price_per_cpu_hour is not None:
            _require(
                "price_per_cpu_hour", self.price_per_cpu_hour, _positive(self.price_per_cpu_hour), "a number above 0"
            )
        _check_mix(self.mix)

    @classmethod
    def of(cls, target_rps: object, utilisation_ceiling: object = DEFAULT_UTILISATION_CEILING, **typed: object) -> Load:
        """The load from what a user typed: `-e benchmark_target_rps=5` is a text, and an empty one is nothing.

        Every message of a SizingError begins with the name of the option.
        """
        unknown = sorted(set(typed) - OPTIONS)
        if unknown:
            raise SizingError(f"{unknown[0]} is no option of a load: it has {', '.join(sorted(OPTIONS))}")
        given = {name: value for name, value in typed.items() if value is not None and value != "" and value != []}
        numbers = {
            name: _number(name, given[name])
            for name in ("base_rps", "arrival_scv", "derate", "price_per_cpu_hour")
            if name in given
        }
        return cls(
            target_rps=_number("target_rps", target_rps),
            utilisation_ceiling=_number("utilisation_ceiling", utilisation_ceiling),
            objective=_objective(given),
            dispatch=cast(Dispatch, given.get("dispatch", "random")),
            mix=_mix(given.get("mix", [])),
            **numbers,
        )


def _objective(given: Mapping[str, object]) -> LatencyObjective | None:
    percentile = _number("latency_percentile", given.get("latency_percentile", DEFAULT_PERCENTILE))
    _require("latency_percentile", percentile, 0 < percentile < 1, "a share between 0 and 1, such as 0.95 for 95 %")
    if "latency_seconds" not in given:
        return None
    seconds = _number("latency_seconds", given["latency_seconds"])
    _require("latency_seconds", seconds, _positive(seconds), "a number of seconds above 0")
    return LatencyObjective(percentile, seconds)


def _mix(typed: object) -> tuple[MixPart, ...]:
    if not isinstance(typed, list | tuple):
        raise SizingError(f"mix is {ascii(typed)[:60]}: name a list of parts such as {A_PART}")
    for part in typed:
        if not isinstance(part, Mapping) or set(part) != {"audio_seconds", "share"}:
            raise SizingError(f"mix has the part {ascii(part)[:60]}: a part is {A_PART}, with just these two keys")
    return tuple(
        MixPart(
            _number("audio_seconds of the mix", part["audio_seconds"]), _number("a share of the mix", part["share"])
        )
        for part in typed
    )


def _check_mix(mix: tuple[MixPart, ...]) -> None:
    for part in mix:
        for name, value in (("audio_seconds", part.audio_seconds), ("share", part.share)):
            if not _positive(value):
                raise SizingError(f"mix has {name} {value}: name a number above 0")
    total = math.fsum(part.share for part in mix)
    if mix and abs(total - 1) > MIX_TOLERANCE:
        raise SizingError(f"mix has shares that sum to {total:.6g}: they must sum to 1")


def _positive(value: float) -> bool:
    return math.isfinite(value) and value > 0


def _require(name: str, value: object, holds: bool, wanted: str) -> None:
    if not holds:
        raise SizingError(f"{name} is {value}: name {wanted}")


def _number(name: str, value: object) -> float:
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            return float(value)
        except (ValueError, OverflowError):
            pass
    raise SizingError(f"{name} is {ascii(value)[:60]}: name a number")
