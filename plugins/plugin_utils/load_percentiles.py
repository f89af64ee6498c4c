# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Percentiles of requests that were timed, and what chance alone makes of percentiles that were predicted.

A percentile of few requests says little: it is given from as many requests on as bench_runner gives one of iterations.
Its interval is that of order statistics: with B ~ Binomial(n, p), the l-th and the u-th smallest hold the percentile
between them with probability P(l ≤ B < u) (David and Nagaraja, Order Statistics, 7.1). It takes requests as independent,
which those that wait for each other are not, so it is somewhat narrow. What a prediction is judged by is no interval,
but tests: the simulated queue is observed as often as needed, each time for as many requests as the real one was.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from ansible_collections.rightsize.whisper.plugins.plugin_utils.queueing import Dispatch
from ansible_collections.rightsize.whisper.plugins.plugin_utils.service_times import ServiceTimes
from ansible_collections.rightsize.whisper.plugins.plugin_utils.simulation import WARM_UP_SHARE, simulate

# Percentile -> fewest requests for it. From p90 on those of bench_runner.summary (MLPerf's early-stopping rule).
REQUESTS_NEEDED = {0.50: 20, 0.90: 64, 0.95: 130, 0.99: 662}
CONFIDENCE = 0.95
# Simulated tests: enough for the ends of the ranges, and no more simulated requests than some seconds allow.
MOST_TESTS, FEWEST_TESTS = 500, 200
SIMULATED_REQUESTS = 2_000_000


@dataclass(frozen=True)
class Measured:
    """A percentile of measured times, in seconds, with the interval that holds the true one."""

    seconds: float
    low: float
    high: float


@dataclass(frozen=True)
class Range:
    """Between these lie the percentiles of simulated tests, but for the share that is called unlikely."""

    low: float
    high: float

    def holds(self, seconds: float) -> bool:
        return self.low <= seconds <= self.high


def supported(requests: int) -> tuple[float, ...]:
    """The percentiles that so many requests support."""
    return tuple(percentile for percentile, needed in REQUESTS_NEEDED.items() if requests >= needed)


def measured_percentile(times_seconds: Sequence[float], percentile: float) -> Measured:
    """The smallest time that at least this share of the requests does not exceed; there must be enough of them."""
    ordered = sorted(times_seconds)
    count = len(ordered)
    low, high = order_statistics(count, percentile)
    return Measured(_percentile(ordered, percentile), ordered[low - 1], ordered[high - 1])


def order_statistics(count: int, percentile: float, confidence: float = CONFIDENCE) -> tuple[int, int]:
    """The ranks, from 1, of the two times that hold the percentile between them."""
    tail = (1 - confidence) / 2
    low, high = 1, count
    for rank, cumulated in enumerate(_binomial_cdf(count, percentile), start=1):
        # P(B < rank) and P(B ≥ rank).
        if cumulated <= tail:
            low = rank
        if 1 - cumulated <= tail:
            high = rank
            break
    return low, min(high, count)


def chance_ranges(
    percentiles: Iterable[float],
    arrival_rate_rps: float,
    service_times: ServiceTimes,
    workers: int,
    *,
    dispatch: Dispatch,
    requests: int,
    seed: int,
) -> dict[float, Range]:
    """For each percentile what tests of so many requests find where the prediction is right.

    All of them hold at once in 95 of 100 tests, or more: each leaves out its part of the rest (Bonferroni).
    """

    def test(number: int) -> Sequence[float]:
        return simulate(
            arrival_rate_rps, service_times, workers, dispatch=dispatch, requests=requests, seed=seed + number
        ).responses_seconds

    return _ranges(percentiles, test, requests)


def replay_ranges(
    percentiles: Iterable[float],
    arrivals: Sequence[tuple[float, int]],
    service_times: ServiceTimes,
    workers: int,
    *,
    dispatch: Dispatch,
    seed: int,
) -> dict[float, Range]:
    """The same for just these arrivals, each with its second and its worker: chance has the service times alone."""
    cumulated = list(accumulate(service_times.shares))
    warm_up = round(len(arrivals) * WARM_UP_SHARE)

    def test(number: int) -> Sequence[float]:
        dice = random.Random(seed + number)
        services = dice.choices(service_times.samples_seconds, cum_weights=cumulated, k=len(arrivals))
        free_at = [0.0] * workers
        responses: list[float] = []
        for (seconds, asked), service in zip(arrivals, services, strict=True):
            worker = free_at.index(min(free_at)) if dispatch == "pooled" else asked
            free_at[worker] = max(seconds, free_at[worker]) + service
            responses.append(free_at[worker] - seconds)
        return sorted(responses[warm_up:])

    return _ranges(percentiles, test, len(arrivals))


def _ranges(percentiles: Iterable[float], test: Callable[[int], Sequence[float]], requests: int) -> dict[float, Range]:
    """The ranges of many tests, each of which gives its times in ascending order."""
    wanted = tuple(percentiles)
    if not wanted:
        return {}
    tests = max(FEWEST_TESTS, min(MOST_TESTS, SIMULATED_REQUESTS // requests))
    found: dict[float, list[float]] = {percentile: [] for percentile in wanted}
    for number in range(tests):
        times = test(number)
        for percentile in wanted:
            found[percentile].append(_percentile(times, percentile))
    left_out = int(tests * (1 - CONFIDENCE) / len(wanted) / 2)
    ordered = {percentile: sorted(values) for percentile, values in found.items()}
    return {percentile: Range(values[left_out], values[-1 - left_out]) for percentile, values in ordered.items()}


def _percentile(ordered: Sequence[float], percentile: float) -> float:
    """The smallest time that at least this share of them does not exceed."""
    return ordered[math.ceil(percentile * len(ordered)) - 1]


def _binomial_cdf(count: int, share: float) -> Iterator[float]:
    """P(B ≤ k) for k = 0, 1, …"""
    cumulated = 0.0
    for k in range(count + 1):
        ways = math.lgamma(count + 1) - math.lgamma(k + 1) - math.lgamma(count - k + 1)
        cumulated += math.exp(ways + k * math.log(share) + (count - k) * math.log1p(-share))
        yield cumulated
