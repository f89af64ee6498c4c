# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How many CPUs a service needs on the target: the linear figure, and the one to order.

Linear is arithmetic: rate times latency is the load in CPUs (Little's law), and a service that has no more CPUs than load
is busy all the time, so its queue grows without bound. The recommendation leaves room: the upper end of the ratio's
interval, a ceiling on utilisation, and whole CPUs, since a Pod of QoS class Guaranteed gets a CPU of its own only in
whole numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.rightsize.whisper.plugins.plugin_utils.normalization import Normalization
from ansible_collections.rightsize.whisper.plugins.plugin_utils.statistics import Caveat

UTILISATION_CEILING = 0.7
# Beside the measured peak: what the benchmark does not do, such as receiving requests (KRR's default too).
MEMORY_HEADROOM = 0.15
MEMORY_STEP_BYTES = 64 * 1024**2
# A load of 7.0000000001 CPUs comes from rounding, not from work.
ROUNDING = 1e-9


class SizingError(ValueError):
    """A figure that nothing can be sized by; the message is one line for the user."""


@dataclass(frozen=True)
class Sizing:
    """CPUs, workers and memory for a rate. A worker is one Pod of one CPU that serves one request at a time."""

    target_rps: float
    reference_latency_seconds: float
    target_latency_seconds: float
    ratio: float
    ratio_upper: float
    linear_reference_cpus: float
    linear_target_cpus: float
    utilisation_ceiling: float
    offered_load_cpus: float
    workers: int
    cpus_per_worker: int
    total_cpus: int
    utilisation: float
    memory_per_worker_bytes: int | None
    reasons: tuple[str, ...]
    warnings: tuple[Caveat, ...]


def size_cpus(
    normalization: Normalization,
    target_rps: float,
    memory_peak_bytes: int | None = None,
    utilisation_ceiling: float = UTILISATION_CEILING,
) -> Sizing:
    """Size for `target_rps` requests per second of the audio that was measured; raises SizingError."""
    _check(target_rps, utilisation_ceiling)
    reference_seconds = normalization.reference.latency_ms.centre / 1000
    target_seconds = normalization.target.latency_ms.centre / 1000
    ratio = normalization.ratio.centre
    upper = normalization.ratio.high or ratio
    linear_reference = target_rps * reference_seconds
    linear_target = linear_reference * ratio
    if not math.isclose(linear_target, target_rps * target_seconds, rel_tol=1e-6):
        raise SizingError("the ratio is not that of the two latencies; normalize the two results again")
    offered = linear_reference * upper
    workers = round_up(offered / utilisation_ceiling)
    return Sizing(
        target_rps=target_rps,
        reference_latency_seconds=reference_seconds,
        target_latency_seconds=target_seconds,
        ratio=ratio,
        ratio_upper=upper,
        linear_reference_cpus=linear_reference,
        linear_target_cpus=linear_target,
        utilisation_ceiling=utilisation_ceiling,
        offered_load_cpus=offered,
        workers=workers,
        cpus_per_worker=1,
        total_cpus=workers,
        utilisation=linear_target / workers,
        memory_per_worker_bytes=memory_request_bytes(memory_peak_bytes),
        reasons=tuple(_reasons(ratio, upper, offered, utilisation_ceiling, workers)),
        warnings=tuple(_warnings(normalization, memory_peak_bytes)),
    )


def memory_request_bytes(peak_bytes: int | None) -> int | None:
    """The measured peak with headroom, in whole steps of 64 MiB."""
    if peak_bytes is None:
        return None
    return round_up(peak_bytes * (1 + MEMORY_HEADROOM) / MEMORY_STEP_BYTES) * MEMORY_STEP_BYTES


def round_up(value: float) -> int:
    """The next whole number, at least 1; one within rounding of a whole number is that number."""
    return max(1, math.ceil(value * (1 - ROUNDING)))


def peak_memory_bytes(result: Mapping[str, Any]) -> int | None:
    """The peak that a result has measured."""
    peak = result["memory"]["peak_bytes"]
    return int(peak) if peak is not None else None


def _check(target_rps: float, utilisation_ceiling: float) -> None:
    if not (math.isfinite(target_rps) and target_rps > 0):
        raise SizingError(f"a rate of {target_rps:g} requests per second cannot be sized for; give one above 0")
    if not 0 < utilisation_ceiling <= 1:
        raise SizingError(
            f"a utilisation ceiling of {utilisation_ceiling:g} is not above 0 and at most 1; 0.7 leaves room"
        )


def _reasons(ratio: float, upper: float, offered: float, ceiling: float, workers: int) -> Iterator[str]:
    """Why the recommendation is not the linear figure, in the order in which it grows."""
    if upper > ratio:
        yield f"the ratio may be as high as {upper:.3f} (upper end of its interval), which makes the load {offered:.2f} CPUs"
    if ceiling < 1:
        yield f"workers are kept at most {ceiling:.0%} busy, which takes {offered / ceiling:.2f} CPUs"
    if workers > offered / ceiling:
        yield f"a worker is a whole CPU, which makes {workers}"


def _warnings(normalization: Normalization, memory_peak_bytes: int | None) -> Iterator[Caveat]:
    if normalization.tainted:
        yield Caveat(
            code="tainted", message="the ratio is tainted (see the warnings): do not order hardware by this sizing"
        )
    if normalization.ratio.high is None:
        yield Caveat(
            code="no_interval",
            message="the ratio has no interval, so this sizing rests on its point estimate; measure with 3 processes or more",
        )
    if memory_peak_bytes is None:
        yield Caveat(code="no_memory", message="the memory peak was not measured: set the memory request yourself")
