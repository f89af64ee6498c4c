# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a run has measured enough: after the iterations asked for, or once the mean is known as well as was asked.

The interval is Student's, of the logarithms of the process means: noise multiplies, and processes are what repeats
independently. Who looks after every process stops at a lucky one and believes too narrow an interval. So it is looked
at only at `LOOKS`, and with 99 % where 95 % is meant; with 99.9 % at the first, where five processes may agree by luck.
Simulated over ratios of noise to precision and kinds of noise, the intervals of runs that stop so hold the truth as
often as they promise (docs/accuracy.md). With 95 % at each look it is down to 90 % even where noise is normal.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from bench_runner.student_t import two_sided_quantile

# The processes after which a run may find that it knows enough; each about half as many again.
LOOKS = (5, 8, 12, 18, 27, 40, 60, 90, 135, 202, 303, 455, 683)
LOOKING_CONFIDENCE = 0.99
FIRST_LOOK_CONFIDENCE = 0.999

StopReason = Literal["iterations_done", "precision_reached", "time_budget", "most_processes"]


class Plan(Protocol):
    """How many processes a run has, and how many iterations each."""

    def share(self, process: int) -> int:
        """The iterations of a process, counted from 1."""

    def expected_processes(self, means_ms: Sequence[float]) -> int:
        """How many there will be in all, as far as the means of those done tell."""

    def stop_reason(self, means_ms: Sequence[float], seconds: Sequence[float]) -> StopReason | None:
        """Whether to stop, given the means of the processes done, and the durations of those that this run did itself."""

    def seconds_left(self, seconds_used: float) -> float:
        """How long it may still take at most."""

    def record(self, means_ms: Sequence[float]) -> dict[str, Any]:
        """What the result says of it."""


@dataclass(frozen=True)
class FixedPlan:
    """Exactly so many iterations."""

    shares: tuple[int, ...]

    def share(self, process: int) -> int:
        return self.shares[process - 1] if process <= len(self.shares) else 0

    def expected_processes(self, _means_ms: Sequence[float]) -> int:
        return len(self.shares)

    def stop_reason(self, means_ms: Sequence[float], _seconds: Sequence[float]) -> StopReason | None:
        return "iterations_done" if len(means_ms) == len(self.shares) else None

    def seconds_left(self, _seconds_used: float) -> float:
        return math.inf

    def record(self, means_ms: Sequence[float]) -> dict[str, Any]:
        return _record(len(self.shares), len(means_ms))


@dataclass(frozen=True)
class AdaptivePlan:
    """Processes of `iterations_each` until the interval reaches no further than `precision` above the mean.

    Of a ratio the run is one of two sides. The half-widths of both combine as √(h₁² + h₂²), so each side may have
    precision / √2. A process that would end beyond the time budget is not begun.
    """

    iterations_each: int
    precision: float
    of_ratio: bool
    most_processes: int
    time_budget_seconds: float | None

    @property
    def _log_half_width(self) -> float:
        """What the half-width may be, on the log scale."""
        return math.log1p(self.precision) / (math.sqrt(2) if self.of_ratio else 1)

    @property
    def _looks(self) -> list[int]:
        return [*(look for look in LOOKS if look < self.most_processes), self.most_processes]

    def share(self, _process: int) -> int:
        return self.iterations_each

    def expected_processes(self, means_ms: Sequence[float]) -> int:
        """The next look at which the spread so far would do: n ≥ (t·s / h)²."""
        done = len(means_ms)
        if done < 2:
            return self._looks[0]
        deviation = statistics.stdev(map(math.log, means_ms))
        return next(
            (look for look in self._looks if look > done and self._reached(deviation, look)), self.most_processes
        )

    def stop_reason(self, means_ms: Sequence[float], seconds: Sequence[float]) -> StopReason | None:
        done = len(means_ms)
        if done in self._looks and self._reached(statistics.stdev(map(math.log, means_ms)), done):
            return "precision_reached"
        if done >= self.most_processes:
            return "most_processes"
        if self.time_budget_seconds is not None and sum(seconds) + max(seconds, default=0) > self.time_budget_seconds:
            return "time_budget"
        return None

    def seconds_left(self, seconds_used: float) -> float:
        return math.inf if self.time_budget_seconds is None else max(0.0, self.time_budget_seconds - seconds_used)

    def record(self, means_ms: Sequence[float]) -> dict[str, Any]:
        return _record(
            self.most_processes,
            len(means_ms),
            precision=self.precision,
            precision_of="ratio" if self.of_ratio else "latency",
            half_width=relative_half_width(means_ms),
            time_budget_seconds=self.time_budget_seconds,
        )

    def half_width_wanted(self) -> float:
        """How far above the mean the interval of this run may reach, relative to it."""
        return math.expm1(self._log_half_width)

    def _reached(self, deviation: float, processes: int) -> bool:
        confidence = FIRST_LOOK_CONFIDENCE if processes <= LOOKS[0] else LOOKING_CONFIDENCE
        return _half_width(deviation, processes, confidence) <= self._log_half_width


def relative_half_width(means_ms: Sequence[float]) -> float | None:
    """How far the interval reaches above the mean, relative to it; `None` for a single process, which has none."""
    if len(means_ms) < 2:
        return None
    deviation = statistics.stdev(map(math.log, means_ms))
    return round(math.expm1(_half_width(deviation, len(means_ms), LOOKING_CONFIDENCE)), 6)


def _half_width(deviation: float, processes: int, confidence: float) -> float:
    """t·s/√n"""
    return two_sided_quantile(confidence, processes - 1) * deviation / math.sqrt(processes)


def _record(planned: int, used: int, **of_precision: Any) -> dict[str, Any]:
    names = ("precision", "precision_of", "half_width", "time_budget_seconds")
    return {"processes_planned": planned, "processes_used": used, **dict.fromkeys(names), **of_precision}
