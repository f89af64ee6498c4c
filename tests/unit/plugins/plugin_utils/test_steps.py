# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from itertools import pairwise

import pytest
from ansible_collections.rightsize.whisper.plugins.plugin_utils.steps import (
    MAX_RUNS,
    StepsError,
    counts_hours,
    find_steps,
    min_size,
)
from hypothesis import given, settings
from hypothesis import strategies as st

SEEDS = st.integers(0, 10_000)


def noisy(seed: int, *parts: tuple[int, float], noise: float = 0.02) -> list[float]:
    """Means with log-normal noise: so many runs at each level."""
    chance = random.Random(seed)
    return [level * math.exp(chance.gauss(0, noise)) for count, level in parts for _unused in range(count)]


def positions(means: Sequence[float], **options: object) -> list[int]:
    return [step.position for step in find_steps(means, **options)]  # type: ignore[arg-type]


def test_a_step_has_its_place_its_size_and_the_runs_beside_it() -> None:
    (step,) = find_steps(noisy(1, (30, 1000), (20, 1080), noise=0.01))
    assert (step.position, step.before, step.after) == (30, 30, 20)
    assert step.low < 1.08 < step.high
    assert step.ratio == pytest.approx(1.08, abs=0.01)
    assert (step.before_ms, step.after_ms) == pytest.approx((1000, 1080), rel=0.01)


def test_a_visit_to_another_level_and_steps_upon_steps_are_found() -> None:
    assert positions(noisy(2, (200, 1000), (15, 1100), (300, 1000))) == pytest.approx([200, 215], abs=2)
    staircase = noisy(3, (40, 1000), (40, 1060), (40, 1120), (40, 1190))
    assert positions(staircase) == pytest.approx([40, 80, 120], abs=2)


def test_slow_runs_now_and_then_are_no_step_and_hide_none() -> None:
    means = noisy(4, (40, 1000), (40, 1080), noise=0.01)
    for number in range(3, 80, 10):
        means[number] *= 1.3
    assert positions(means) == [40]
    assert positions([mean if number % 10 else mean * 1.3 for number, mean in enumerate(noisy(5, (80, 1000)))]) == []


def test_a_straight_drift_is_no_step() -> None:
    assert positions([mean * (1 + 0.015 * number / 400) for number, mean in enumerate(noisy(6, (400, 1000)))]) == []
    # Even of a large one, where noise is small beside it.
    assert (
        positions([mean * (1 + 0.1 * number / 60) for number, mean in enumerate(noisy(6, (60, 1000), noise=0.005))])
        == []
    )


def test_a_step_that_is_too_small_is_none() -> None:
    means = noisy(7, (100, 1000), (100, 1030), noise=0.005)
    assert positions(means) == [100]
    assert positions(means, least_size=0.05) == []


@pytest.mark.parametrize("count", [0, 1, 9])
def test_few_runs_have_no_steps(count: int) -> None:
    assert find_steps([1000.0] * (count // 2) + [2000.0] * (count - count // 2)) == []


def test_runs_of_an_hour_count_as_one() -> None:
    chance = random.Random(8)
    means, times = [], []
    for hour in range(24):
        means += [1000 * math.exp(chance.gauss(0, 0.03))] * 6
        times += [f"2026-11-20T{hour:02}:{minute:02}:00Z" for minute in range(6)]
    assert positions(means, times=times) == []
    assert counts_hours(times)
    assert not counts_hours(times[:54])
    after = [mean * 1.3 if number >= 72 else mean for number, mean in enumerate(means)]
    (step,) = find_steps(after, times=times)
    assert (step.position, step.before, step.after) == (72, 72, 72)


@settings(max_examples=30)
@given(SEEDS, st.floats(0.001, 1000), st.sampled_from((0.0, 0.04, 0.3)))
def test_another_unit_changes_nothing(seed: int, factor: float, size: float) -> None:
    means = noisy(seed, (25, 1000), (35, 1000 * (1 + size)))
    found, scaled = find_steps(means), find_steps([mean * factor for mean in means])
    assert [(step.position, step.before, step.after) for step in scaled] == [
        (step.position, step.before, step.after) for step in found
    ]
    for step, other in zip(found, scaled, strict=True):
        assert (other.ratio, other.low, other.high) == pytest.approx((step.ratio, step.low, step.high))


@settings(max_examples=30)
@given(SEEDS, st.integers(10, 60), st.integers(10, 60), st.sampled_from((0.0, 0.04, 0.3)))
def test_backwards_the_steps_are_mirrored(seed: int, before: int, after: int, size: float) -> None:
    means = noisy(seed, (before, 1000), (after, 1000 * (1 + size)))
    found, mirrored = find_steps(means), find_steps(means[::-1])
    assert [len(means) - step.position for step in reversed(mirrored)] == [step.position for step in found]
    for step, other in zip(found, reversed(mirrored), strict=True):
        assert (1 / other.ratio, 1 / other.high, 1 / other.low) == pytest.approx((step.ratio, step.low, step.high))


@settings(max_examples=30)
@given(st.floats(1e-3, 1e9), st.integers(0, 300))
def test_a_constant_history_has_no_step(mean: float, count: int) -> None:
    assert find_steps([mean] * count) == []


@settings(max_examples=50)
@given(st.lists(st.floats(1e-3, 1e9), max_size=120))
def test_steps_are_in_order_and_apart_and_hold_their_own_size(means: list[float]) -> None:
    found = find_steps(means)
    edges = [0, *(step.position for step in found), len(means)]
    assert all(step.low <= step.ratio <= step.high for step in found)
    assert [(step.before, step.after) for step in found] == [
        (place - start, end - place) for start, place, end in zip(edges, edges[1:], edges[2:], strict=False)
    ]
    assert not found or min(end - start for start, end in pairwise(edges)) >= 5


def test_of_very_many_runs_the_newest_are_judged() -> None:
    means = noisy(9, (600, 2000), (MAX_RUNS - 500, 1000), (500, 1080))
    (step,) = find_steps(means)
    assert step.position == pytest.approx(MAX_RUNS + 100, abs=3)
    assert step.before + step.after == MAX_RUNS


@pytest.mark.parametrize("value", [0, 1, -0.1, "nan", "two", None, "inf"])
def test_a_size_that_is_none_is_one_clear_line(value: object) -> None:
    with pytest.raises(StepsError, match=r"compare_step_size is .*: name a share between 0 and 1"):
        min_size(value)


def test_a_size_may_be_text() -> None:
    assert min_size("0.05") == 0.05
