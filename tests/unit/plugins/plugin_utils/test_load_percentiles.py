# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import math
import random

import pytest
from ansible_collections.rightsize.whisper.plugins.plugin_utils.load_percentiles import (
    REQUESTS_NEEDED,
    chance_ranges,
    measured_percentile,
    order_statistics,
    replay_ranges,
    supported,
)
from ansible_collections.rightsize.whisper.plugins.plugin_utils.service_times import ServiceTimes
from ansible_collections.rightsize.whisper.plugins.plugin_utils.simulation import simulate

from bench_runner.summary import PERCENTILE_MINIMUM

TIMES = ServiceTimes.of([2.1 + 0.01 * k for k in range(-10, 11)])


def test_as_many_requests_are_needed_as_iterations() -> None:
    assert {f"p{100 * percentile:g}": needed for percentile, needed in REQUESTS_NEEDED.items() if percentile > 0.5} == (
        PERCENTILE_MINIMUM
    )


def test_a_percentile_needs_enough_requests() -> None:
    assert supported(19) == ()
    assert supported(63) == (0.5,)
    assert supported(130) == (0.5, 0.9, 0.95)
    assert supported(662) == (0.5, 0.9, 0.95, 0.99)


def test_ranks_of_the_median_are_those_of_the_tables() -> None:
    # The sign test's 95 % interval: David and Nagaraja, or any table of it.
    assert order_statistics(20, 0.5) == (6, 15)
    assert order_statistics(100, 0.5) == (40, 61)


@pytest.mark.parametrize(("percentile", "needed"), REQUESTS_NEEDED.items())
def test_enough_requests_have_an_interval_on_both_sides(percentile: float, needed: int) -> None:
    low, high = order_statistics(needed, percentile)
    assert 1 <= low < math.ceil(percentile * needed) < high <= needed


def test_intervals_hold_the_true_percentile_as_often_as_they_say() -> None:
    dice = random.Random(3)
    true = -math.log(0.1)
    held = 0
    for _unused in range(1000):
        found = measured_percentile([dice.expovariate(1) for _request in range(100)], 0.9)
        held += found.low <= true <= found.high
    assert 0.94 < held / 1000 < 0.985


def test_a_percentile_is_a_time_that_was_measured() -> None:
    found = measured_percentile([float(k) for k in range(200, 0, -1)], 0.95)
    assert found.seconds == 190
    assert found.low < 190 < found.high


def test_ranges_hold_the_percentiles_of_other_tests_together() -> None:
    percentiles = (0.5, 0.9)
    ranges = chance_ranges(percentiles, 0.3, TIMES, 1, dispatch="random", requests=100, seed=1)
    held = 0
    for seed in range(300):
        test = simulate(0.3, TIMES, 1, requests=100, seed=10_000 + seed)
        held += all(ranges[percentile].holds(test.percentile_seconds(percentile)) for percentile in percentiles)
    assert 0.92 < held / 300 <= 1


def test_ranges_are_repeated_by_the_seed_and_narrowed_by_requests() -> None:
    few, again, many = (
        chance_ranges([0.5], 0.3, TIMES, 1, dispatch="random", requests=requests, seed=1)[0.5]
        for requests in (50, 50, 2000)
    )
    assert few == again
    assert few.low <= many.low < many.high < few.high
    assert chance_ranges([], 0.3, TIMES, 1, dispatch="random", requests=50, seed=1) == {}


def test_a_replay_knows_the_arrivals_and_is_narrower_for_it() -> None:
    arrivals = [(3.0 * k, 0) for k in range(60)]
    regular = replay_ranges([0.5], arrivals, TIMES, 1, dispatch="random", seed=1)[0.5]
    assert 2.0 <= regular.low < regular.high <= 2.2
    thick = replay_ranges([0.5], [(1.0 * k, 0) for k in range(60)], TIMES, 1, dispatch="random", seed=1)[0.5]
    # The k-th of them waits for k - 1 before it, 1.1 s longer than they came apart.
    assert thick.low > 30


def test_a_replay_sends_a_pooled_request_to_whoever_is_free() -> None:
    arrivals = [(1.5 * k, 0) for k in range(60)]
    pooled, crowded = (
        replay_ranges([0.9], arrivals, TIMES, 2, dispatch=dispatch, seed=1)[0.9] for dispatch in ("pooled", "random")
    )
    assert pooled.high < 2.3
    assert crowded.low > 20
