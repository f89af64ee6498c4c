# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Service times: what they accept, and their moments, quantiles and mixes."""

from __future__ import annotations

import math
import re
import statistics

import pytest
from ansible_collections.rightsize.whisper.plugins.plugin_utils.service_times import QueueingError, ServiceTimes
from hypothesis import given, settings
from hypothesis import strategies as st

# A slow machine is no failure.
UNHURRIED = settings(max_examples=60)

SAMPLES = st.lists(st.floats(0.01, 100), min_size=1, max_size=40)


@UNHURRIED
@given(SAMPLES)
def test_moments_are_those_of_the_samples(samples: list[float]) -> None:
    times = ServiceTimes.of(samples)
    assert times.mean_seconds == pytest.approx(statistics.fmean(samples))
    variance = statistics.pvariance(samples)
    assert times.scv * times.mean_seconds**2 == pytest.approx(variance, abs=1e-9 * times.mean_seconds**2)
    assert (times.shortest_seconds, times.longest_seconds) == (min(samples), max(samples))


@UNHURRIED
@given(SAMPLES, st.floats(0.01, 0.99))
def test_a_quantile_is_the_smallest_sample_that_serves_the_share(samples: list[float], percentile: float) -> None:
    times = ServiceTimes.of(samples)
    quantile = times.quantile_seconds(percentile)
    assert sum(sample <= quantile for sample in samples) / len(samples) >= percentile - 1e-9
    assert sum(sample < quantile for sample in samples) / len(samples) < percentile


def test_nineteen_of_twenty_samples_are_95_percent() -> None:
    times = ServiceTimes.of(range(1, 21))
    assert times.quantile_seconds(0.95) == 19
    assert times.quantile_seconds(1e-12) == 1
    assert times.share_within(19) == pytest.approx(0.95)
    assert times.share_within(0.5) == 0
    assert times.share_within(20) == 1


def test_a_mix_weighs_lengths_and_not_samples() -> None:
    mix = ServiceTimes.mix([(0.75, [2.0]), (0.25, [6.0] * 30)])
    assert mix.mean_seconds == pytest.approx(3.0)
    assert mix.quantile_seconds(0.75) == 2.0
    assert mix.quantile_seconds(0.76) == 6.0


def test_shares_that_a_user_rounded_are_taken() -> None:
    assert ServiceTimes.mix([(0.3333333, [1.0]), (0.3333333, [2.0]), (0.3333333, [3.0])]).mean_seconds == pytest.approx(
        2
    )


@UNHURRIED
@given(SAMPLES, st.floats(0.1, 10))
def test_scaling_multiplies_the_mean_and_keeps_the_variation(samples: list[float], factor: float) -> None:
    times = ServiceTimes.of(samples)
    assert times.scaled(factor).mean_seconds == pytest.approx(times.mean_seconds * factor)
    assert times.scaled(factor).scv == pytest.approx(times.scv, abs=1e-9)


def test_equal_service_times_are_equal_whatever_their_order() -> None:
    assert ServiceTimes.of([1.0, 2.0]) == ServiceTimes.of([2.0, 1.0])
    assert len({ServiceTimes.of([1.0, 2.0]), ServiceTimes.of([2.0, 1.0])}) == 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ServiceTimes.of([]), "there are no service times; measure at least one iteration"),
        (lambda: ServiceTimes.mix([]), "there are no service times; measure at least one iteration"),
        (lambda: ServiceTimes.of([1.0, 0.0]), "a service time in seconds must be a number above 0, not 0.0"),
        (lambda: ServiceTimes.of([1.0, math.nan]), "a service time in seconds must be a number above 0, not nan"),
        (lambda: ServiceTimes.of([math.inf]), "a service time in seconds must be a number above 0, not inf"),
        (lambda: ServiceTimes((1.0, 2.0), (1.0,)), "2 service times have 1 shares"),
        (lambda: ServiceTimes((1.0, 2.0), (0.5, 0.4)), "the shares of the service times must sum to 1, not 0.9"),
        (
            lambda: ServiceTimes((1.0, 2.0), (1.5, -0.5)),
            "the share of a service time must be a number above 0, not -0.5",
        ),
        (lambda: ServiceTimes.mix([(0.5, [1.0]), (0.4, [2.0])]), "the shares of the mix must sum to 1, not 0.9"),
        (
            lambda: ServiceTimes.mix([(1.0, [1.0]), (0.0, [2.0])]),
            "a share of the mix must be a number above 0, not 0.0",
        ),
        (lambda: ServiceTimes.mix([(1.0, [])]), "the part of the mix with share 1.0 has no service times"),
        (lambda: ServiceTimes.of([1.0]).scaled(0), "the factor of the service times must be a number above 0, not 0"),
        (
            lambda: ServiceTimes.of([1.0]).quantile_seconds(95),
            "percentile must lie between 0 and 1, not 95; write 95 % as 0.95",
        ),
    ],
)
def test_what_is_refused_is_refused_in_one_line(make: object, message: str) -> None:
    assert callable(make)
    with pytest.raises(QueueingError, match=f"^{re.escape(message)}$"):
        make()
