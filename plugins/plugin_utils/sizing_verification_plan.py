# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a test of a sizing is to send: as many workers as the sizing recommends, at a rate that keeps them as busy."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.rightsize.whisper.plugins.plugin_utils.escaping import one_line
from ansible_collections.rightsize.whisper.plugins.plugin_utils.queueing import (
    Dispatch,
    LatencyObjective,
    carried_erlangs,
    check_arrivals,
    smallest_workers,
)
from ansible_collections.rightsize.whisper.plugins.plugin_utils.service_times import (
    QueueingError,
    ServiceTimes,
    positive,
    proportion,
)
from ansible_collections.rightsize.whisper.plugins.plugin_utils.statistics import Sample, StatisticsError, estimate_mean


class VerificationError(ValueError):
    """A sizing that cannot be tested, or a test of which nothing can be said; the message is one line for the user."""


@dataclass(frozen=True)
class Asked:
    """What a user wants tested; without `workers` those that the run recommends, without `utilisation` what comes of it."""

    target_rps: float
    workers: int | None
    utilisation: float | None
    utilisation_ceiling: float
    dispatch: Dispatch
    threads: int
    cpus: float
    objective: LatencyObjective | None = None


@dataclass(frozen=True)
class PlannedTest:
    """What to send: the rate is for all workers together."""

    run_id: str
    workers: int
    rate_rps: float
    utilisation: float
    service_seconds: float
    same_work: Mapping[str, str]


def newest_usable(results: Iterable[Mapping[str, Any]], threads: int, cpus: float) -> Mapping[str, Any] | None:
    """The first of the results, newest first, whose iterations are service times of such workers."""
    return next((result for result in results if _unusable(result, threads, cpus) is None), None)


def plan_test(result: Mapping[str, Any], asked: Asked) -> PlannedTest:
    """How many workers, and at which rate, from the run that predicts."""
    reason = _unusable(result, asked.threads, asked.cpus)
    if reason is not None:
        raise VerificationError(f"run {one_line(result.get('run_id'))} cannot predict this: {reason}")
    sample, times = service_times(result)
    try:
        check_arrivals(asked.target_rps, 1.0, asked.dispatch)
        if asked.utilisation is not None:
            proportion("the utilisation", asked.utilisation)
        workers = asked.workers
        if workers is None:
            # Sized as the report sizes: by the upper end of the interval, where there is one.
            upper = estimate_mean(sample).high
            derate = 1.0 if upper is None else upper / sample.mean
            workers = smallest_workers(
                asked.target_rps,
                times,
                asked.objective if asked.utilisation is None else None,
                utilisation_ceiling=asked.utilisation_ceiling if asked.utilisation is None else asked.utilisation,
                dispatch=asked.dispatch,
                derate=derate,
            ).workers
        positive("the number of workers", workers)
        rate_rps = asked.target_rps
        if asked.utilisation is not None:
            rate_rps = asked.utilisation * workers / times.mean_seconds
        utilisation = carried_erlangs(rate_rps, times, workers) / workers
    except QueueingError as error:
        raise VerificationError(str(error)) from error
    return PlannedTest(
        run_id=result["run_id"],
        workers=workers,
        rate_rps=rate_rps,
        utilisation=utilisation,
        service_seconds=times.mean_seconds,
        same_work={
            "audio_sha256": (result.get("audio") or {}).get("sha256") or "",
            "checkpoint_sha256": (result.get("checkpoint") or {}).get("sha256") or "",
        },
    )


def _unusable(result: Mapping[str, Any], threads: int, cpus: float) -> str | None:
    """Why the iterations of a result are no service times of such workers."""
    if result.get("partial") is not False:
        return "it was cut short"
    if result.get("threads") != threads:
        return f"it had {one_line(result.get('threads'))} threads, and the workers have {threads}"
    limit = result.get("cpu_limit")
    if not isinstance(limit, int | float) or not math.isclose(limit, cpus, rel_tol=1e-6):
        return f"it had a CPU limit of {one_line(limit)}, and the workers have {cpus:g}"
    return None


def service_times(result: Mapping[str, Any]) -> tuple[Sample, ServiceTimes]:
    """The iterations of a result."""
    try:
        sample = Sample.of_result(result)
        return sample, ServiceTimes.of(wall_ms / 1000 for wall_ms in sample.iterations)
    except (StatisticsError, QueueingError) as error:
        raise VerificationError(str(error)) from error
