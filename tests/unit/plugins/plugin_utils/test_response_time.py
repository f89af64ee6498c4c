# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Waiting and service together: against closed forms, and the order that theory promises."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from ansible_collections.rightsize.whisper.plugins.plugin_utils import response_time as module
from ansible_collections.rightsize.whisper.plugins.plugin_utils.response_time import ResponseTime, single_worker
from ansible_collections.rightsize.whisper.plugins.plugin_utils.service_times import ServiceTimes
from hypothesis import given, settings
from hypothesis import strategies as st

# A slow machine is no failure.
UNHURRIED = settings(max_examples=60)

TIMES = st.lists(st.floats(0.1, 20), min_size=1, max_size=30).map(ServiceTimes.of)


def crommelin(seconds: float, utilisation: float) -> float:
    """P(wait > seconds) for one worker, Poisson arrivals and a service time of exactly one second."""
    terms = ((utilisation * (k - seconds)) ** k / math.factorial(k) for k in range(int(seconds) + 1))
    powers = (math.exp(-utilisation * (k - seconds)) for k in range(int(seconds) + 1))
    return 1 - (1 - utilisation) * sum(term * power for term, power in zip(terms, powers, strict=True))


def waits(times: ServiceTimes, utilisation: float, seconds: float) -> float:
    """P(wait > seconds) for one worker and Poisson arrivals."""
    worker = single_worker(times)
    return utilisation * worker.wait(utilisation).above([seconds / worker.step_seconds])[0]


@pytest.mark.parametrize("utilisation", [0.1, 0.3, 0.5, 0.62, 0.7, 0.85, 0.95])
def test_constant_service_times_have_a_closed_form(utilisation: float) -> None:
    times = ServiceTimes.of([1.0])
    for seconds in (0.0, 0.25, 0.5, 0.9, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0):
        exact = crommelin(seconds, utilisation)
        assert waits(times, utilisation, seconds) == pytest.approx(exact, rel=0.01, abs=1e-4)


@UNHURRIED
@given(TIMES, st.floats(0.05, 0.95))
def test_the_mean_wait_is_pollaczek_khinchine(times: ServiceTimes, utilisation: float) -> None:
    worker = single_worker(times)
    curve = worker.wait(utilisation)
    mean_seconds = 0.0
    for solution, weight in ((curve.lower, 1 - curve.weight), (curve.upper, curve.weight)):
        lattice = sum((a + b) / 2 for a, b in pairwise(solution.tail))
        beyond = -solution.tail[-1] / math.log(solution.decay) if solution.decay else 0.0
        mean_seconds += weight * (lattice + beyond) * worker.step_seconds
    expected = times.mean_seconds * (1 + times.scv) / 2 / (1 - utilisation)
    assert mean_seconds == pytest.approx(expected, rel=0.02)


@UNHURRIED
@given(TIMES, st.floats(0.02, 0.98), st.floats(0.0, 1.0), st.floats(0.05, 40))
def test_shares_are_probabilities_and_fall_with_time(
    times: ServiceTimes, utilisation: float, wait_probability: float, speed: float
) -> None:
    response = ResponseTime(times, utilisation, wait_probability, speed)
    moments = [times.mean_seconds * k / 4 for k in range(60)]
    shares = [response.share_above(seconds) for seconds in moments]
    assert all(-1e-9 <= share <= 1 + 1e-9 for share in shares)
    assert all(later <= sooner + 1e-9 for sooner, later in pairwise(shares))
    assert shares[0] == pytest.approx(1)


@UNHURRIED
@given(TIMES, st.floats(0.02, 0.98), st.floats(0.0, 1.0), st.floats(0.05, 40), st.floats(0.05, 0.995))
def test_a_percentile_is_where_the_share_is_reached(
    times: ServiceTimes, utilisation: float, wait_probability: float, speed: float, percentile: float
) -> None:
    response = ResponseTime(times, utilisation, wait_probability, speed)
    seconds = response.percentile_seconds(percentile)
    allowed = (1 - percentile) * (1 + module.SHARE_TOLERANCE) + 1e-8
    assert response.share_above(seconds * (1 + module.TIME_TOLERANCE)) <= allowed
    before = response.share_above(seconds * (1 - module.TIME_TOLERANCE) - 1e-9)
    assert before >= (1 - percentile) * (1 - module.SHARE_TOLERANCE) - 1e-8
    assert seconds >= times.quantile_seconds(percentile)


def test_percentiles_are_the_same_in_any_order() -> None:
    times = ServiceTimes.of([2.0 + k / 50 for k in range(100)] + [9.0, 12.0, 15.0])
    percentiles = (0.5, 0.9, 0.95, 0.99)
    once = {p: ResponseTime(times, 0.8, 0.8, 1.0).percentile_seconds(p) for p in percentiles}
    together = ResponseTime(times, 0.8, 0.8, 1.0)
    for percentile in reversed(percentiles):
        assert together.percentile_seconds(percentile) == pytest.approx(once[percentile], rel=2e-3)


def test_grouping_own_service_times_changes_little(monkeypatch: pytest.MonkeyPatch) -> None:
    times = ServiceTimes.of([2.1 * (1 + 0.1 * math.sin(k)) for k in range(900)] + [6 + k / 7 for k in range(100)])
    cells = [(u, speed, p) for u in (0.3, 0.7, 0.9) for speed in (1.0, 6.0) for p in (0.5, 0.93, 0.99)]

    def percentiles() -> list[float]:
        single_worker.cache_clear()
        return [ResponseTime(times, u, u, speed).percentile_seconds(p) for u, speed, p in cells]

    grouped = percentiles()
    assert len(single_worker(times).groups.share) < 60
    monkeypatch.setattr(module, "GROUP_SHARE", 0.0)
    monkeypatch.setattr(module, "GROUP_WIDTH", 0.0)
    exact = percentiles()
    assert len(single_worker(times).groups.share) == 1000
    single_worker.cache_clear()
    assert grouped == pytest.approx(exact, rel=0.02)
