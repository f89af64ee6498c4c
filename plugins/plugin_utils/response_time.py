# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How long a request takes, waiting and service together, when service times are measured samples.

In a queue with one worker and Poisson arrivals (M/G/1) the wait H of a request that has to wait solves the renewal
equation H = G + ρ·(g ∗ H), where G is the tail and g the density of the residual service time,
G(x) = E[max(S - x, 0)] / E[S] (Pollaczek–Khinchine; Asmussen, Applied Probability and Queues, VIII.5). It is solved on
a lattice, once per utilisation on a fixed scale, and interpolated between. No moment is matched, so service times in
several humps (a mix of audio lengths, temperature fallback) are as exact as smooth ones. The lattice keeps what theory
promises: H falls with time and rises with utilisation.

Other queues are expressed by two figures, the probability that a request waits and the speed at which its wait passes.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import accumulate, pairwise
from operator import mul
from typing import NamedTuple

from ansible_collections.rightsize.whisper.plugins.plugin_utils.service_times import ROUNDING, ServiceTimes

# The lattice: steps per mean service time, how far it reaches (then the tail is exponential), and its most steps.
STEPS_PER_MEAN = 16
REACH_MEANS = 4.0
REACH_LONGEST = 3.0
MOST_STEPS = 384
# The exponential tail falls as fast as the lattice does over its last steps.
TAIL_STEPS = 8
# A share that does not count.
NOTHING = 1e-15
# Utilisations are solved at 1 - exp(-0.06 k): 0, 0.06, 0.11 … 0.70 … and ever closer to 1.
UTILISATION_SPACING = 0.06
# Own service times are added to the wait in groups. A group ends when it has both a share and a width (in mean service
# times) that matter, or is wide.
GROUP_SHARE = 1 / 48
GROUP_WIDTH = 0.03
GROUP_WIDE = 0.5
# A percentile is found this closely: relative to the time, or to the share of slower requests.
TIME_TOLERANCE = 5e-4
SHARE_TOLERANCE = 2e-3


class Solution(NamedTuple):
    """P(wait > k steps | the request waits), the factor by which it falls per step beyond, and where it has vanished."""

    tail: list[float]
    decay: float
    vanished: float

    @classmethod
    def of(cls, tail: list[float]) -> Solution:
        before, last = tail[-1 - TAIL_STEPS], tail[-1]
        if last < NOTHING:
            return cls(tail, 0.0, next(k for k, share in enumerate(tail) if share < NOTHING))
        decay = (last / before) ** (1 / TAIL_STEPS)
        return cls(tail, decay, len(tail) - 1 + math.log(NOTHING / last) / math.log(decay))

    def beyond(self, steps: float) -> float:
        return self.tail[-1] * math.pow(self.decay, steps)


class WaitCurve(NamedTuple):
    """The wait of delayed requests, between the solutions for two utilisations."""

    lower: Solution
    upper: Solution
    weight: float

    def above(self, steps: Sequence[float]) -> list[float]:
        """P(wait > s | the request waits) for each s of a falling sequence of steps."""
        weight, low, high = self.weight, self.lower.tail, self.upper.tail
        end = len(low) - 1
        vanished = bisect_left(steps, True, key=lambda step: step < self.upper.vanished)
        far = bisect_left(steps, True, lo=vanished, key=lambda step: step < end)
        shares = [0.0] * vanished
        for step in steps[vanished:far]:
            shares.append((1 - weight) * self.lower.beyond(step - end) + weight * self.upper.beyond(step - end))
        for step in steps[far:]:
            k = int(step)
            here = low[k] + weight * (high[k] - low[k])
            there = low[k + 1] + weight * (high[k + 1] - low[k + 1])
            shares.append(here + (step - k) * (there - here))
        return shares


class Residual(NamedTuple):
    """The residual service time on the lattice: P(more than k steps), and its mass, split between neighbours."""

    tail: list[float]
    mass: list[float]
    mass_from_left: list[float]
    mass_at_zero: float

    @classmethod
    def of(cls, times: ServiceTimes, step_seconds: float, steps: int) -> Residual:
        within = [0.0, *accumulate(times.shares)]
        first = [0.0, *accumulate(map(mul, times.shares, times.samples_seconds))]
        second = [0.0, *accumulate(share * seconds**2 for seconds, share in times.pairs)]
        tail: list[float] = []
        integrals: list[tuple[float, float]] = []
        for k in range(steps + 1):
            x = k * step_seconds
            n = bisect_right(times.samples_seconds, x)
            above = max(0.0, 1.0 - within[n])
            shorter = first[n] + above * x  # E[min(S, x)]
            integrals.append((shorter, first[n] * x - second[n] / 2 + above * x * x / 2))
            # Exactly zero from the longest on, so that no rounding passes for a tail.
            tail.append(max(0.0, 1.0 - shorter / times.mean_seconds) if x < times.longest_seconds else 0.0)
        left, right = [0.0], []
        for (shorter, area), (shorter_next, area_next) in pairwise(integrals):
            mass = (shorter_next - shorter) / times.mean_seconds
            upward = (shorter_next - (area_next - area) / step_seconds) / times.mean_seconds
            left.append(max(0.0, upward))
            right.append(max(0.0, mass - upward))
        size = min(steps, math.ceil(times.longest_seconds / step_seconds))
        return cls(tail, [a + b for a, b in zip(left, right, strict=False)][: size + 1], left[: size + 1], right[0])


class Groups(NamedTuple):
    """Service times gathered by length: the mean, share and longest of each group, and the share up to its end."""

    mean_seconds: list[float]
    share: list[float]
    longest_seconds: list[float]
    share_within: list[float]

    @classmethod
    def of(cls, times: ServiceTimes) -> Groups:
        groups = cls([], [], [], [0.0])
        weighted = share = 0.0
        shortest = times.shortest_seconds
        following = (*times.samples_seconds[1:], math.inf)
        for (seconds, own), next_seconds in zip(times.pairs, following, strict=True):
            weighted += own * seconds
            share += own
            width = (next_seconds - shortest) / times.mean_seconds
            if width >= GROUP_WIDE or (share >= GROUP_SHARE and width >= GROUP_WIDTH):
                groups.mean_seconds.append(weighted / share)
                groups.share.append(share)
                groups.longest_seconds.append(seconds)
                groups.share_within.append(groups.share_within[-1] + share)
                weighted = share = 0.0
                shortest = next_seconds
        return groups


class SingleWorker:
    """The queue of one worker with Poisson arrivals: what is computed once for given service times."""

    def __init__(self, times: ServiceTimes) -> None:
        reach_seconds = REACH_LONGEST * times.longest_seconds + REACH_MEANS * times.mean_seconds
        steps = min(MOST_STEPS, math.ceil(reach_seconds / times.mean_seconds * STEPS_PER_MEAN))
        self.step_seconds = reach_seconds / steps
        self.groups = Groups.of(times)
        self._residual = Residual.of(times, self.step_seconds, steps)
        self._solved: dict[int, Solution] = {}

    @property
    def solved_utilisations(self) -> int:
        return len(self._solved)

    def wait(self, utilisation: float) -> WaitCurve:
        """The wait of delayed requests: two solved utilisations, interpolated."""
        below = int(-math.log1p(-utilisation) / UTILISATION_SPACING)
        lower, upper = _solved_utilisation(below), _solved_utilisation(below + 1)
        weight = (utilisation - lower) / (upper - lower)
        return WaitCurve(self._solve(below), self._solve(below + 1), weight)

    def _solve(self, index: int) -> Solution:
        """H on the lattice; between its points H is taken as straight, which keeps it exact to second order."""
        if index not in self._solved:
            utilisation = _solved_utilisation(index)
            residual = self._residual
            size = len(residual.mass) - 1
            backwards = residual.mass[:0:-1]
            scale = 1 / (1 - utilisation * residual.mass_at_zero)
            tail = [1.0]
            for i in range(1, len(residual.tail)):
                reach = min(i - 1, size)
                convolved = sum(map(mul, backwards[size - reach :], tail[i - reach : i]))
                if i <= size:
                    convolved += residual.mass_from_left[i]
                tail.append(scale * (residual.tail[i] + utilisation * convolved))
            self._solved[index] = Solution.of(tail)
        return self._solved[index]


def _solved_utilisation(index: int) -> float:
    return -math.expm1(-UTILISATION_SPACING * index)


@lru_cache(maxsize=32)
def single_worker(times: ServiceTimes) -> SingleWorker:
    return SingleWorker(times)


@dataclass(frozen=True)
class ResponseTime:
    """Waiting and own service of a request, in a queue where a request waits with a probability and, then, 1/speed of
    what it would wait for a single worker at this utilisation."""

    times: ServiceTimes
    utilisation: float
    wait_probability: float
    speed: float

    def share_above(self, seconds: float) -> float:
        """P(response > seconds)."""
        # A limit that equals a service time, but for the rounding of a factor, admits it.
        seconds *= 1 + ROUNDING
        groups = self._groups
        complete = bisect_right(groups.longest_seconds, seconds)
        now = seconds * self._steps_per_second
        steps = [now - own for own in self._own_steps[: complete + 1]]
        shares = groups.share[: complete + 1]
        within = self.times.share_within(seconds)
        if complete < len(groups.share):
            # The group that the limit cuts in two counts as far as it lies within.
            steps[-1] = max(0.0, steps[-1])
            shares[-1] = within - groups.share_within[complete]
        too_late: float = sum(map(mul, shares, self._wait.above(steps)))
        return 1.0 - within + self.wait_probability * too_late

    def percentile_seconds(self, percentile: float) -> float:
        """The time within which this share of the requests is answered."""
        allowed = 1 - percentile
        served = self.times.quantile_seconds(percentile)
        if self._known_share_above(served) <= allowed + ROUNDING:
            return served
        low, high = self._bracket(served, allowed)
        over, under = self._excess(low, allowed), self._excess(high, allowed)
        # Regula falsi on the nearly straight logarithm, halving the weight of an end that stays (Illinois).
        while high - low > TIME_TOLERANCE * high:
            middle = high - under * (high - low) / (under - over)
            excess = self._excess(middle, allowed)
            if abs(excess) < SHARE_TOLERANCE:
                return middle
            if excess > 0:
                low, over, under = middle, excess, under / 2
            else:
                high, under, over = middle, excess, over / 2
        return high

    def _bracket(self, low: float, allowed: float) -> tuple[float, float]:
        """A time that too many requests exceed, and one that they do not, from what is known and longer times."""
        low = max(low, *(seconds for seconds, share in self._known.items() if share > allowed))
        high = min((seconds for seconds, share in self._known.items() if share <= allowed), default=None)
        width = self.times.mean_seconds * (1 + self.times.scv) / (1 - self.utilisation) / self.speed
        while high is None:
            if self._known_share_above(low + width) <= allowed:
                high = low + width
            else:
                low, width = low + width, 2 * width
        return low, high

    def _excess(self, seconds: float, allowed: float) -> float:
        """Above zero where more requests than allowed take longer."""
        return math.log(max(self._known_share_above(seconds), 1e-300) / allowed)

    def _known_share_above(self, seconds: float) -> float:
        if seconds not in self._known:
            self._known[seconds] = self.share_above(seconds)
        return self._known[seconds]

    @cached_property
    def _known(self) -> dict[float, float]:
        """Shares computed on the way to one percentile help to find the next."""
        return {}

    @cached_property
    def _wait(self) -> WaitCurve:
        return single_worker(self.times).wait(self.utilisation)

    @cached_property
    def _groups(self) -> Groups:
        return single_worker(self.times).groups

    @cached_property
    def _steps_per_second(self) -> float:
        return self.speed / single_worker(self.times).step_seconds

    @cached_property
    def _own_steps(self) -> list[float]:
        return [mean * self._steps_per_second for mean in self._groups.mean_seconds]
