# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the measured times themselves tell of disturbances: two speeds, a drift, an end unlike the beginning.

Each finding needs both an effect that matters and a test that chance passes in one or two cases of a hundred. Processes are what
repeats independently, so they, not iterations, are what trends are judged by. Pure functions; times are in milliseconds.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from functools import cache
from itertools import accumulate
from typing import NamedTuple

from bench_runner.student_t import two_sided_quantile

# Efficiency cores and busy hyper-threads cost 30 % and more; processes alone seldom lie 10 % apart.
MODES_APART = 0.10
# Ashman's D, distance of two means in units of the spread around them (Ashman, Bird and Zepf, 1994, ask for 2). The best
# cut through normal noise gives 2.7; of samples of 20 to 200 values, normal or lognormal, 999 in 1000 stay below 6.
ASHMAN_D = 6.0
FEWEST_OF_A_MODE = 3
LEAST_SHARE_OF_A_MODE = 0.1
# A trend of less decides nothing.
DRIFT_LIMIT = 0.02
FIRST_LAST_LIMIT = 0.03
# Of five processes one order in 60 rises or falls throughout; fewer cannot show a trend.
FEWEST_OF_A_TREND = 5
CHANCE_OF_A_TREND = 0.02
CONFIDENCE = 0.99
# Counting orders exactly takes n³ steps; from here on the normal distribution is as good.
EXACT_ORDERS = 40


class Modes(NamedTuple):
    """Two speeds: the mean of the faster and of the slower iterations, and the share of the slower."""

    fast_ms: float
    slow_ms: float
    slow_share: float


def modes(wall_ms: Sequence[float]) -> Modes | None:
    """The two speeds between which iterations changed, `None` where there is one.

    They are cut where the variance between the two parts is largest (Otsu's threshold), on the log scale.
    """
    ordered = sorted(wall_ms)
    count = len(ordered)
    fewest = max(FEWEST_OF_A_MODE, math.ceil(LEAST_SHARE_OF_A_MODE * count))
    if count < 2 * fewest:
        return None
    logs = [math.log(value) for value in ordered]
    sums = list(accumulate(logs, initial=0.0))

    def variance_between(cut: int) -> float:
        return cut * (count - cut) * (sums[cut] / cut - (sums[-1] - sums[cut]) / (count - cut)) ** 2

    cut = max(range(fewest, count - fewest + 1), key=variance_between)
    fast, slow = logs[:cut], logs[cut:]
    distance = statistics.fmean(slow) - statistics.fmean(fast)
    spread = math.sqrt((statistics.variance(fast) + statistics.variance(slow)) / 2)
    if distance < math.log1p(MODES_APART) or distance < ASHMAN_D * spread:
        return None
    return Modes(statistics.fmean(ordered[:cut]), statistics.fmean(ordered[cut:]), (count - cut) / count)


def drift(process_means_ms: Sequence[float]) -> float | None:
    """By what share the last third of the processes is slower than the first (negative: faster), where that is a trend.

    The trend is Mann and Kendall's: how many pairs of processes are in rising order. Medians say how large it is.
    """
    count = len(process_means_ms)
    if count < FEWEST_OF_A_TREND:
        return None
    third = max(1, count // 3)
    change = statistics.median(process_means_ms[-third:]) / statistics.median(process_means_ms[:third]) - 1
    falling = sum(
        earlier > later for index, earlier in enumerate(process_means_ms) for later in process_means_ms[index + 1 :]
    )
    if abs(change) <= DRIFT_LIMIT or _chance_of_falling_pairs(falling, count) > CHANCE_OF_A_TREND:
        return None
    return change


def first_to_last(process_means_ms: Sequence[float]) -> float | None:
    """By what share the last process is slower than the first, where those in between do not explain it."""
    between = [math.log(mean) for mean in process_means_ms[1:-1]]
    if len(between) < FEWEST_OF_A_MODE:
        return None
    change = process_means_ms[-1] / process_means_ms[0] - 1
    # The difference of two values has √2 times the deviation of one.
    usual = two_sided_quantile(CONFIDENCE, len(between) - 1) * math.sqrt(2) * statistics.stdev(between)
    return change if abs(change) > FIRST_LAST_LIMIT and abs(math.log1p(change)) > usual else None


def _chance_of_falling_pairs(falling: int, count: int) -> float:
    """How likely so few or so many falling pairs are in a random order of `count`, on both sides."""
    pairs = count * (count - 1) // 2
    rarer = min(falling, pairs - falling)
    if count > EXACT_ORDERS:
        deviation = math.sqrt(count * (count - 1) * (2 * count + 5) / 72)
        return min(1.0, 2 * statistics.NormalDist().cdf((rarer + 0.5 - pairs / 2) / deviation))
    return min(1.0, 2 * sum(_orders(count)[: rarer + 1]) / math.factorial(count))


@cache
def _orders(count: int) -> tuple[int, ...]:
    """How many orders of `count` values have 0, 1, 2, … falling pairs (Mahonian numbers)."""
    orders = [1]
    for values in range(2, count + 1):
        sums = [0]
        for number in range(len(orders) + values - 1):
            entering = orders[number] if number < len(orders) else 0
            leaving = orders[number - values] if number >= values else 0
            sums.append(sums[-1] + entering - leaving)
        orders = sums[1:]
    return tuple(orders)
