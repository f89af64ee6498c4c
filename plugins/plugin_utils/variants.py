# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Other shapes in which the same load can be carried, beside the recommended one, each with what it costs.

All have workers that serve one request at a time. What differs is the CPU of a worker: one whole CPU of its own; two or
more with one thread, where nodes hand out whole physical cores (`full-pcpus-only` refuses a Pod of one hyperthread with
SMTAlignmentError); one without a limit; or, only where it was measured that more threads are faster, a fat Pod.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ansible_collections.rightsize.whisper.plugins.plugin_utils.load import Load, SizingError
from ansible_collections.rightsize.whisper.plugins.plugin_utils.queueing import WorkerDecision, smallest_workers
from ansible_collections.rightsize.whisper.plugins.plugin_utils.requests_measured import Requests
from ansible_collections.rightsize.whisper.plugins.plugin_utils.service_times import QueueingError
from ansible_collections.rightsize.whisper.plugins.plugin_utils.statistics import Sample, estimate_ratio

VariantName = Literal["guaranteed", "whole_cores", "no_cpu_limit", "fat_pod"]
QosClass = Literal["Guaranteed", "Burstable"]
# Of a core with hyperthreads.
CPUS_PER_CORE = 2


@dataclass(frozen=True)
class Worker:
    """A worker of one thread: the CPUs that it had as it was measured, those that it is given, and its memory."""

    cpus_measured: int
    cpus: int
    memory_mib: int | None


@dataclass(frozen=True)
class Variant:
    """One shape. CPUs are whole; `cpu_limit` None is no limit; times in seconds, at the upper end of the ratio."""

    name: VariantName
    recommended: bool
    qos_class: QosClass
    threads: int
    workers: int
    cpu_request: int
    cpu_limit: int | None
    total_cpus: int
    total_memory_gib: float | None
    utilisation: float
    response_p95_seconds: float
    meets_objective: bool | None
    cost_per_hour: float | None
    # How many times as fast a request is than with one thread: measured, and only of a fat Pod.
    speed_up: float | None = None


def variants(
    decision: WorkerDecision,
    load: Load,
    requests: Requests,
    slowness: float,
    worker: Worker,
    target: Mapping[str, Any],
    thread_runs: Sequence[Mapping[str, Any]],
) -> Iterator[Variant]:
    """The shapes for a load; `requests` as measured, take `slowness` times as long at the ratio's upper end.

    `thread_runs` are results of the target with as many threads as CPUs, more than one.
    """
    # Unknown memory is that of a run in no control group, where Guaranteed cannot be had either.
    guaranteed: QosClass = "Burstable" if worker.memory_mib is None else "Guaranteed"

    def shape(
        name: VariantName,
        qos_class: QosClass,
        cpus: int,
        limit: int | None,
        found: WorkerDecision,
        speed_up: float | None,
    ) -> Variant:
        return Variant(
            name=name,
            recommended=name in ("guaranteed", "whole_cores") and cpus == worker.cpus,
            qos_class=qos_class,
            threads=cpus if name == "fat_pod" else 1,
            workers=found.workers,
            cpu_request=cpus,
            cpu_limit=limit,
            total_cpus=found.workers * cpus,
            total_memory_gib=None if worker.memory_mib is None else found.workers * worker.memory_mib / 1024,
            utilisation=found.utilisation,
            response_p95_seconds=found.response_p95_seconds,
            meets_objective=None if load.objective is None else found.infeasible is None,
            cost_per_hour=None if load.price_per_cpu_hour is None else found.workers * cpus * load.price_per_cpu_hour,
            speed_up=speed_up,
        )

    for cpus in sorted({worker.cpus_measured, CPUS_PER_CORE, worker.cpus}):
        # On fewer CPUs than it had, what was measured is not known to hold.
        if cpus >= worker.cpus_measured:
            yield shape("guaranteed" if cpus == 1 else "whole_cores", guaranteed, cpus, cpus, decision, None)
    yield shape("no_cpu_limit", "Burstable", worker.cpus_measured, None, decision, None)
    for threads, speed_up in sorted(measured_speed_ups(target, thread_runs).items()):
        fat = decide(load, requests, slowness / speed_up)
        yield shape("fat_pod", guaranteed, threads, threads, fat, speed_up)


def decide(load: Load, requests: Requests, slowness: float) -> WorkerDecision:
    """The workers for a load whose requests take `slowness` times as long as measured, before the derate."""
    try:
        return smallest_workers(
            load.target_rps,
            requests.times.scaled(slowness),
            load.objective,
            utilisation_ceiling=load.utilisation_ceiling,
            arrival_scv=load.arrival_scv,
            dispatch=load.dispatch,
            derate=load.derate,
        )
    except QueueingError as error:
        raise SizingError(str(error)) from error


def measured_speed_ups(target: Mapping[str, Any], thread_runs: Iterable[Mapping[str, Any]]) -> dict[int, float]:
    """Thread counts that were measured to be faster than one thread, beyond chance, and how much.

    Runs count that had as many CPUs as threads and did the same work on the same target. Those of one thread count are
    taken together, since a stress test measures each in several runs of one process. Without an interval, nothing is known
    to be beyond chance.
    """
    processes: dict[int, list[tuple[float, ...]]] = {}
    for run in thread_runs:
        if _is_alike(run, target):
            processes.setdefault(run["threads"], []).extend(Sample.of_result(run).processes)
    speed_ups = {
        threads: estimate_ratio(Sample.of_result(target), Sample(tuple(found))) for threads, found in processes.items()
    }
    return {
        threads: speed_up.centre
        for threads, speed_up in speed_ups.items()
        if speed_up.low is not None and speed_up.low > 1
    }


def _is_alike(run: Mapping[str, Any], target: Mapping[str, Any]) -> bool:
    try:
        return bool(
            run["threads"] > 1
            and run["cpu_limit"] == run["threads"]
            and not run["partial"]
            and all(run[name] == target[name] for name in ("target", "model_size", "cpu_model"))
            and run["audio"]["sha256"] == target["audio"]["sha256"]
            and run["checkpoint"]["sha256"] == target["checkpoint"]["sha256"]
        )
    except (KeyError, TypeError) as error:
        raise SizingError(f"this is no result of bench_runner ({error!r}); check it against its schema") from error
