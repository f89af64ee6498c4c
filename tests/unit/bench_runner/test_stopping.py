# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import math
import random
import statistics
from typing import Any

import pytest
from ansible_collections.rightsize.whisper.plugins.plugin_utils.statistics import Sample, estimate_mean, estimate_ratio

from bench_runner.runner import Settings
from bench_runner.stopping import LOOKS, AdaptivePlan, FixedPlan, relative_half_width

CALM = [1000.0, 1001.0, 999.0, 1000.5, 999.5]
WILD = [1000.0, 1100.0, 900.0, 1050.0, 950.0]


def plan(precision: float = 0.02, **changes: Any) -> AdaptivePlan:
    settings: dict[str, Any] = {"of_ratio": False, "most_processes": 40, "time_budget_seconds": None}
    return AdaptivePlan(10, precision, **{**settings, **changes})


def settings(**changes: Any) -> Settings:
    names = (
        "threads",
        "warmup",
        "run_id",
        "target",
        "audio",
        "checkpoint",
        "checkpoint_sha256",
        "cpu_model",
        "image_id",
    )
    asked = {"model_size": "base", "iterations": 50, "processes": 5, "expect_cpus": 1.0, "labels": {}, **changes}
    return Settings(**{**dict.fromkeys(names), **asked})


@pytest.mark.parametrize(
    ("iterations", "processes", "shares"),
    [(50, 5, (10,) * 5), (7, 3, (3, 2, 2)), (2, 5, (1, 1)), (1, 1, (1,))],
)
def test_without_a_precision_exactly_the_iterations_are_measured(
    iterations: int, processes: int, shares: tuple[int, ...]
) -> None:
    made = settings(iterations=iterations, processes=processes).plan
    assert made == FixedPlan(shares)
    means = WILD[: len(shares)]
    assert [made.stop_reason(means[:done], [1.0] * done) for done in range(1, len(shares) + 1)] == [
        *[None] * (len(shares) - 1),
        "iterations_done",
    ]


def test_with_a_precision_each_process_has_its_share() -> None:
    made = settings(iterations=7, processes=3, precision=0.02, precision_of_ratio=True).plan
    assert isinstance(made, AdaptivePlan)
    assert [made.share(process) for process in (1, 2, 30)] == [3, 3, 3]
    assert (made.of_ratio, made.most_processes) == (True, 40)


def test_calm_processes_are_enough_at_the_first_look_and_not_before() -> None:
    for done in range(1, 5):
        assert plan().stop_reason(CALM[:done], [1.0] * done) is None
    assert plan().stop_reason(CALM, [1.0] * 5) == "precision_reached"


def test_between_the_looks_nothing_is_decided() -> None:
    for done in range(1, 41):
        reason = plan().stop_reason([*WILD, *[1000.0] * 35][:done], [1.0] * done)
        assert reason in ({None, "precision_reached", "most_processes"} if done in LOOKS else {None})
        if reason:
            break
    else:
        pytest.fail("it never stopped")


def test_the_last_process_allowed_is_a_look() -> None:
    assert plan(most_processes=4).stop_reason(CALM[:4], [1.0] * 4) == "precision_reached"
    assert plan(most_processes=4).stop_reason(WILD[:4], [1.0] * 4) == "most_processes"
    assert plan(most_processes=4).stop_reason(WILD[:3], [1.0] * 3) is None


def test_no_process_is_begun_that_would_end_beyond_the_time_budget() -> None:
    budget = plan(time_budget_seconds=100.0)
    assert budget.stop_reason([1000.0], [40.0]) is None
    assert budget.stop_reason([1000.0, 1000.0], [40.0, 20.0]) is None
    assert budget.stop_reason([1000.0, 1000.0], [40.0, 21.0]) == "time_budget"
    assert budget.stop_reason(CALM, [40.0] * 5) == "precision_reached"
    assert (budget.seconds_left(30.0), budget.seconds_left(130.0)) == (70.0, 0.0)


def test_how_many_processes_it_takes_follows_from_their_spread() -> None:
    assert [plan().expected_processes(WILD[:done]) for done in (0, 1)] == [5, 5]
    assert plan().expected_processes(CALM[:2]) == 5
    assert plan().expected_processes(CALM) == 8
    assert plan(0.09).expected_processes(WILD) == 12
    assert plan(0.05).expected_processes(WILD) == 27
    assert plan(0.01).expected_processes(WILD) == 40


def test_a_side_of_a_ratio_is_measured_so_well_that_the_ratio_is_as_asked() -> None:
    """Both at the very edge of what they may have: together they are within the precision."""
    side = plan(0.05, of_ratio=True)
    assert math.log1p(side.half_width_wanted()) * math.sqrt(2) == pytest.approx(math.log1p(0.05))
    edge = 1.0
    while side.stop_reason(eight(edge), [1.0] * 8) is None:
        edge *= 0.99
    assert relative_half_width(eight(edge)) == pytest.approx(side.half_width_wanted(), rel=0.02)
    sample = Sample(tuple((mean,) for mean in eight(edge)), looked=True)
    ratio = estimate_ratio(sample, sample)
    assert ratio.high is not None
    assert 1.04 < ratio.high <= 1.05


def eight(factor: float) -> list[float]:
    """The means of processes, so far apart."""
    return [1000 + (mean - 1000) * factor for mean in [*WILD, 1020.0, 980.0, 1000.0]]


def test_five_processes_that_agree_may_do_so_by_luck() -> None:
    means = [1000.0, 1006.0, 994.0, 1003.0, 997.0]
    assert (relative_half_width(means) or 1) < plan(0.015).half_width_wanted()
    assert plan(0.015).stop_reason(means, [1.0] * 5) is None
    assert plan(0.02).stop_reason(means, [1.0] * 5) == "precision_reached"


def test_the_half_width_is_that_of_the_interval_which_the_controller_prints() -> None:
    sample = Sample(tuple((mean,) for mean in WILD), looked=True)
    printed = estimate_mean(sample)
    assert printed.high is not None
    assert relative_half_width(WILD) == pytest.approx(printed.high / printed.centre - 1, abs=1e-6)
    assert relative_half_width(WILD[:1]) is None


def test_what_the_result_says() -> None:
    assert plan(0.03, of_ratio=True, time_budget_seconds=60.0).record(CALM) == {
        "processes_planned": 40,
        "processes_used": 5,
        "precision": 0.03,
        "precision_of": "ratio",
        "half_width": relative_half_width(CALM),
        "time_budget_seconds": 60.0,
    }
    fixed = FixedPlan((10, 10)).record(CALM[:2])
    assert (fixed["processes_planned"], fixed["processes_used"], fixed["precision"]) == (2, 2, None)


def test_stopping_early_keeps_what_an_interval_promises() -> None:
    """A/A comparisons where looking costs most, at noise of 1.5 times what is asked: with 95 % at each look 91 %."""
    chance = random.Random(7)
    held = 0
    for _unused in range(400):
        sides = []
        for _side in range(2):
            means: list[float] = []
            asked = plan(0.02)
            while not (means and asked.stop_reason(means, [1.0] * len(means))):
                means.append(1000 * math.exp(chance.gauss(0, 1.5 * math.log1p(0.02))))
            sides.append(Sample(tuple((mean,) for mean in means), looked=True))
        held += estimate_ratio(*sides).contains(1.0) is True
    assert held / 400 >= 0.93
    assert statistics.fmean(len(side.processes) for side in sides) >= 5
