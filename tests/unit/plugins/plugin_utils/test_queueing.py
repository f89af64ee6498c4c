# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Workers for a load and an objective: formulas, the order that a user relies on, speed, and one line for bad input."""

from __future__ import annotations

import math
import random
import re
from typing import Any

import pytest
from ansible_collections.rightsize.whisper.plugins.plugin_utils import queueing
from ansible_collections.rightsize.whisper.plugins.plugin_utils.queueing import (
    MOST_IDLE,
    Dispatch,
    LatencyObjective,
    erlang_c,
    fewest_workers,
    response_percentile_seconds,
    response_time,
    smallest_workers,
)
from ansible_collections.rightsize.whisper.plugins.plugin_utils.response_time import (
    ResponseTime,
    SingleWorker,
    single_worker,
)
from ansible_collections.rightsize.whisper.plugins.plugin_utils.service_times import QueueingError, ServiceTimes
from hypothesis import assume, given, settings
from hypothesis import strategies as st

# A slow machine is no failure.
UNHURRIED = settings(max_examples=60)

TIMES = st.lists(st.floats(0.2, 20), min_size=1, max_size=25).map(ServiceTimes.of)
LOADS = st.floats(0.05, 40)
PERCENTILES = st.sampled_from([0.5, 0.9, 0.95, 0.99])
# Of the longest service time.
LIMITS = st.floats(0.3, 8)
DISPATCH_NAMES: tuple[Dispatch, ...] = ("random", "pooled")
DISPATCHES = st.sampled_from(DISPATCH_NAMES)
ARRIVALS = st.floats(0.2, 8)

REGULAR = ServiceTimes.of([2.1 + 0.002 * k for k in range(-50, 51)])
FALLBACK = ServiceTimes.mix([(0.92, [2.1 + 0.002 * k for k in range(-50, 51)]), (0.08, range(6, 21))])


def needed(rate: float, times: ServiceTimes, objective: LatencyObjective, **options: Any) -> float:
    """Workers for the objective alone; infinitely many where it is infeasible."""
    if objective.seconds < times.shortest_seconds:
        return math.inf
    workers = smallest_workers(rate, times, objective, **options).workers_objective
    return math.inf if workers is None else workers


def at_least_needed(rate: float, times: ServiceTimes, objective: LatencyObjective, **options: Any) -> float:
    """The same; but where only workers that idle too much would meet it, more than those that do not."""
    workers = needed(rate, times, objective, **options)
    if workers == math.inf and objective.seconds >= times.shortest_seconds:
        decision = smallest_workers(rate, times, objective, **options)
        assert decision.infeasible is not None
        if decision.infeasible.service_seconds <= objective.seconds:
            load = decision.offered_load_erlangs
            return max(fewest_workers(load), math.ceil(load / (1 - MOST_IDLE))) + 1
    return workers


# Erlang C


@pytest.mark.parametrize(
    ("servers", "load", "expected"),
    [(1, 0.5, 0.5), (2, 1.0, 1 / 3), (5, 4.0, 0.5541), (10, 8.0, 0.4092), (100, 90.0, 0.21694), (3, 3.0, 1.0)],
)
def test_erlang_c_has_the_values_of_the_tables(servers: int, load: float, expected: float) -> None:
    assert erlang_c(servers, load) == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize("servers", [0.2, 0.5, 0.9, 1.3, 2.5, 7.75])
@pytest.mark.parametrize("utilisation", [0.2, 0.6, 0.9])
def test_erlang_c_between_whole_servers_is_the_integral_or_a_little_above(servers: float, utilisation: float) -> None:
    load = utilisation * servers
    # 1/B = a ∫ exp(-a y) (1 + y)^s dy, with y = u / (1 - u)
    steps = 20_000
    total = 0.0
    for k in range(steps):
        u = (k + 0.5) / steps
        y = u / (1 - u)
        total += math.exp(-load * y + servers * math.log1p(y)) / (1 - u) ** 2
    blocked = steps / (load * total)
    exact = blocked / (1 - utilisation * (1 - blocked))
    assert 0.99 * exact < erlang_c(servers, load) < exact + 0.11


def test_erlang_c_is_stable_for_many_servers() -> None:
    assert 0 < erlang_c(10_100, 10_000) < 1
    assert erlang_c(5_000, 40) == 0


@UNHURRIED
@given(st.floats(0.05, 60), st.floats(0.02, 0.98), st.floats(1.0, 3.0))
def test_erlang_c_falls_with_servers_and_rises_with_load(servers: float, utilisation: float, factor: float) -> None:
    load = servers * utilisation
    probability = erlang_c(servers, load)
    assert 0 <= probability <= 1
    assert erlang_c(servers * factor, load) <= probability + 1e-9
    assert erlang_c(servers, load / factor) <= probability + 1e-9


# The response


def test_one_worker_is_the_same_queue_under_either_dispatch() -> None:
    for arrival_scv in (1.0, 4.0):
        random_, pooled = (
            response_time(0.3, FALLBACK, 1, dispatch=dispatch, arrival_scv=arrival_scv)
            for dispatch in ("random", "pooled")
        )
        assert random_ == pooled


def test_random_dispatch_of_poisson_arrivals_is_a_queue_per_worker() -> None:
    assert response_time(5.0, REGULAR, 20) == response_time(0.25, REGULAR, 1)


def test_steadier_arrivals_help_pooled_workers_alone() -> None:
    steady, poisson = (
        {dispatch: response_time(2.0, REGULAR, 6, dispatch=dispatch, arrival_scv=scv) for dispatch in DISPATCH_NAMES}
        for scv in (0.5, 1.0)
    )
    assert steady["random"] == poisson["random"]
    assert steady["pooled"].wait_probability < 0.6 * poisson["pooled"].wait_probability


def test_an_idle_service_answers_in_its_service_time() -> None:
    assert response_percentile_seconds(0.95, 1e-6, REGULAR, 4) == REGULAR.quantile_seconds(0.95)


@UNHURRIED
@given(TIMES, LOADS, st.integers(1, 30), st.integers(1, 10), ARRIVALS, DISPATCHES, st.floats(0.1, 8))
def test_more_workers_and_less_load_are_never_slower(
    times: ServiceTimes,
    load: float,
    spare: int,
    more: int,
    arrival_scv: float,
    dispatch: Dispatch,
    limit: float,
) -> None:
    workers = fewest_workers(load) - 1 + spare
    rate, seconds = load / times.mean_seconds, limit * times.longest_seconds

    def slow(rate: float, workers: int) -> float:
        return response_time(rate, times, workers, dispatch=dispatch, arrival_scv=arrival_scv).share_above(seconds)

    share = slow(rate, workers)
    assert -1e-9 <= share <= 1 + 1e-9
    assert slow(rate, workers + more) <= share + 1e-7
    assert slow(rate * 0.9, workers) <= share + 1e-7


@UNHURRIED
@given(TIMES, LOADS, st.integers(1, 30), ARRIVALS, st.floats(0.1, 8))
def test_pooling_is_never_slower(
    times: ServiceTimes, load: float, spare: int, arrival_scv: float, limit: float
) -> None:
    workers, rate, seconds = fewest_workers(load) - 1 + spare, load / times.mean_seconds, limit * times.longest_seconds
    pooled, alone = (
        response_time(rate, times, workers, dispatch=dispatch, arrival_scv=arrival_scv).share_above(seconds)
        for dispatch in ("pooled", "random")
    )
    assert pooled <= alone + 1e-7


# The decision


def test_each_rule_can_decide() -> None:
    decision = smallest_workers(2.0, REGULAR)
    assert decision.offered_load_erlangs == pytest.approx(4.2)
    assert (decision.workers_linear, decision.workers_utilisation_ceiling, decision.workers_objective) == (5, 6, None)
    assert (decision.workers, decision.deciding_rule) == (6, "utilisation_ceiling")
    assert smallest_workers(2.0, REGULAR, utilisation_ceiling=0.9).deciding_rule == "linear"
    strict = smallest_workers(2.0, REGULAR, LatencyObjective(0.95, 4.0))
    assert strict.deciding_rule == "objective"
    assert strict.workers == strict.workers_objective == 19
    pooled = smallest_workers(2.0, REGULAR, LatencyObjective(0.95, 4.0), dispatch="pooled")
    assert (pooled.workers, pooled.workers_objective, pooled.deciding_rule) == (6, 6, "utilisation_ceiling")


def test_products_that_are_whole_are_not_rounded_up() -> None:
    times = ServiceTimes.of([0.1])
    decision = smallest_workers(21.0, times)
    assert 21 * 0.1 / 0.7 > 3
    assert decision.workers_utilisation_ceiling == 3


def test_a_queue_is_never_sized_to_grow_without_end() -> None:
    decision = smallest_workers(4.0, ServiceTimes.of([1.0]), utilisation_ceiling=1 - 1e-12)
    assert (decision.workers_linear, decision.workers) == (4, 5)
    assert decision.utilisation == pytest.approx(0.8)


@pytest.mark.parametrize("dispatch", ["random", "pooled"])
@pytest.mark.parametrize("times", [REGULAR, FALLBACK])
def test_the_objective_is_met_and_by_no_fewer(times: ServiceTimes, dispatch: Dispatch) -> None:
    for percentile, seconds in ((0.5, 2.5), (0.9, 6.5), (0.95, 18.0), (0.99, 25.0)):
        decision = smallest_workers(5.0, times, LatencyObjective(percentile, seconds), dispatch=dispatch)
        workers = decision.workers_objective
        assert workers is not None
        response = response_time(5.0, times, workers, dispatch=dispatch)
        assert response.share_above(seconds) <= 1 - percentile + 1e-8
        if workers - 1 > decision.offered_load_erlangs:
            fewer = response_time(5.0, times, workers - 1, dispatch=dispatch)
            assert fewer.share_above(seconds) > 1 - percentile


def test_the_prediction_is_that_of_the_chosen_workers() -> None:
    decision = smallest_workers(2.0, FALLBACK, LatencyObjective(0.95, 15.0))
    response = response_time(2.0, FALLBACK, decision.workers)
    predicted = (
        decision.response_p50_seconds,
        decision.response_p90_seconds,
        decision.response_p95_seconds,
        decision.response_p99_seconds,
    )
    assert predicted == pytest.approx([response.percentile_seconds(p) for p in (0.5, 0.9, 0.95, 0.99)], rel=2e-3)
    assert predicted == tuple(sorted(predicted))
    assert decision.utilisation == pytest.approx(decision.offered_load_erlangs / decision.workers)
    assert decision.wait_probability == response.wait_probability
    assert decision.response_p95_seconds <= 15.0 * 1.001


def test_an_infeasible_objective_says_what_is_feasible() -> None:
    objective = LatencyObjective(0.95, 8.0)
    decision = smallest_workers(2.0, FALLBACK, objective)
    assert decision.workers_objective is None
    assert (decision.workers, decision.deciding_rule) == (decision.workers_utilisation_ceiling, "utilisation_ceiling")
    infeasible = decision.infeasible
    assert infeasible is not None
    assert infeasible.service_seconds == FALLBACK.quantile_seconds(0.95)
    assert re.fullmatch(
        r"p95 within 8 s cannot be met by adding workers: the service alone takes 11 s; set at least 11 s, "
        r"or bring the service times to 7\d\.\d % of what they are \(more threads per worker, .*",
        str(infeasible),
    )
    relaxed = LatencyObjective(0.95, infeasible.feasible_from_seconds * 1.001)
    assert smallest_workers(2.0, FALLBACK, relaxed).infeasible is None
    faster = FALLBACK.scaled(infeasible.service_time_factor * 0.98)
    assert smallest_workers(2.0, faster, objective).infeasible is None


def test_an_objective_that_only_idle_workers_meet_is_infeasible() -> None:
    objective = LatencyObjective(0.99, REGULAR.quantile_seconds(0.99))
    infeasible = smallest_workers(2.0, REGULAR, objective).infeasible
    assert infeasible is not None
    assert "they would idle more than 99% of their time" in str(infeasible)


# What a user relies on


@UNHURRIED
@given(TIMES, LOADS, st.floats(1.0, 3.0), PERCENTILES, LIMITS, DISPATCHES, ARRIVALS)
def test_more_load_never_needs_fewer(
    times: ServiceTimes,
    load: float,
    more: float,
    percentile: float,
    limit: float,
    dispatch: Dispatch,
    arrival_scv: float,
) -> None:
    objective = LatencyObjective(percentile, limit * times.longest_seconds)
    rate = load / times.mean_seconds
    options: dict[str, Any] = {"dispatch": dispatch, "arrival_scv": arrival_scv}
    assert needed(rate * more, times, objective, **options) >= at_least_needed(rate, times, objective, **options)


def test_what_a_small_load_has_no_busy_workers_for_a_larger_one_may_have() -> None:
    times, objective = ServiceTimes.of([1.0]), LatencyObjective(0.99, 2.0)
    options: dict[str, Any] = {"dispatch": "random", "arrival_scv": 3.0}
    assert needed(0.0625, times, objective, **options) == math.inf
    assert needed(0.125, times, objective, **options) >= at_least_needed(0.0625, times, objective, **options) == 8


@UNHURRIED
@given(TIMES, LOADS, st.floats(0.3, 1.0), PERCENTILES, LIMITS, DISPATCHES, ARRIVALS)
def test_a_tighter_objective_never_needs_fewer(
    times: ServiceTimes,
    load: float,
    tighter: float,
    percentile: float,
    limit: float,
    dispatch: Dispatch,
    arrival_scv: float,
) -> None:
    seconds = limit * times.longest_seconds
    rate = load / times.mean_seconds
    options: dict[str, Any] = {"dispatch": dispatch, "arrival_scv": arrival_scv}
    usual = needed(rate, times, LatencyObjective(percentile, seconds), **options)
    assert needed(rate, times, LatencyObjective(percentile, seconds * tighter), **options) >= usual
    assert needed(rate, times, LatencyObjective(0.995, seconds), **options) >= usual


@UNHURRIED
@given(TIMES, LOADS, st.floats(1.0, 3.0), PERCENTILES, LIMITS, DISPATCHES)
def test_slower_service_never_needs_fewer(
    times: ServiceTimes, load: float, ratio: float, percentile: float, limit: float, dispatch: Dispatch
) -> None:
    objective = LatencyObjective(percentile, limit * times.longest_seconds)
    rate = load / times.mean_seconds
    usual = at_least_needed(rate, times, objective, dispatch=dispatch)
    assert needed(rate, times.scaled(ratio), objective, dispatch=dispatch) >= usual


@UNHURRIED
@given(TIMES, LOADS, PERCENTILES, LIMITS, ARRIVALS)
def test_pooled_never_needs_more_than_random(
    times: ServiceTimes, load: float, percentile: float, limit: float, arrival_scv: float
) -> None:
    objective = LatencyObjective(percentile, limit * times.longest_seconds)
    rate = load / times.mean_seconds
    pooled = needed(rate, times, objective, dispatch="pooled", arrival_scv=arrival_scv)
    assert pooled <= needed(rate, times, objective, dispatch="random", arrival_scv=arrival_scv)


@UNHURRIED
@given(TIMES, st.floats(0.1, 10), st.floats(1.0, 2.0), PERCENTILES, LIMITS)
def test_a_derate_is_slower_service(
    times: ServiceTimes, load: float, derate: float, percentile: float, limit: float
) -> None:
    objective = LatencyObjective(percentile, limit * times.longest_seconds)
    assume(objective.seconds > times.shortest_seconds * derate * 1.001)
    rate = load / times.mean_seconds
    derated = smallest_workers(rate, times, objective, derate=derate)
    slower = smallest_workers(rate, times.scaled(derate), objective)
    assert derated.offered_load_erlangs == pytest.approx(slower.offered_load_erlangs)
    assert derated.workers == pytest.approx(slower.workers, abs=1, rel=1e-3)
    if derated.workers == slower.workers:
        assert derated.response_p95_seconds == pytest.approx(slower.response_p95_seconds, rel=5e-3)


def test_a_limit_that_equals_a_service_time_admits_it_after_any_factor() -> None:
    times = ServiceTimes.of([1.0, 10.480207510293242])
    objective = LatencyObjective(0.9, times.longest_seconds * 1.9)
    assert times.longest_seconds * 1.9 / 1.9 != times.longest_seconds
    derated = smallest_workers(0.1, times, objective, derate=1.9)
    assert derated.workers == smallest_workers(0.1, times.scaled(1.9), objective).workers


# Speed


@pytest.mark.parametrize("dispatch", ["random", "pooled"])
@pytest.mark.parametrize("count", [50, 1000])
def test_a_thousand_decisions_take_few_steps(monkeypatch: pytest.MonkeyPatch, dispatch: Dispatch, count: int) -> None:
    """What takes the time is counted: shares computed, groups per share, utilisations solved. None grows with samples."""
    dice = random.Random(7)
    times = ServiceTimes.of(
        [dice.gauss(2.1, 0.06) if dice.random() < 0.92 else dice.uniform(6, 20) for _unused in range(count)]
    )
    calls = 0
    share_above = ResponseTime.share_above

    def counted(self: ResponseTime, seconds: float) -> float:
        nonlocal calls
        calls += 1
        return share_above(self, seconds)

    monkeypatch.setattr(ResponseTime, "share_above", counted)
    slowest = times.quantile_seconds(0.99)
    for _unused in range(1000):
        objective = LatencyObjective(dice.choice((0.9, 0.95, 0.99)), slowest * dice.uniform(1.05, 4))
        smallest_workers(dice.uniform(0.1, 30), times, objective, dispatch=dispatch)
    worker: SingleWorker = single_worker(times)
    assert calls < 1000 * 40
    assert len(worker.groups.share) < 60
    assert worker.solved_utilisations < 200


# Bad input

OBJECTIVE = LatencyObjective(0.95, 4.0)


@pytest.mark.parametrize(
    ("rate", "options", "message"),
    [
        (0, {}, "the arrival rate in requests per second must be a number above 0, not 0"),
        (-1.0, {}, "the arrival rate in requests per second must be a number above 0, not -1.0"),
        (math.nan, {}, "the arrival rate in requests per second must be a number above 0, not nan"),
        (math.inf, {}, "the arrival rate in requests per second must be a number above 0, not inf"),
        (
            1,
            {"utilisation_ceiling": 70},
            "the utilisation ceiling must lie above 0 and be at most 1, not 70",
        ),
        (1, {"derate": 0.9}, "derate must be a number of at least 1, not 0.9"),
        (1, {"derate": math.inf}, "derate must be a number of at least 1, not inf"),
        (1, {"dispatch": "round-robin"}, "dispatch must be random or pooled, not round-robin"),
        (
            1,
            {"arrival_scv": 0.0},
            "the variability of the arrivals (Ca²) must lie between 0.1 and 100, not 0.0; 1 is Poisson",
        ),
        (
            1,
            {"objective": LatencyObjective(0.95, 1.5)},
            "p95 within 1.5 s is below the shortest service time, 2 s; set a longer one",
        ),
    ],
)
def test_what_is_refused_is_refused_in_one_line(rate: float, options: dict[str, Any], message: str) -> None:
    with pytest.raises(QueueingError, match=f"^{re.escape(message)}$"):
        smallest_workers(rate, REGULAR, **options)


@pytest.mark.parametrize(
    ("percentile", "seconds", "message"),
    [
        (0, 4.0, "the percentile of the objective must lie between 0 and 1, not 0; write 95 % as 0.95"),
        (95, 4.0, "the percentile of the objective must lie between 0 and 1, not 95; write 95 % as 0.95"),
        (math.nan, 4.0, "the percentile of the objective must lie between 0 and 1, not nan; write 95 % as 0.95"),
        (0.95, 0, "the seconds of the objective must be a number above 0, not 0"),
        (0.95, math.inf, "the seconds of the objective must be a number above 0, not inf"),
    ],
)
def test_an_objective_is_checked_where_it_is_made(percentile: float, seconds: float, message: str) -> None:
    with pytest.raises(QueueingError, match=f"^{re.escape(message)}$"):
        LatencyObjective(percentile, seconds)


def test_workers_that_cannot_carry_the_load_are_refused() -> None:
    message = "4 workers cannot carry 2 requests/s of 2.1 s: the queue would grow without end; use at least 5"
    with pytest.raises(QueueingError, match=f"^{re.escape(message)}$"):
        response_percentile_seconds(0.95, 2.0, REGULAR, 4)


def test_the_errors_are_value_errors() -> None:
    assert issubclass(QueueingError, ValueError)
    assert queueing.DEFAULT_UTILISATION_CEILING == 0.7
