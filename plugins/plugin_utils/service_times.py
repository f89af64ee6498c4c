# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Measured service times: the distribution of the seconds one worker needs for one request."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

# Shares that a user writes down (0.33, 0.33, 0.34) must sum to 1 this closely.
MIX_TOLERANCE = 1e-6
# Absorbs the rounding of sums and products: 19 of 20 samples are 95 %, and 0.1 × 30 Erlangs are 3 workers.
ROUNDING = 1e-9


class QueueingError(ValueError):
    """A question about a queue that has no answer; the message is one line for the user."""


def positive(name: str, value: float) -> float:
    """A finite number above zero, or one clear line."""
    if not math.isfinite(value) or value <= 0:
        raise QueueingError(f"{name} must be a number above 0, not {value}")
    return value


def proportion(name: str, value: float) -> float:
    """A number strictly between zero and one, or one clear line."""
    if not 0 < value < 1:
        raise QueueingError(f"{name} must lie between 0 and 1, not {value}; write 95 % as 0.95")
    return value


@dataclass(frozen=True)
class ServiceTimes:
    """Samples in seconds, ascending, and the share of the requests that each stands for."""

    samples_seconds: tuple[float, ...]
    shares: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.samples_seconds:
            raise QueueingError("there are no service times; measure at least one iteration")
        if len(self.samples_seconds) != len(self.shares):
            raise QueueingError(f"{len(self.samples_seconds)} service times have {len(self.shares)} shares")
        for seconds in self.samples_seconds:
            positive("a service time in seconds", seconds)
        for share in self.shares:
            positive("the share of a service time", share)
        total = math.fsum(self.shares)
        if abs(total - 1) > MIX_TOLERANCE:
            raise QueueingError(f"the shares of the service times must sum to 1, not {total:.6g}")
        pairs = sorted(zip(self.samples_seconds, self.shares, strict=True))
        object.__setattr__(self, "samples_seconds", tuple(float(seconds) for seconds, _unused in pairs))
        object.__setattr__(self, "shares", tuple(share / total for _unused, share in pairs))

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        """What was solved for service times is looked up by them, often: hash the samples once."""
        return hash((self.samples_seconds, self.shares))

    @classmethod
    def of(cls, samples_seconds: Iterable[float]) -> ServiceTimes:
        """Equally likely samples: the iterations of one measurement."""
        samples = tuple(samples_seconds)
        return cls(samples, (1 / len(samples),) * len(samples) if samples else ())

    @classmethod
    def mix(cls, parts: Iterable[tuple[float, Iterable[float]]]) -> ServiceTimes:
        """Audio of several lengths: (share of the requests, its samples in seconds), the shares summing to 1."""
        samples: list[float] = []
        shares: list[float] = []
        total = 0.0
        for share, seconds in parts:
            part = tuple(seconds)
            if not part:
                raise QueueingError(f"the part of the mix with share {share} has no service times")
            positive("a share of the mix", share)
            total += share
            samples.extend(part)
            shares.extend([share / len(part)] * len(part))
        if samples and abs(total - 1) > MIX_TOLERANCE:
            raise QueueingError(f"the shares of the mix must sum to 1, not {total:.6g}")
        return cls(tuple(samples), tuple(shares))

    @cached_property
    def mean_seconds(self) -> float:
        return math.fsum(seconds * share for seconds, share in self.pairs)

    @cached_property
    def scv(self) -> float:
        """Squared coefficient of variation: variance / mean²."""
        mean = self.mean_seconds
        return math.fsum(share * (seconds / mean - 1) ** 2 for seconds, share in self.pairs)

    @property
    def pairs(self) -> Iterable[tuple[float, float]]:
        """Every sample in seconds with its share."""
        return zip(self.samples_seconds, self.shares, strict=True)

    @property
    def longest_seconds(self) -> float:
        return self.samples_seconds[-1]

    @property
    def shortest_seconds(self) -> float:
        return self.samples_seconds[0]

    def share_within(self, seconds: float) -> float:
        """P(service time ≤ seconds)."""
        return self._cumulative[bisect_right(self.samples_seconds, seconds)]

    def quantile_seconds(self, percentile: float) -> float:
        """The smallest sample within which at least this share of the requests is served."""
        proportion("percentile", percentile)
        reached = bisect_left(self._cumulative, percentile - ROUNDING, lo=1)
        return self.samples_seconds[reached - 1]

    def scaled(self, factor: float) -> ServiceTimes:
        """Every service time multiplied: another machine's ratio, slower neighbours, a faster model."""
        positive("the factor of the service times", factor)
        return ServiceTimes(tuple(seconds * factor for seconds in self.samples_seconds), self.shares)

    @cached_property
    def _cumulative(self) -> list[float]:
        """P(service time among the first k samples), k = 0 … n; exactly 1 at the end."""
        return [0.0, *(min(total, 1.0) for total in accumulate(self.shares[:-1])), 1.0]
