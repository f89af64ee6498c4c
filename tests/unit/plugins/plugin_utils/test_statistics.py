# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import math
import random
from statistics import fmean

import pytest
from ansible_collections.rightsize.whisper.plugins.plugin_utils.statistics import (
    MIN_PROCESSES,
    Sample,
    StatisticsError,
    Summary,
    estimate_mean,
    estimate_ratio,
    pooled_ratio,
    spread,
)
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_ind

from tests.unit.factories import mac_m4, xeon_pool

times = st.floats(1.0, 1e6)
processes = st.lists(st.lists(times, min_size=1, max_size=4), min_size=MIN_PROCESSES, max_size=7)
samples = st.builds(lambda lists: Sample(tuple(map(tuple, lists))), processes)


def sample(*processes: tuple[float, ...]) -> Sample:
    return Sample(processes)


def scaled(one: Sample, factor: float) -> Sample:
    return Sample(tuple(tuple(factor * value for value in process) for process in one.processes))


def bounds(summary: Summary) -> tuple[float, float]:
    assert summary.low is not None
    assert summary.high is not None
    return summary.low, summary.high


def test_the_width_is_that_of_welch_s_interval_on_the_log_scale() -> None:
    one, other = Sample.of_result(xeon_pool()), Sample.of_result(mac_m4())
    logs = [[math.log(mean) for mean in side.process_means] for side in (one, other)]
    welch = ttest_ind(*logs, equal_var=False).confidence_interval(0.95)
    low, high = bounds(estimate_ratio(one, other))
    assert math.log(high / low) == pytest.approx(welch.high - welch.low, rel=1e-9)
    # Processes of the fixtures differ by 2 %, so the textbook's centre is a tenth of a thousandth away.
    assert low == pytest.approx(math.exp(welch.low), rel=5e-4)


def test_five_processes_of_the_design() -> None:
    summary = estimate_mean(sample((2.054,), (2.112,), (2.074,), (2.126,), (2.171,)))
    assert summary.centre == pytest.approx(2.1074)
    assert bounds(summary) == pytest.approx((2.05143, 2.16490), abs=1e-5)
    assert summary.confidence == 0.95
    assert summary.warnings == ()


def test_the_centre_is_the_mean_of_all_iterations_however_they_are_spread_over_processes() -> None:
    uneven = sample((1.0, 1.0, 1.0), (2.0,), (2.0,))
    assert estimate_mean(uneven).centre == pytest.approx(7 / 5)
    assert estimate_ratio(uneven, sample((1.0,), (1.0,), (1.0,))).centre == pytest.approx(7 / 5)


@given(samples, samples)
def test_the_estimate_lies_in_its_interval(one: Sample, other: Sample) -> None:
    assert estimate_mean(one).contains(one.mean)
    ratio = estimate_ratio(one, other)
    assert ratio.contains(one.mean / other.mean)
    assert ratio.contains(ratio.centre)


@given(samples, samples)
def test_the_other_way_round_is_the_inverse(one: Sample, other: Sample) -> None:
    there, back = estimate_ratio(one, other), estimate_ratio(other, one)
    low, high = bounds(back)
    assert there.centre == pytest.approx(1 / back.centre)
    assert bounds(there) == pytest.approx((1 / high, 1 / low))


@given(samples, samples, st.floats(1e-3, 1e3))
def test_units_do_not_matter(one: Sample, other: Sample, factor: float) -> None:
    ratio, in_other_unit = estimate_ratio(one, other), estimate_ratio(scaled(one, factor), scaled(other, factor))
    assert in_other_unit.centre == pytest.approx(ratio.centre)
    assert bounds(in_other_unit) == pytest.approx(bounds(ratio), rel=1e-6)


@given(samples, samples, st.floats(1e-3, 1e3))
def test_twice_the_latency_is_twice_the_ratio(one: Sample, other: Sample, factor: float) -> None:
    ratio, slower = estimate_ratio(one, other), estimate_ratio(scaled(one, factor), other)
    low, high = bounds(ratio)
    assert bounds(slower) == pytest.approx((factor * low, factor * high), rel=1e-6)


@given(samples)
def test_a_run_against_itself_is_1(one: Sample) -> None:
    ratio = estimate_ratio(one, one)
    assert ratio.centre == 1
    assert ratio.contains(1)


@given(samples, samples)
def test_more_confidence_is_a_wider_interval(one: Sample, other: Sample) -> None:
    low, high = bounds(estimate_ratio(one, other, confidence=0.95))
    lower, higher = bounds(estimate_ratio(one, other, confidence=0.99))
    assert lower <= low <= high <= higher


def test_processes_that_do_not_differ_leave_no_doubt() -> None:
    assert bounds(estimate_mean(sample((2.0,), (2.0,), (2.0,)))) == (2.0, 2.0)


@pytest.mark.parametrize("count", [1, 2])
def test_too_few_processes_give_no_interval_and_say_so(count: int) -> None:
    few = Sample(((1.0, 1.1, 1.2),) * count)
    enough = sample((1.0,), (1.0,), (1.1,))
    for summary in (estimate_mean(few), estimate_ratio(few, enough), estimate_ratio(enough, few)):
        assert (summary.low, summary.high) == (None, None)
        assert summary.contains(1.0) is None
        (warning,) = summary.warnings
        assert warning["code"] == "few_processes"
        assert f"{count} measured process" in warning["message"]
        assert "at least 3" in warning["message"]


def test_a_wide_interval_says_how_many_processes_would_narrow_it() -> None:
    noisy, quiet = sample((1.0,), (1.1,), (1.2,), (1.0,), (1.1,)), sample((1.0,), (1.0,), (1.01,), (1.0,), (1.0,))
    assert estimate_mean(quiet).warnings == ()
    (warning,) = estimate_mean(noisy).warnings
    assert warning["code"] == "wide_interval"
    assert "10.0% above" in warning["message"]
    assert "about 53 processes instead of 5" in warning["message"]


def coverage(one_noise: float, other_noise: float, count: int, runs: int = 2000) -> float:
    """How often the interval covers the ratio of the true means, where log-normal noise makes processes differ."""
    generator = random.Random(f"{one_noise} {other_noise} {count}")

    def measured(mean: float, noise: float) -> Sample:
        # The mean of a log-normal variable is exp(µ + σ²/2).
        levels = [mean * math.exp(generator.gauss(0, noise) - noise**2 / 2) for _unused in range(count)]
        return Sample(
            tuple(tuple(level * generator.lognormvariate(0, 0.02) for _unused in range(10)) for level in levels)
        )

    covered = [
        estimate_ratio(measured(2.1, one_noise), measured(1.3, other_noise)).contains(2.1 / 1.3)
        for _unused in range(runs)
    ]
    return fmean(map(bool, covered))


@pytest.mark.parametrize(
    ("one_noise", "other_noise", "count"), [(0.05, 0.05, 5), (0.05, 0.01, 5), (0.02, 0.02, 3), (0.2, 0.1, 10)]
)
def test_95_percent_of_the_intervals_cover_the_truth(one_noise: float, other_noise: float, count: int) -> None:
    # ± 1.5 % is three standard errors of 2,000 draws at 95 %; Welch's degrees of freedom err to the safe side.
    assert 0.935 <= coverage(one_noise, other_noise, count) <= 0.985


def test_the_iterations_within_a_process_do_not_pass_for_certainty() -> None:
    """Twenty times as many iterations in the same five processes: the interval stays as wide as they differ."""
    levels = (2.054, 2.112, 2.074, 2.126, 2.171)
    few, many = (Sample(tuple((level,) * iterations for level in levels)) for iterations in (1, 20))
    assert bounds(estimate_mean(many)) == pytest.approx(bounds(estimate_mean(few)))


def test_the_spread_within_and_between_processes() -> None:
    found = spread(sample((1.0, 3.0), (3.0, 5.0), (2.0, 4.0)))
    assert found.within_processes == pytest.approx(math.sqrt(2) / 3)
    assert found.between_processes == pytest.approx(1 / 3)


def test_a_spread_needs_two() -> None:
    found = spread(sample((1.0,)))
    assert (found.within_processes, found.between_processes) == (None, None)


@pytest.mark.parametrize("processes", [(), ((),), ((1.0,), ())])
def test_no_iterations_are_no_sample(processes: tuple[tuple[float, ...], ...]) -> None:
    with pytest.raises(StatisticsError, match="no measured iterations"):
        Sample(processes)


@pytest.mark.parametrize("value", [0.0, -1.0, math.inf, math.nan])
def test_a_time_is_above_zero(value: float) -> None:
    with pytest.raises(StatisticsError, match="above 0"):
        sample((1.0, value))


def test_a_process_that_was_killed_while_it_warmed_up_does_not_count() -> None:
    result = mac_m4()
    for column in ("wall_ms", "encoder_ms"):
        result["processes"][4][column] = []
    assert len(Sample.of_result(result).processes) == 4
    assert len(Sample.of_result(result, "encoder_ms").processes) == 4


@pytest.mark.parametrize("result", [{}, {"processes": None}, {"processes": [{}]}, {"processes": [{"wall_ms": 1}]}])
def test_what_is_no_result_is_refused(result: dict[str, object]) -> None:
    with pytest.raises(StatisticsError, match="no result of bench_runner"):
        Sample.of_result(result)


def test_a_run_that_looked_for_its_end_has_an_interval_of_99_percent() -> None:
    result = mac_m4(stopping={"precision": 0.02})
    looked, other = Sample.of_result(result), Sample.of_result(xeon_pool(stopping={"precision": None}))
    assert (looked.looked, other.looked) == (True, False)
    plain = Sample(looked.processes)
    assert bounds(estimate_mean(looked)) == pytest.approx(bounds(estimate_mean(plain, 0.99)))
    assert bounds(estimate_ratio(other, looked)) == pytest.approx(bounds(estimate_ratio(other, plain, 0.99)))
    assert estimate_mean(looked).confidence == 0.95


def test_one_value_against_several_has_the_prediction_interval() -> None:
    several, one = Sample(((1.0,), (1.1,), (1.21,))), Sample(((1.5,),))
    found = pooled_ratio(one, several)
    # The logarithms are a tenth apart: s = log 1.1; t with 2 degrees of freedom is 4.3027.
    half_width = 4.302653 * math.log(1.1) * math.sqrt(1 + 1 / 3)
    centre = 1.5 / (3.31 / 3)
    assert (found.centre, found.low, found.high) == pytest.approx(
        (centre, centre * math.exp(-half_width), centre * math.exp(half_width)), rel=1e-5
    )
    with pytest.raises(StatisticsError, match="tells nothing of how far values differ"):
        pooled_ratio(one, one)
