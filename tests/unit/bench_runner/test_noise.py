# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable, Sequence
from itertools import permutations

import pytest

from bench_runner import noise

CHANCE = 0.03


def share(found: Callable[[Sequence[float]], object], draw: Callable[[], list[float]], times: int = 400) -> float:
    """How often something is found in what is drawn."""
    return sum(found(draw()) is not None for _unused in range(times)) / times


@pytest.mark.parametrize("count", [10, 20, 50, 200])
@pytest.mark.parametrize("deviation", [0.01, 0.05, 0.3])
def test_one_speed_is_not_taken_for_two(count: int, deviation: float) -> None:
    chance = random.Random(count)
    lognormal = share(noise.modes, lambda: [1000 * math.exp(chance.gauss(0, deviation)) for _unused in range(count)])
    normal = share(noise.modes, lambda: [max(1.0, 1000 * (1 + chance.gauss(0, deviation))) for _unused in range(count)])
    assert max(lognormal, normal) <= CHANCE


def test_processes_that_differ_as_they_do_are_not_two_speeds() -> None:
    chance = random.Random(5)

    def run() -> list[float]:
        return [
            1000 * mean + chance.gauss(0, 5) for mean in (chance.gauss(1, 0.025) for _p in range(5)) for _i in range(10)
        ]

    assert share(noise.modes, run) <= CHANCE


@pytest.mark.parametrize(("slow_share", "factor"), [(0.2, 1.4), (0.5, 1.4), (0.2, 1.3)])
def test_efficiency_cores_are_found(slow_share: float, factor: float) -> None:
    chance = random.Random(9)
    found = 0
    for _unused in range(200):
        walls = [
            1000 * math.exp(chance.gauss(0, 0.015)) * (factor if number < 50 * slow_share else 1)
            for number in range(50)
        ]
        chance.shuffle(walls)
        modes = noise.modes(walls)
        if modes:
            found += 1
            assert modes.slow_share == pytest.approx(slow_share)
            assert modes.slow_ms / modes.fast_ms == pytest.approx(factor, rel=0.02)
    assert found >= 190


def test_a_single_slow_iteration_is_no_second_speed() -> None:
    assert noise.modes([1000.0, 1001, 1002, 1003, 1004, 1005, 1006, 1007, 1008, 2000]) is None
    assert noise.modes([1000.0] * 3 + [2000.0] * 2) is None
    assert noise.modes([1000.0] * 3 + [2000.0] * 3) == noise.Modes(1000, 2000, 0.5)


@pytest.mark.parametrize("count", [5, 8, 12, 41])
def test_chance_is_not_taken_for_a_trend(count: int) -> None:
    chance = random.Random(count)

    def run() -> list[float]:
        return [1000 * math.exp(chance.gauss(0, 0.05)) for _unused in range(count)]

    assert share(noise.drift, run) <= CHANCE
    assert share(noise.first_to_last, run) <= CHANCE


def test_a_machine_that_heats_up_drifts() -> None:
    assert noise.drift([1000, 1010, 1020, 1030, 1040]) == pytest.approx(0.04)
    assert noise.drift([1040, 1030, 1020, 1010, 1000]) == pytest.approx(1000 / 1040 - 1)
    assert noise.drift([1000, 1002, 1004, 1006, 1008]) is None
    assert noise.drift([1000, 1030, 1020, 1010, 1040]) is None
    assert noise.drift([1000, 1020, 1040, 1060]) is None
    assert noise.drift([1000.0 + number for number in range(60)]) == pytest.approx(1049.5 / 1009.5 - 1)


def test_the_chance_of_a_trend_counts_orders() -> None:
    """Held against all orders of five processes."""
    pairs = [
        sum(earlier > later for index, earlier in enumerate(order) for later in order[index + 1 :])
        for order in permutations(range(5))
    ]
    for falling in range(11):
        as_rare = statistics.fmean(min(count, 10 - count) <= min(falling, 10 - falling) for count in pairs)
        assert noise._chance_of_falling_pairs(falling, 5) == pytest.approx(as_rare)


def test_the_chance_of_a_trend_of_many_is_nearly_normal() -> None:
    exact, normal = (noise._chance_of_falling_pairs(round(0.4 * n * (n - 1) / 2), n) for n in (40, 41))
    assert normal == pytest.approx(exact, rel=0.1)


def test_the_last_process_against_the_first() -> None:
    assert noise.first_to_last([1000, 1001, 1000, 999, 1050]) == pytest.approx(0.05)
    assert noise.first_to_last([1050, 1001, 1000, 999, 1000]) == pytest.approx(1000 / 1050 - 1)
    assert noise.first_to_last([1000, 1001, 1000, 999, 1020]) is None
    assert noise.first_to_last([1000, 1050, 1000, 950, 1050]) is None
    assert noise.first_to_last([1000, 1001, 1000, 1050]) is None
