# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How many CPUs a service needs on a target, for a rate of requests like the one that was measured.

Linear is the multiplication: rate × mean latency of the reference = reference cores, × ratio = target cores. It is the
load (Little's law), and a service with as many CPUs as load is always busy, so its queue never empties. The recommended
figure leaves room, step by step, and `Sizing.steps` says what each step adds:

- the ratio is taken at the upper end of its interval,
- a worker is busy at most a given share of its time,
- a worker is a Pod of one whole CPU, as QoS class Guaranteed with a CPU of its own requires.

It promises that the load is carried, and no latency: for percentiles see `queueing`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ansible_collections.rightsize.whisper.plugins.plugin_utils.normalization import Normalization
from ansible_collections.rightsize.whisper.plugins.plugin_utils.queueing import (
    DEFAULT_UTILISATION_CEILING,
    fewest_workers,
)
from ansible_collections.rightsize.whisper.plugins.plugin_utils.service_times import ROUNDING
from ansible_collections.rightsize.whisper.plugins.plugin_utils.statistics import Caveat

CPUS_PER_WORKER = 1
# Beside the measured peak: what the benchmark does not do, such as receiving requests. (The default of KRR, too.)
MEMORY_HEADROOM = 0.15
# Peaks of two runs differ by some MiB; a coarse step keeps the order the same.
MEMORY_STEP_MIB = 64
MEBIBYTE = 1024**2

Rule = Literal["linear", "interval", "utilisation_ceiling", "whole_cpus"]


class SizingError(ValueError):
    """What nothing can be sized for, or by; the message is one line for the user."""


@dataclass(frozen=True)
class Load:
    """What to size for: requests per second, and the share of its time that a worker may be busy."""

    target_rps: float
    utilisation_ceiling: float = DEFAULT_UTILISATION_CEILING

    def __post_init__(self) -> None:
        if not (math.isfinite(self.target_rps) and self.target_rps > 0):
            raise SizingError(f"the target rate must be a number of requests per second above 0, not {self.target_rps}")
        if not 0 < self.utilisation_ceiling <= 1:
            raise SizingError(
                f"the utilisation ceiling must lie above 0 and be at most 1, not {self.utilisation_ceiling}; "
                "0.7 leaves room"
            )

    @classmethod
    def of(cls, target_rps: object, utilisation_ceiling: object = DEFAULT_UTILISATION_CEILING) -> Load:
        """The load from what a user typed: `-e benchmark_target_rps=5` is a text."""
        return cls(_number("the target rate", target_rps), _number("the utilisation ceiling", utilisation_ceiling))


@dataclass(frozen=True)
class Linear:
    """The multiplication, and the same figure on the other way: they must agree, or the ratio is not that of the means."""

    reference_cores: float
    target_cores: float
    target_cores_from_latency: float


@dataclass(frozen=True)
class Recommended:
    """What to order. A worker is a replica of one CPU that serves one request at a time."""

    ratio: float
    ratio_is_upper_end: bool
    offered_load_cores: float
    workers: int
    cpus_per_worker: int
    total_cpus: int
    utilisation: float
    memory_per_worker_mib: int | None
    total_memory_gib: float | None


@dataclass(frozen=True)
class Step:
    """One step from the linear figure to the recommended one: the cores after it, and how many it adds."""

    rule: Rule
    cores: float
    added_cores: float


@dataclass(frozen=True)
class Sizing:
    """CPUs, workers and memory for a rate, linear and recommended, and every warning of the ratio with its own."""

    load: Load
    audio_seconds: float
    reference_latency_seconds: float
    target_latency_seconds: float
    linear: Linear
    recommended: Recommended
    steps: tuple[Step, ...]
    warnings: tuple[Caveat, ...]


def size_cpus(normalization: Normalization, target: Mapping[str, Any], load: Load) -> Sizing:
    """Size the target, whose result this is, for a load."""
    try:
        _check_one_cpu(target)
        peak_bytes, audio_seconds = target["memory"]["peak_bytes"], target["audio"]["seconds"]
    except (KeyError, TypeError) as error:
        raise SizingError(f"this is no result of bench_runner ({error!r}); check it against its schema") from error
    linear = _linear(normalization, load.target_rps)
    recommended = _recommended(normalization, linear.reference_cores, load, memory_mib(peak_bytes))
    return Sizing(
        load=load,
        audio_seconds=audio_seconds,
        reference_latency_seconds=normalization.reference.latency_ms.centre / 1000,
        target_latency_seconds=normalization.target.latency_ms.centre / 1000,
        linear=linear,
        recommended=recommended,
        steps=tuple(_steps(linear, recommended, load)),
        warnings=(*_warnings(normalization, recommended), *normalization.warnings),
    )


def memory_mib(peak_bytes: int | None) -> int | None:
    """Request and limit of a worker: the measured peak and its headroom, in whole steps."""
    if peak_bytes is None:
        return None
    return _round_up(peak_bytes * (1 + MEMORY_HEADROOM) / (MEMORY_STEP_MIB * MEBIBYTE)) * MEMORY_STEP_MIB


def _check_one_cpu(target: Mapping[str, Any]) -> None:
    """Without a limit the ratio is tainted, and is sized with that warning; another limit is another kind of worker."""
    limit = target["cpu_limit"]
    if limit is not None and not math.isclose(limit, CPUS_PER_WORKER, rel_tol=1e-6):
        raise SizingError(
            f"workers of one CPU cannot be sized by a run that had {limit:g} CPUs; measure with a CPU limit of 1"
        )


def _linear(normalization: Normalization, target_rps: float) -> Linear:
    reference_cores = target_rps * normalization.reference.latency_ms.centre / 1000
    linear = Linear(
        reference_cores=reference_cores,
        target_cores=reference_cores * normalization.ratio.centre,
        target_cores_from_latency=target_rps * normalization.target.latency_ms.centre / 1000,
    )
    if not math.isfinite(linear.target_cores):
        raise SizingError(f"a rate of {target_rps:g} requests per second is more than can be computed with")
    if not math.isclose(linear.target_cores, linear.target_cores_from_latency, rel_tol=ROUNDING):
        raise SizingError(
            f"reference cores × ratio is {linear.target_cores:.6g}, but rate × latency of the target is "
            f"{linear.target_cores_from_latency:.6g}: the ratio is not that of these two latencies; compute it again"
        )
    return linear


def _recommended(
    normalization: Normalization, reference_cores: float, load: Load, memory_per_worker_mib: int | None
) -> Recommended:
    upper_end = normalization.ratio.high
    ratio = normalization.ratio.centre if upper_end is None else upper_end
    offered_load_cores = reference_cores * ratio
    workers = max(_round_up(offered_load_cores / load.utilisation_ceiling), fewest_workers(offered_load_cores))
    return Recommended(
        ratio=ratio,
        ratio_is_upper_end=upper_end is not None,
        offered_load_cores=offered_load_cores,
        workers=workers,
        cpus_per_worker=CPUS_PER_WORKER,
        total_cpus=workers * CPUS_PER_WORKER,
        utilisation=offered_load_cores / workers,
        memory_per_worker_mib=memory_per_worker_mib,
        total_memory_gib=None if memory_per_worker_mib is None else workers * memory_per_worker_mib / 1024,
    )


def _steps(linear: Linear, recommended: Recommended, load: Load) -> Iterator[Step]:
    cores: dict[Rule, float] = {"linear": linear.target_cores}
    if recommended.ratio_is_upper_end:
        cores["interval"] = recommended.offered_load_cores
    cores["utilisation_ceiling"] = recommended.offered_load_cores / load.utilisation_ceiling
    cores["whole_cpus"] = recommended.total_cpus
    before = 0.0
    for rule, after in cores.items():
        yield Step(rule, after, after - before)
        before = after


def _round_up(value: float) -> int:
    """The next whole number, at least 1; what exceeds a whole number by rounding alone is that number."""
    return max(1, math.ceil(value * (1 - ROUNDING)))


def _number(name: str, value: object) -> float:
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            return float(value)
        except (ValueError, OverflowError):
            pass
    raise SizingError(f"{name} must be a number, not {ascii(value)[:60]}")


def _warnings(normalization: Normalization, recommended: Recommended) -> Iterator[Caveat]:
    if normalization.tainted:
        yield Caveat(code="tainted_ratio", message="do not order hardware by this ratio: the other warnings say why")
    if not recommended.ratio_is_upper_end:
        yield Caveat(
            code="point_estimate",
            message=f"sized by the ratio {recommended.ratio:.3f} itself, since it has no interval whose upper end could "
            "be taken; measure in 3 processes or more",
        )
    if recommended.memory_per_worker_mib is None:
        yield Caveat(
            code="memory_unknown",
            message="the run could not read its memory peak, so no memory is requested and a Pod is not of QoS class "
            "Guaranteed; set the request and the limit yourself",
        )
