# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether workers answer as fast as their sizing predicts: what to send them, and what came of it.

A run's iterations are service times, from which queueing.py predicts latency percentiles. A test sends requests to
workers on the same target (module sizing_verification). It is held against two predictions: one from the run, and one
from the service times of the test itself. Where only the second holds, the machine was not what it was in the run; where
neither does, the formula does not describe what happens there.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ansible_collections.rightsize.whisper.plugins.plugin_utils.escaping import one_line
from ansible_collections.rightsize.whisper.plugins.plugin_utils.load_percentiles import (
    REQUESTS_NEEDED,
    Measured,
    Range,
    chance_ranges,
    measured_percentile,
    supported,
)
from ansible_collections.rightsize.whisper.plugins.plugin_utils.queueing import (
    Dispatch,
    carried_erlangs,
    check_arrivals,
    response_time,
    smallest_workers,
)
from ansible_collections.rightsize.whisper.plugins.plugin_utils.service_times import (
    QueueingError,
    ServiceTimes,
    positive,
    proportion,
)
from ansible_collections.rightsize.whisper.plugins.plugin_utils.simulation import WARM_UP_SHARE
from ansible_collections.rightsize.whisper.plugins.plugin_utils.statistics import (
    Caveat,
    Sample,
    StatisticsError,
    estimate_mean,
)

Conclusion = Literal["confirmed", "service_times_changed", "not_confirmed", "undecided"]


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


@dataclass(frozen=True)
class PlannedTest:
    """What to send: the rate is for all workers together."""

    run_id: str
    workers: int
    rate_rps: float
    utilisation: float
    service_seconds: float
    same_work: Mapping[str, str]


@dataclass(frozen=True)
class Forecast:
    """A predicted percentile, the range that tests of it have by chance, and whether the measured one lies in it."""

    seconds: float
    chance: Range | None
    holds: bool | None


@dataclass(frozen=True)
class Row:
    """One percentile; `measured` is None where there were too few requests for it."""

    name: str
    requests_needed: int
    measured: Measured | None
    from_run: Forecast
    from_test: Forecast | None


@dataclass(frozen=True)
class Verification:
    """What a test says of a sizing. Times are in seconds, rates in requests per second."""

    target: str
    model_size: str
    test_id: str
    run_id: str
    conclusion: Conclusion
    message: str
    dispatch: str
    seed: int
    workers: int
    workers_planned: int
    rate_rps: float
    rate_planned_rps: float
    utilisation_planned: float
    utilisation_measured: float
    requests: int
    requests_counted: int
    service_seconds_run: float
    service_seconds_test: float
    overhead_seconds: float
    rows: tuple[Row, ...]
    notes: tuple[str, ...]
    warnings: tuple[Caveat, ...]
    table: tuple[str, ...]


def newest_usable(results: Iterable[Mapping[str, Any]], threads: int, cpus: float) -> Mapping[str, Any] | None:
    """The first of the results, newest first, whose iterations are service times of such workers."""
    return next((result for result in results if _unusable(result, threads, cpus) is None), None)


def plan_test(result: Mapping[str, Any], asked: Asked) -> PlannedTest:
    """How many workers, and at which rate, from the run that predicts."""
    reason = _unusable(result, asked.threads, asked.cpus)
    if reason is not None:
        raise VerificationError(f"run {one_line(result.get('run_id'))} cannot predict this: {reason}")
    sample, times = _service_times(result)
    try:
        check_arrivals(asked.target_rps, 1.0, asked.dispatch)
        workers = asked.workers
        if workers is None:
            # Sized as the report sizes: by the upper end of the interval, where there is one.
            upper = estimate_mean(sample).high
            derate = 1.0 if upper is None else upper / sample.mean
            workers = smallest_workers(
                asked.target_rps,
                times,
                utilisation_ceiling=asked.utilisation_ceiling,
                dispatch=asked.dispatch,
                derate=derate,
            ).workers
        positive("the number of workers", workers)
        rate_rps = asked.target_rps
        if asked.utilisation is not None:
            rate_rps = proportion("the utilisation", asked.utilisation) * workers / times.mean_seconds
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


def verify(result: Mapping[str, Any], test: Mapping[str, Any]) -> Verification:
    """Hold the test of the module sizing_verification against what the result predicts."""
    _unused, times = _service_times(result)
    try:
        return _verify(result, times, test)
    except QueueingError as error:
        raise VerificationError(str(error)) from error
    except (KeyError, TypeError) as error:
        raise VerificationError(f"this is no test of the module sizing_verification ({error!r})") from error


def _verify(result: Mapping[str, Any], times: ServiceTimes, test: Mapping[str, Any]) -> Verification:
    requests = sorted(test["requests"], key=lambda request: request["arrival_seconds"])
    if not requests:
        raise VerificationError("this is no test of the module sizing_verification: it has no requests")
    counted = requests[round(len(requests) * WARM_UP_SHARE) :]
    responses = [request["finish_seconds"] - request["arrival_seconds"] for request in counted]
    occupied = [request["finish_seconds"] - request["start_seconds"] for request in requests]
    observed = ServiceTimes.of(occupied)
    rows = _rows(responses, times, observed, test)
    conclusion, message = _conclude(rows, times.mean_seconds, observed.mean_seconds, result["run_id"])
    span_seconds = max(request["finish_seconds"] for request in requests)
    return Verification(
        target=test["target"],
        model_size=test["model_size"],
        test_id=test["run_id"],
        run_id=result["run_id"],
        conclusion=conclusion,
        message=message,
        dispatch=test["dispatch"],
        seed=test["seed"],
        workers=test["workers"],
        workers_planned=test["workers_planned"],
        rate_rps=test["rate_rps"],
        rate_planned_rps=test["rate_planned_rps"],
        utilisation_planned=test["rate_rps"] * times.mean_seconds / test["workers"],
        utilisation_measured=math.fsum(occupied) / (span_seconds * test["workers"]),
        requests=len(requests),
        requests_counted=len(counted),
        service_seconds_run=times.mean_seconds,
        service_seconds_test=observed.mean_seconds,
        overhead_seconds=observed.mean_seconds - statistics.fmean(one["service_ms"] for one in requests) / 1000,
        rows=rows,
        notes=tuple(_notes(test)),
        warnings=tuple(_warnings(result, test)),
        table=_table(rows),
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


def _service_times(result: Mapping[str, Any]) -> tuple[Sample, ServiceTimes]:
    try:
        sample = Sample.of_result(result)
        return sample, ServiceTimes.of(wall_ms / 1000 for wall_ms in sample.iterations)
    except (StatisticsError, QueueingError) as error:
        raise VerificationError(str(error)) from error


def _rows(
    responses: list[float], times: ServiceTimes, observed: ServiceTimes, test: Mapping[str, Any]
) -> tuple[Row, ...]:
    measured = {percentile: measured_percentile(responses, percentile) for percentile in supported(len(responses))}
    from_run = _forecasts(times, measured, test)
    try:
        from_test: Mapping[float, Forecast] = _forecasts(observed, measured, test)
    except QueueingError:
        # Served so slowly that the queues grow without end: there is nothing to predict.
        from_test = {}
    return tuple(
        Row(
            name=f"p{100 * percentile:g}",
            requests_needed=needed,
            measured=measured.get(percentile),
            from_run=from_run[percentile],
            from_test=from_test.get(percentile),
        )
        for percentile, needed in REQUESTS_NEEDED.items()
    )


def _forecasts(
    times: ServiceTimes, measured: Mapping[float, Measured], test: Mapping[str, Any]
) -> dict[float, Forecast]:
    rate_rps, workers, dispatch = test["rate_rps"], test["workers"], test["dispatch"]
    response = response_time(rate_rps, times, workers, dispatch=dispatch)
    ranges = chance_ranges(
        measured, rate_rps, times, workers, dispatch=dispatch, requests=len(test["requests"]), seed=test["seed"]
    )
    return {
        percentile: Forecast(
            seconds=response.percentile_seconds(percentile),
            chance=ranges.get(percentile),
            holds=ranges[percentile].holds(measured[percentile].seconds) if percentile in measured else None,
        )
        for percentile in REQUESTS_NEEDED
    }


def _conclude(rows: tuple[Row, ...], run_seconds: float, test_seconds: float, run_id: str) -> tuple[Conclusion, str]:
    """The verdict, and what to do about it."""
    judged = [row for row in rows if row.measured is not None]
    if not judged:
        fewest = min(REQUESTS_NEEDED.values())
        return "undecided", f"too few requests to say anything: send more, so that {fewest} count"
    names = ", ".join(row.name for row in judged)
    if all(row.from_run.holds for row in judged):
        return "confirmed", f"{names} lie where the prediction says: the sizing holds on this target at this load"
    change = test_seconds / run_seconds - 1
    slower = f"{abs(change):.0%} {'longer' if change > 0 else 'less'}"
    served = f"a request took {test_seconds:.3f} s of a worker, {slower} than in run {one_line(run_id)}"
    if all(row.from_test is not None and row.from_test.holds for row in judged):
        return (
            "service_times_changed",
            f"{served}. With the service times of this test the prediction holds, so the formula is right and the "
            "machine was not the same: measure again while as many workers run, and size by that",
        )
    if any(row.from_test is None for row in judged):
        return (
            "not_confirmed",
            f"{served}, which is more than the workers can carry: the queues grew without end; size with more workers",
        )
    wrong = [row for row in judged if row.from_test is not None and not row.from_test.holds]
    return (
        "not_confirmed",
        f"{', '.join(row.name for row in wrong)} lie elsewhere even with the service times of this test ({served}): "
        "something beside the queues delays requests, or the service times drifted; repeat it on a quiet machine",
    )


def _notes(test: Mapping[str, Any]) -> Iterator[str]:
    """What a reader must know of how it was tested."""
    if test["workers"] < test["workers_planned"]:
        yield (
            f"{test['workers']} of {test['workers_planned']} workers were started ({test['capped_by']}), and the rate was "
            f"scaled from {test['rate_planned_rps']:.3g} to {test['rate_rps']:.3g} requests/s, so that each is as busy as "
            "planned"
        )
        if test["dispatch"] == "random":
            yield (
                "with random dispatch every worker is a queue of its own, so one waits as all do; what more workers do to "
                "each other on one machine (caches, memory bandwidth, clock) is not in this test"
            )
        else:
            yield "more workers with one queue wait less than these: both prediction and measurement are of these"
    if len(test["requests"]) < test["requests_planned"]:
        yield (
            f"{len(test['requests'])} of {test['requests_planned']} requests arrived within "
            f"{test['duration_limit_seconds']} s"
        )


def _warnings(result: Mapping[str, Any], test: Mapping[str, Any]) -> Iterator[Caveat]:
    if result.get("isolated") is not True:
        yield Caveat(code="not_isolated", message="the run that predicts was not isolated: distrust its service times")
    for warning in test["warnings"]:
        yield Caveat(code=str(warning["code"]), message=str(warning["message"]))


def _table(rows: tuple[Row, ...]) -> tuple[str, ...]:
    """For a terminal."""
    heading = (
        "",
        "measured, 95 % interval",
        "predicted by the run",
        "by chance",
        "by this test",
        "by chance",
        "verdict",
    )
    cells = [heading, *map(_cells, rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(heading))]
    return tuple("  ".join(map(str.ljust, row, widths)).rstrip() for row in cells)


def _cells(row: Row) -> tuple[str, ...]:
    measured = row.measured
    return (
        row.name,
        f"needs {row.requests_needed} requests"
        if measured is None
        else f"{measured.seconds:.3f} s ({measured.low:.3f}–{measured.high:.3f})",
        *_forecast_cells(row.from_run),
        *_forecast_cells(row.from_test),
        {None: "", True: "as predicted", False: "NOT as predicted"}[row.from_run.holds],
    )


def _forecast_cells(forecast: Forecast | None) -> tuple[str, str]:
    if forecast is None:
        return "none", ""
    chance = forecast.chance
    return f"{forecast.seconds:.3f} s", "" if chance is None else f"{chance.low:.3f}–{chance.high:.3f}"
