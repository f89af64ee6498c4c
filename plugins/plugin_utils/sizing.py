# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How many CPUs a service needs on a target, for a rate of requests.

Linear is the multiplication: rate × mean latency of the reference = reference cores, × ratio = target cores. It is the
load (Little's law), and a service with as many CPUs as load is always busy, so its queue never empties. The recommended
figure leaves room, step by step, and `Sizing.steps` says what each step adds:

- the ratio is taken at the upper end of its interval,
- requests take longer beside busy neighbours, where a derate says so,
- a worker is busy at most a given share of its time,
- a worker is a Pod of whole CPUs, as QoS class Guaranteed with CPUs of its own requires: one, or as many as nodes that hand
  out whole cores want,
- a latency objective is met, waiting included (`queueing`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from ansible_collections.rightsize.whisper.plugins.plugin_utils import memory
from ansible_collections.rightsize.whisper.plugins.plugin_utils.autoscaling import Autoscaling, autoscaling
from ansible_collections.rightsize.whisper.plugins.plugin_utils.load import Load, SizingError
from ansible_collections.rightsize.whisper.plugins.plugin_utils.normalization import Normalization
from ansible_collections.rightsize.whisper.plugins.plugin_utils.queueing import (
    WorkerDecision,
    fewest_workers,
    response_time,
)
from ansible_collections.rightsize.whisper.plugins.plugin_utils.requests_measured import (
    ClipFigures,
    Requests,
    requests_measured,
)
from ansible_collections.rightsize.whisper.plugins.plugin_utils.service_times import ROUNDING
from ansible_collections.rightsize.whisper.plugins.plugin_utils.statistics import Caveat
from ansible_collections.rightsize.whisper.plugins.plugin_utils.variants import Variant, Worker, decide, variants

# One thread can use no more.
CPUS_PER_WORKER = 1
HOURS_PER_MONTH = 730
# Numbers of workers in the picture of their latency, roughly.
PREDICTIONS = 12

Rule = Literal["linear", "interval", "derate", "utilisation_ceiling", "whole_cpus", "objective"]


@dataclass(frozen=True)
class Linear:
    """The multiplication, and the same figure on the other way: they must agree, or the ratio is not that of the means."""

    reference_cores: float
    target_cores: float
    target_cores_from_latency: float


@dataclass(frozen=True)
class Recommended:
    """What to order. A worker is a replica of one thread that serves one request at a time."""

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
class Cost:
    """Of all CPUs of the recommended workers, in the currency of the price; a month has 730 hours."""

    per_hour: float
    per_month: float
    # With an autoscaler, while there are no more workers than the base rate needs.
    base_per_hour: float | None


@dataclass(frozen=True)
class Sizing:
    """CPUs, workers and memory for a rate, linear and recommended, and every warning of the ratio with its own.

    `decision` predicts what the recommended workers do, at the upper end of the ratio; `work_factor` is what a request
    takes, in times of the benchmark's clip.
    """

    load: Load
    audio_seconds: float
    work_factor: float
    clips: tuple[ClipFigures, ...]
    reference_latency_seconds: float
    target_latency_seconds: float
    linear: Linear
    recommended: Recommended
    decision: WorkerDecision
    objective_infeasible: str | None
    steps: tuple[Step, ...]
    variants: tuple[Variant, ...]
    autoscaling: Autoscaling | None
    cost: Cost | None
    warnings: tuple[Caveat, ...]


@dataclass(frozen=True)
class Prediction:
    """What so many workers are predicted to do, in seconds, at the upper end of the ratio."""

    workers: int
    response_p50_seconds: float
    response_p95_seconds: float
    response_p99_seconds: float


@dataclass(frozen=True)
class Measurements:
    """What else was measured on the target: the user's own clips, and runs with more threads and as many CPUs."""

    clips: Sequence[Mapping[str, Any]] = ()
    thread_runs: Sequence[Mapping[str, Any]] = ()


def size_cpus(
    normalization: Normalization,
    target: Mapping[str, Any],
    load: Load,
    more: Measurements = Measurements(),
    cpus_per_worker: int = CPUS_PER_WORKER,
) -> Sizing:
    """Size the target, whose result this is, for a load; a worker is given at least as many CPUs as it was measured with."""
    try:
        cpus_measured = _cpus_measured(target)
        peak_bytes = memory.peak_bytes(target)
    except (KeyError, TypeError) as error:
        raise SizingError(f"this is no result of bench_runner ({error!r}); check it against its schema") from error
    requests = requests_measured(target, more.clips, load)
    linear = _linear(normalization, load.target_rps * requests.work_factor)
    upper_end = normalization.ratio.high
    ratio = _ratio_to_size_by(normalization)
    slowness = _slowness(normalization, requests)
    decision = decide(load, requests, slowness)
    worker = Worker(cpus_measured, max(cpus_measured, cpus_per_worker), memory.limit_mib(peak_bytes))
    recommended = Recommended(
        ratio=ratio,
        ratio_is_upper_end=upper_end is not None,
        offered_load_cores=decision.offered_load_erlangs,
        workers=decision.workers,
        cpus_per_worker=worker.cpus,
        total_cpus=decision.workers * worker.cpus,
        utilisation=decision.utilisation,
        memory_per_worker_mib=worker.memory_mib,
        total_memory_gib=None if worker.memory_mib is None else decision.workers * worker.memory_mib / 1024,
    )
    scaler = _autoscaling(load, requests, slowness, decision, worker.cpus)
    return Sizing(
        load=load,
        audio_seconds=requests.audio_seconds,
        work_factor=requests.work_factor,
        clips=requests.clips,
        reference_latency_seconds=normalization.reference.latency_ms.centre / 1000,
        target_latency_seconds=normalization.target.latency_ms.centre / 1000,
        linear=linear,
        recommended=recommended,
        decision=decision,
        objective_infeasible=None if decision.infeasible is None else str(decision.infeasible),
        steps=tuple(_steps(linear, recommended, decision, load)),
        variants=tuple(variants(decision, load, requests, slowness, worker, target, more.thread_runs)),
        autoscaling=scaler,
        cost=_cost(load, recommended, scaler),
        warnings=(
            *_warnings(normalization, recommended, decision),
            *_cpu_warnings(cpus_measured),
            *requests.warnings,
            *normalization.warnings,
        ),
    )


def predict(
    normalization: Normalization,
    target: Mapping[str, Any],
    load: Load,
    chosen: int,
    more: Measurements = Measurements(),
) -> Iterator[Prediction]:
    """What fewer and more workers than the chosen ones would do: for a picture."""
    requests = requests_measured(target, more.clips, load)
    times = requests.times.scaled(_slowness(normalization, requests) * load.derate)
    fewest = fewest_workers(load.target_rps * times.mean_seconds)
    most = max(2 * chosen - fewest, chosen + 2, fewest + 4)
    step = max(1, round((most - fewest) / PREDICTIONS))
    for workers in sorted({*range(fewest, most + 1, step), max(chosen, fewest)}):
        found = response_time(load.target_rps, times, workers, dispatch=load.dispatch, arrival_scv=load.arrival_scv)
        yield Prediction(workers, *(found.percentile_seconds(percentile) for percentile in (0.5, 0.95, 0.99)))


def _cpus_measured(target: Mapping[str, Any]) -> int:
    """The whole CPUs that the run had: one, or more for one thread, as where nodes hand out whole cores.

    Without a limit the ratio is tainted, and is sized with that warning. Any other limit is another kind of worker.
    """
    limit, threads = target["cpu_limit"], target["threads"]
    if limit is None:
        return CPUS_PER_WORKER
    whole: int = max(CPUS_PER_WORKER, round(limit))
    if not math.isclose(limit, whole, rel_tol=1e-6) or (whole > CPUS_PER_WORKER and threads != 1):
        raise SizingError(
            f"no workers are sized by a run that had {limit:g} CPUs and {threads} thread{'' if threads == 1 else 's'}; "
            "measure with a CPU limit of 1, or with one thread and whole CPUs where nodes hand out whole cores"
        )
    return whole


def _linear(normalization: Normalization, target_rps: float) -> Linear:
    """For requests of the benchmark's clip; others count as so many of those."""
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


def _ratio_to_size_by(normalization: Normalization) -> float:
    """The upper end of the interval, where there is one."""
    return normalization.ratio.centre if normalization.ratio.high is None else normalization.ratio.high


def _slowness(normalization: Normalization, requests: Requests) -> float:
    """How many times as long as measured a request takes at that ratio."""
    seconds = normalization.reference.latency_ms.centre / 1000 * _ratio_to_size_by(normalization)
    return seconds * requests.work_factor / requests.times.mean_seconds


def _autoscaling(
    load: Load, requests: Requests, slowness: float, peak: WorkerDecision, cpus_per_worker: int
) -> Autoscaling | None:
    if load.base_rps is None:
        return None
    base = decide(replace(load, target_rps=load.base_rps), requests, slowness)
    return autoscaling(base.workers, peak.workers, peak.utilisation, cpus_per_worker)


def _cost(load: Load, recommended: Recommended, scaler: Autoscaling | None) -> Cost | None:
    if load.price_per_cpu_hour is None:
        return None
    per_hour = recommended.total_cpus * load.price_per_cpu_hour
    base = None if scaler is None else scaler.min_replicas * recommended.cpus_per_worker * load.price_per_cpu_hour
    return Cost(per_hour=per_hour, per_month=per_hour * HOURS_PER_MONTH, base_per_hour=base)


def _steps(linear: Linear, recommended: Recommended, decision: WorkerDecision, load: Load) -> Iterator[Step]:
    cores: dict[Rule, float] = {"linear": linear.target_cores}
    if recommended.ratio_is_upper_end:
        cores["interval"] = recommended.offered_load_cores / load.derate
    if load.derate > 1:
        cores["derate"] = recommended.offered_load_cores
    cores["utilisation_ceiling"] = recommended.offered_load_cores / load.utilisation_ceiling
    cores["whole_cpus"] = decision.workers_utilisation_ceiling * recommended.cpus_per_worker
    if decision.deciding_rule == "objective":
        cores["objective"] = recommended.total_cpus
    before = 0.0
    for rule, after in cores.items():
        yield Step(rule, after, after - before)
        before = after


def _warnings(normalization: Normalization, recommended: Recommended, decision: WorkerDecision) -> Iterator[Caveat]:
    if decision.infeasible is not None:
        yield Caveat(code="objective_infeasible", message=str(decision.infeasible))
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


def _cpu_warnings(cpus_measured: int) -> Iterator[Caveat]:
    if cpus_measured > CPUS_PER_WORKER:
        yield Caveat(
            code="several_cpus_measured",
            message=f"the run had {cpus_measured} CPUs for one thread, which used one of them, so a worker is given as many: "
            "with one CPU, and another on its core, it may be slower than this",
        )
