# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether workers answer as fast as their sizing predicts: what came of a test.

A run's iterations are service times, from which queueing.py predicts latency percentiles. A test sends requests to
workers on the same target (module sizing_verification). It is held against two predictions: one from the run, and one
from the service times of the test itself. Where only the second holds, the machine was not what it was in the run. Where
neither does, but the queues did with these very arrivals what they should, the arrivals were unusual, as they are now and
then; else the formula does not describe what happens there.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from ansible_collections.rightsize.whisper.plugins.plugin_utils.escaping import one_line
from ansible_collections.rightsize.whisper.plugins.plugin_utils.load_percentiles import (
    REQUESTS_NEEDED,
    Measured,
    Range,
    chance_ranges,
    measured_percentile,
    replay_ranges,
    supported,
)
from ansible_collections.rightsize.whisper.plugins.plugin_utils.load_test import LoadTest
from ansible_collections.rightsize.whisper.plugins.plugin_utils.queueing import response_time
from ansible_collections.rightsize.whisper.plugins.plugin_utils.service_times import QueueingError, ServiceTimes
from ansible_collections.rightsize.whisper.plugins.plugin_utils.simulation import WARM_UP_SHARE
from ansible_collections.rightsize.whisper.plugins.plugin_utils.sizing_verification_plan import (
    VerificationError,
    service_times,
)
from ansible_collections.rightsize.whisper.plugins.plugin_utils.statistics import Caveat
from ansible_collections.rightsize.whisper.plugins.plugin_utils.terminal import table

# Means of runs on a quiet machine differ by less; beyond that a sizing by the run is another one.
SERVICE_CHANGE_LIMIT = 0.05

Conclusion = Literal["confirmed", "service_times_changed", "unusual_arrivals", "not_confirmed", "undecided"]


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
    # Where it lies by chance with the arrivals and the service times of the test, of which only the order is drawn again.
    replayed: Range | None

    @property
    def is_replayed(self) -> bool:
        return self.measured is None or (self.replayed is not None and self.replayed.holds(self.measured.seconds))


class Busy(NamedTuple):
    """The share of its time that a worker was to be busy, and that it was."""

    planned: float
    measured: float


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


def verify(result: Mapping[str, Any], tested: Mapping[str, Any]) -> Verification:
    """Hold the test of the module sizing_verification against what the result predicts."""
    _unused, times = service_times(result)
    test = LoadTest.read(tested)
    try:
        return _verify(result, times, test)
    except QueueingError as error:
        raise VerificationError(str(error)) from error


def _verify(result: Mapping[str, Any], times: ServiceTimes, test: LoadTest) -> Verification:
    requests = test.requests
    counted = requests[round(len(requests) * WARM_UP_SHARE) :]
    observed = ServiceTimes.of(request.occupied_seconds for request in requests)
    rows = _rows([request.response_seconds for request in counted], times, observed, test)
    span_seconds = max(request.finish_seconds for request in requests)
    busy = Busy(
        planned=test.rate_rps * times.mean_seconds / test.workers,
        measured=observed.mean_seconds * len(requests) / (span_seconds * test.workers),
    )
    run_id = str(result.get("run_id"))
    conclusion, message = _conclude(rows, times.mean_seconds, observed.mean_seconds, busy, run_id)
    return Verification(
        target=test.target,
        model_size=test.model_size,
        test_id=test.test_id,
        run_id=run_id,
        conclusion=conclusion,
        message=message[0].upper() + message[1:],
        dispatch=test.dispatch,
        seed=test.seed,
        workers=test.workers,
        workers_planned=test.workers_planned,
        rate_rps=test.rate_rps,
        rate_planned_rps=test.rate_planned_rps,
        utilisation_planned=busy.planned,
        utilisation_measured=busy.measured,
        requests=len(requests),
        requests_counted=len(counted),
        service_seconds_run=times.mean_seconds,
        service_seconds_test=observed.mean_seconds,
        overhead_seconds=observed.mean_seconds - statistics.fmean(request.service_seconds for request in requests),
        rows=rows,
        notes=tuple(_notes(test)),
        warnings=tuple(_warnings(result, test, observed.mean_seconds / times.mean_seconds - 1)),
        table=_table(rows),
    )


def _rows(
    responses: list[float],
    times: ServiceTimes,
    observed: ServiceTimes,
    test: LoadTest,
) -> tuple[Row, ...]:
    measured = {percentile: measured_percentile(responses, percentile) for percentile in supported(len(responses))}
    from_run = _forecasts(times, measured, test)
    try:
        from_test: Mapping[float, Forecast] = _forecasts(observed, measured, test)
    except QueueingError:
        # Served so slowly that the queues grow without end: there is nothing to predict.
        from_test = {}
    arrivals = [(request.arrival_seconds, request.worker) for request in test.requests]
    replayed = replay_ranges(measured, arrivals, observed, test.workers, dispatch=test.dispatch, seed=test.seed)
    return tuple(
        Row(
            name=f"p{100 * percentile:g}",
            requests_needed=needed,
            measured=measured.get(percentile),
            from_run=from_run[percentile],
            from_test=from_test.get(percentile),
            replayed=replayed.get(percentile),
        )
        for percentile, needed in REQUESTS_NEEDED.items()
    )


def _forecasts(times: ServiceTimes, measured: Mapping[float, Measured], test: LoadTest) -> dict[float, Forecast]:
    rate_rps, workers, dispatch = test.rate_rps, test.workers, test.dispatch
    response = response_time(rate_rps, times, workers, dispatch=dispatch)
    ranges = chance_ranges(
        measured, rate_rps, times, workers, dispatch=dispatch, requests=len(test.requests), seed=test.seed
    )
    return {
        percentile: Forecast(
            seconds=response.percentile_seconds(percentile),
            chance=ranges.get(percentile),
            holds=ranges[percentile].holds(measured[percentile].seconds) if percentile in measured else None,
        )
        for percentile in REQUESTS_NEEDED
    }


def _conclude(
    rows: tuple[Row, ...], run_seconds: float, test_seconds: float, busy: Busy, run_id: str
) -> tuple[Conclusion, str]:
    """The verdict, and what to do about it."""
    judged = [row for row in rows if row.measured is not None]
    if not judged:
        fewest = min(REQUESTS_NEEDED.values())
        return "undecided", f"too few requests to say anything: send more, so that {fewest} count"
    if all(row.from_run.holds for row in judged):
        return "confirmed", f"as predicted: {_names(judged)}. The sizing holds on this target at this load"
    change = test_seconds / run_seconds - 1
    served = (
        f"a request took {test_seconds:.3f} s of a worker, {abs(change):.0%} {'more' if change > 0 else 'less'} than in "
        f"run {one_line(run_id)}"
    )
    if any(row.from_test is None for row in judged):
        return (
            "not_confirmed",
            f"{served}, which is more than the workers can carry: the queues grow without end; size with more workers",
        )
    wrong = [row for row in judged if row.from_test is not None and not row.from_test.holds]
    if not wrong:
        return (
            "service_times_changed",
            f"{served}. With the service times of this test the prediction holds, so the formula is right and the "
            "machine was not the same: measure again while as many workers run, and size by that",
        )
    if all(row.is_replayed for row in judged):
        return (
            "unusual_arrivals",
            f"not as predicted: {_names(wrong)}, since these arrivals were unusual: they kept a worker busy "
            f"{busy.measured:.0%} of the time, {busy.planned:.0%} as planned. With them the queues did what they should; "
            "repeat it with another seed, or more requests",
        )
    return (
        "not_confirmed",
        f"not as predicted, even with the service times of this test: {_names(wrong)} ({served}). Something beside the "
        "queues delays requests, or the service times drifted; repeat it on a quiet machine",
    )


def _names(rows: Iterable[Row]) -> str:
    return ", ".join(row.name for row in rows)


def _notes(test: LoadTest) -> Iterator[str]:
    """What a reader must know of how it was tested."""
    if test.workers < test.workers_planned:
        yield (
            f"{test.workers} of {test.workers_planned} workers were started ({one_line(test.capped_by)}), and the rate was "
            f"scaled from {test.rate_planned_rps:.3g} to {test.rate_rps:.3g} requests/s, so that each is as busy as "
            "planned"
        )
        if test.dispatch == "random":
            yield (
                "with random dispatch every worker is a queue of its own, so one waits as all do; what more workers do to "
                "each other on one machine (caches, memory bandwidth, clock) is not in this test"
            )
        else:
            yield "more workers with one queue wait less than these: both prediction and measurement are of these"
    if len(test.requests) < test.requests_planned:
        yield (
            f"{len(test.requests)} of {test.requests_planned} requests arrived within {test.duration_limit_seconds} s"
        )


def _warnings(result: Mapping[str, Any], test: LoadTest, change: float) -> Iterator[Caveat]:
    if result.get("isolated") is not True:
        yield Caveat(code="not_isolated", message="the run that predicts was not isolated: distrust its service times")
    if abs(change) > SERVICE_CHANGE_LIMIT:
        yield Caveat(
            code="service_times_differ",
            message=f"a request took {abs(change):.0%} {'more' if change > 0 else 'less'} of a worker than in the run, which "
            "percentiles of few requests may not show: measure again on a quiet machine, or send more requests",
        )
    yield from test.warnings


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
    return table([heading, *map(_cells, rows)])


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
