# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The simulation: that it is one, and that the formulas say what it says."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ansible_collections.rightsize.whisper.plugins.plugin_utils.queueing import Dispatch, erlang_c, response_time
from ansible_collections.rightsize.whisper.plugins.plugin_utils.service_times import QueueingError, ServiceTimes
from ansible_collections.rightsize.whisper.plugins.plugin_utils.simulation import simulate

REGULAR = ServiceTimes.of([2.1 + 0.001 * k for k in range(-100, 101)])
FALLBACK = ServiceTimes.mix([(0.92, REGULAR.samples_seconds), (0.08, [6 + k / 7 for k in range(100)])])


def test_a_seed_repeats_and_another_does_not() -> None:
    first, again, other = (simulate(1.0, REGULAR, 3, requests=500, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_the_first_requests_do_not_count() -> None:
    assert len(simulate(1.0, REGULAR, 3, requests=1000).responses_seconds) == 950


def test_one_worker_with_exponential_service_waits_as_often_as_it_works() -> None:
    result = simulate(0.3, REGULAR, 1, requests=50_000)
    assert result.waited_share == pytest.approx(0.63, abs=0.02)
    assert result.utilisation == pytest.approx(0.63, abs=0.02)


def test_pooled_workers_delay_as_erlang_c_says() -> None:
    result = simulate(2.0, REGULAR, 6, dispatch="pooled", requests=50_000)
    assert result.waited_share == pytest.approx(erlang_c(6, 4.2), abs=0.03)


def test_nobody_is_served_faster_than_the_service() -> None:
    result = simulate(1.0, FALLBACK, 4, requests=2000)
    assert result.responses_seconds[0] >= FALLBACK.shortest_seconds
    assert list(result.responses_seconds) == sorted(result.responses_seconds)
    assert result.share_above(result.percentile_seconds(0.95)) == pytest.approx(0.05, abs=1e-3)


# How far the share of requests that are later than predicted may be off, relative to what it should be: for Poisson
# arrivals about the statistical error of 60 000 requests; docs/queueing.md has the table of longer runs.
GRID: list[tuple[Dispatch, int, float, float, float]] = [
    ("random", 4, 0.3, 1.0, 0.15),
    ("random", 4, 0.6, 1.0, 0.15),
    ("random", 4, 0.8, 1.0, 0.2),
    ("pooled", 4, 0.5, 1.0, 0.25),
    ("pooled", 4, 0.8, 1.0, 0.2),
    ("pooled", 12, 0.8, 1.0, 0.25),
    ("random", 6, 0.6, 4.0, 0.3),
    ("pooled", 6, 0.6, 4.0, 0.3),
    ("random", 6, 0.6, 0.5, 0.3),
    ("pooled", 6, 0.6, 0.5, 0.3),
]


@pytest.mark.parametrize("times", [REGULAR, FALLBACK], ids=["regular", "fallback"])
@pytest.mark.parametrize(("dispatch", "workers", "utilisation", "arrival_scv", "tolerance"), GRID)
def test_the_formula_agrees_with_the_simulation(
    times: ServiceTimes,
    dispatch: Dispatch,
    workers: int,
    utilisation: float,
    arrival_scv: float,
    tolerance: float,
) -> None:
    rate = utilisation * workers / times.mean_seconds
    options: dict[str, Any] = {"dispatch": dispatch, "arrival_scv": arrival_scv}
    simulated = simulate(rate, times, workers, requests=60_000, seed=11, **options)
    predicted = response_time(rate, times, workers, **options)
    for percentile in (0.9, 0.95):
        later = simulated.share_above(predicted.percentile_seconds(percentile))
        assert later == pytest.approx(1 - percentile, rel=tolerance), percentile


@pytest.mark.parametrize(
    ("workers", "options", "message"),
    [
        (2, {}, "2 workers cannot carry 1 requests/s of 2.1 s: the queue would grow without end; use at least 3"),
        (3, {"dispatch": "alone"}, "dispatch must be random or pooled, not alone"),
        (3, {"requests": 0}, "a simulation needs at least 1 request, not 0"),
    ],
)
def test_what_is_refused_is_refused_in_one_line(workers: int, options: dict[str, Any], message: str) -> None:
    with pytest.raises(QueueingError, match=f"^{re.escape(message)}$"):
        simulate(1.0, REGULAR, workers, **options)
