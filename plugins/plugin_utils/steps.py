# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a history of run means stepped up or down, and how far.

Judged on the log scale, where noise adds and a ratio is a difference. The intervals that are looked at are those of
seeded binary segmentation (Kovács, Bühlmann, Li and Munk, Biometrika 2023): the whole history, then layers of half the
length, each half overlapping the next, down to 20 runs. So a short visit to another level is found as well, and the
work is n log n. In each interval the best place for one step is where Student's t between both parts is largest. Of the
intervals that show a step the narrowest counts (narrowest over threshold: Baranowski, Chen and Fryzlewicz, JRSS B 2019),
since it holds one step and little drift; those that hold the place are then done with, and the next narrowest follows.

What an interval must show, so that at most one quiet history in twenty gives a step:
- t above Student's quantile for an error of 3 % over all places in all intervals (Bonferroni);
- t is divided by the square root of (1 + r) / (1 - r), by which correlation r of neighbouring runs widens a mean's error
  (r of a first-order autoregression), and has as many degrees of freedom as that leaves;
- what is further than 3 robust standard deviations (1.4826 MAD) from the interval's median counts as at that limit, so
  that a slow run is no step;
- a step explains the interval better than a straight line, which a drift is, and is as large as asked for.

Runs of the same hour share that hour's fortune, so where a history has 10 hours or more, an hour is what counts, by the
mean of the logarithms of its runs. Of fewer hours correlation cannot be estimated, so at least 0.25 is taken.

The answer depends on means and hours alone: nothing is drawn by lot. How often all of this errs: docs/accuracy.md.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, pairwise
from operator import mul

from ansible_collections.rightsize.whisper.plugins.plugin_utils.student_t import student_t_quantile

# Of the 5 % that are promised: drift and skewed noise take their share.
ERROR = 0.03
CONFIDENCE = 0.95
# Runs on each side of a step: of fewer, runs of one slow hour would be one.
MIN_RUNS = 5
SHORTEST_INTERVAL = 20
# What correlation of neighbours is estimated in: longer, and more than one step might lie within.
CORRELATION_INTERVAL = 40
# What runs of few hours are taken to have at least: of them it cannot be estimated.
FEW_HOURS_CORRELATION = 0.25
# Of a longer history the newest are judged.
MAX_RUNS = 2000
MIN_SIZE = 0.02
_LIMIT = 3 * 1.4826
# No latency is measured better than to a ten-thousandth: of runs that agree closer, arithmetic would make steps.
_LEAST_DEVIATION = 1e-4
_MOST_CORRELATION = 0.9
# How far from where it was found a step's place is looked for again, with its neighbours known.
_REACH = 20


class StepsError(ValueError):
    """A size that is none; the message is one line for the user."""


@dataclass(frozen=True)
class Step:
    """A step before the run at `position`, counted from 0 for the oldest.

    `ratio` is the level after over the level before, with its 95 % interval; levels are geometric means of the `before`
    and `after` runs between this step and its neighbours, without what lies far off.
    """

    position: int
    ratio: float
    low: float
    high: float
    before: int
    after: int
    before_ms: float
    after_ms: float


@dataclass(frozen=True)
class _Split:
    """The best place for one step in values: how far the parts differ, and how sure that is were runs independent."""

    place: int
    difference: float
    t: float
    residual_squares: float


def find_steps(
    means_ms: Sequence[float], least_size: float = MIN_SIZE, times: Sequence[str] | None = None
) -> list[Step]:
    """The steps in run means, oldest first, all above 0; positions count from the first of them.

    Of more than MAX_RUNS the newest are judged. `least_size` is a share: 0.02 leaves out steps of less than 2 %. `times`
    are those of the runs (2026-11-23T12:15:00Z): with them the runs of an hour count as one, where `counts_hours`.
    """
    skipped = max(0, len(means_ms) - MAX_RUNS)
    logs = [math.log(mean) for mean in means_ms[skipped:]]
    if len(logs) < 2 * MIN_RUNS:
        return []
    hours = None if times is None else _firsts_of_hours(times[skipped:])
    by_hour = hours is not None and len(hours) >= 2 * MIN_RUNS
    firsts = hours if hours is not None and by_hour else range(len(logs))
    units = [statistics.fmean(logs[start:end]) for start, end in pairwise([*firsts, len(logs)])]
    correlation, least = _correlation(units), math.log1p(least_size)
    if hours is not None and not by_hour:
        correlation = max(correlation, FEW_HOURS_CORRELATION)
    places = _settled(units, sorted(_places(units, correlation, least)))
    while True:
        found = []
        for start, place, end in _with_neighbours(places, len(units)):
            runs = [firsts[unit] if unit < len(firsts) else len(logs) for unit in (start, place, end)]
            found.append(_step(units, (start, place, end), [run + skipped for run in runs], correlation))
        sizes = [abs(math.log(step.ratio)) for step in found]
        if not found or min(sizes) >= least:
            return found
        # Between its neighbours it is smaller than where it was found. Without it, theirs reach further.
        places.pop(sizes.index(min(sizes)))


def min_size(value: object) -> float:
    """The least size of a step as a user gave it, a number or its text."""
    try:
        size = float(str(value))
    except ValueError:
        size = math.nan
    if not 0 < size < 1:
        raise StepsError(f"compare_step_size is {ascii(value)[:60]}: name a share between 0 and 1, such as 0.02")
    return size


def counts_hours(times: Sequence[str]) -> bool:
    """Whether there are enough hours to judge by: runs of one share that hour's fortune. Of fewer, each run counts."""
    return len(_firsts_of_hours(times[-MAX_RUNS:])) >= 2 * MIN_RUNS


def _firsts_of_hours(times: Sequence[str]) -> list[int]:
    hours = [time[:13] for time in times]
    return [number for number, hour in enumerate(hours) if number == 0 or hour != hours[number - 1]]


def _places(logs: Sequence[float], correlation: float, least: float) -> list[int]:
    """Where narrow intervals show steps."""
    intervals = list(_intervals(len(logs)))
    tests = sum(end - start - 2 * MIN_RUNS + 1 for start, end in intervals)
    shown = []
    for start, end in intervals:
        values = _clipped(logs[start:end])
        split = _best_split(values)
        if (
            abs(split.difference) >= least
            and abs(split.t) > _critical(tests, end - start, correlation)
            and split.residual_squares < _line_residual_squares(values)
        ):
            shown.append((end - start, -abs(split.t), start, end, start + split.place))
    places: list[int] = []
    for _length, _t, start, end, place in sorted(shown):
        # One that only touches a place on its edge holds another step.
        apart = all(abs(place - known) >= MIN_RUNS for known in places)
        if apart and not any(start < known < end for known in places):
            places.append(place)
    return places


def _intervals(count: int) -> Iterator[tuple[int, int]]:
    """Start and end of every interval that is looked at: the same from either end of the history."""
    yield 0, count
    layer = 2
    while (length := math.ceil(count / layer)) >= SHORTEST_INTERVAL:
        places = 2 * layer - 1
        starts = {(count - length) * number // (places - 1) for number in range(places)}
        for start in sorted(starts | {count - length - start for start in starts}):
            yield start, start + length
        layer *= 2


def _clipped(values: Sequence[float]) -> list[float]:
    """How far values are from their median, at most as far as the limit."""
    median = statistics.median(values)
    differences = [value - median for value in values]
    limit = _LIMIT * max(statistics.median(map(abs, differences)), _LEAST_DEVIATION)
    return [min(max(difference, -limit), limit) for difference in differences]


def _best_split(values: Sequence[float]) -> _Split:
    """Where both parts differ most, in standard errors; values are near 0."""
    count = len(values)
    total = math.fsum(values)
    squares = math.fsum(map(mul, values, values))
    sums = list(accumulate(values))
    # The squares that the parts' means leave over are least where this is most.
    gains = [
        (sums[place - 1] - total * place / count) ** 2 * count / (place * (count - place))
        for place in range(MIN_RUNS, count - MIN_RUNS + 1)
    ]
    gain = max(gains)
    place = MIN_RUNS + gains.index(gain)
    difference = (total - sums[place - 1]) / (count - place) - sums[place - 1] / place
    residual_squares = max(squares - total**2 / count - gain, count * _LEAST_DEVIATION**2)
    error = math.sqrt(residual_squares / (count - 2) * (1 / place + 1 / (count - place)))
    return _Split(place, difference, difference / error, residual_squares)


def _line_residual_squares(values: Sequence[float]) -> float:
    """The squares that the best straight line leaves over."""
    middle, mean = (len(values) - 1) / 2, statistics.fmean(values)
    across = math.fsum((number - middle) * value for number, value in enumerate(values))
    spread = math.fsum((number - middle) ** 2 for number in range(len(values)))
    return math.fsum((value - mean) ** 2 for value in values) - across**2 / spread


def _correlation(logs: Sequence[float]) -> float:
    """How neighbours are correlated: the median over pieces of the history, each without its own best step.

    What the two means of a piece of n take away, about 2/n, is given back.
    """
    length = min(CORRELATION_INTERVAL, len(logs))
    found = []
    starts = set(range(0, len(logs) - length + 1, max(1, length // 2)))
    for start in sorted(starts | {len(logs) - length - start for start in starts}):
        values = _clipped(logs[start : start + length])
        split = _best_split(values)
        parts = values[: split.place], values[split.place :]
        residuals = [value - mean for part in parts for mean in [statistics.fmean(part)] for value in part]
        squares = math.fsum(map(mul, residuals, residuals))
        if squares > 0:
            found.append(math.fsum(one * other for one, other in pairwise(residuals)) / squares + 2 / length)
    return min(max(statistics.median(found), 0.0), _MOST_CORRELATION) if found else 0.0


def _widening(correlation: float) -> float:
    """By what correlation of neighbours multiplies the variance of a mean."""
    return (1 + correlation) / (1 - correlation)


@lru_cache(maxsize=1024)
def _critical(tests: int, count: int, correlation: float) -> float:
    """What t must be above in an interval of so many runs."""
    return _quantile(ERROR / tests, count, correlation) * math.sqrt(_widening(correlation))


def _quantile(error: float, count: int, correlation: float) -> float:
    return student_t_quantile(1 - error / 2, max(count / _widening(correlation) - 2, 3))


def _settled(logs: Sequence[float], places: Sequence[int]) -> list[int]:
    """Each place again, now that no other step is in the way."""
    settled = []
    for start, place, end in _with_neighbours(places, len(logs)):
        start, end = max(start, place - _REACH), min(end, place + _REACH)
        settled.append(start + _best_split(_clipped(logs[start:end])).place)
    # Two that came too near each other are one.
    return [place for before, place in pairwise([-MIN_RUNS, *settled]) if place - before >= MIN_RUNS]


def _with_neighbours(places: Sequence[int], count: int) -> Iterator[tuple[int, int, int]]:
    yield from zip([0, *places], places, [*places[1:], count], strict=False)


def _step(units: Sequence[float], place: tuple[int, int, int], runs: Sequence[int], correlation: float) -> Step:
    """The step in `place`: start, step and end in units; `runs` are the same in runs."""
    sides = units[place[0] : place[1]], units[place[1] : place[2]]
    levels, squares = [], 0.0
    for side in sides:
        clipped = _clipped(side)
        mean = statistics.fmean(clipped)
        levels.append(statistics.median(side) + mean)
        squares += math.fsum((value - mean) ** 2 for value in clipped)
    before, after = map(len, sides)
    variance = squares / (before + after - 2) * (1 / before + 1 / after) * _widening(correlation)
    width = _quantile(1 - CONFIDENCE, before + after, correlation) * math.sqrt(variance)
    difference = levels[1] - levels[0]
    return Step(
        position=runs[1],
        ratio=math.exp(difference),
        low=math.exp(difference - width),
        high=math.exp(difference + width),
        before=runs[1] - runs[0],
        after=runs[2] - runs[1],
        before_ms=math.exp(levels[0]),
        after_ms=math.exp(levels[1]),
    )
