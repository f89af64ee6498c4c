# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What measured iterations say of a mean and of a ratio of two means, and how sure that is.

This package holds that
- the process is what repeats independently, the iteration is not: an interval comes from the process means. (Five
  processes on one quiet machine had means from 2.05 to 2.17 s, and standard deviations of 0.03 to 0.09 s within.)
- noise multiplies: it is judged on the log scale, where a ratio is a difference and R(A, B) = 1 / R(B, A).
- what is estimated is the arithmetic mean, because the CPU that a load needs is its rate times that mean.

So the centre of an interval is the mean, or the mean over the mean, of all iterations. Its width is Welch's: with s²
the variance of the r logarithms of a side's process means, SE² = Σ s²/r over the sides, and the interval is
centre · exp(± t·SE), with t from Student's distribution and its degrees of freedom by Welch and Satterthwaite. (The
two levels, process and iteration: Kalibera and Jones, ISMM 2013.) The textbook centres it on the ratio of the geometric
means of the process means. That differs from mean over mean by the factor exp((s²_A − s²_B) / 2), a thousandth where
processes differ by 5 %; centred there, the interval of many noisy processes need not hold the ratio printed beside it.

A run that stopped as soon as it found its interval narrow (`Sample.looked`) has stopped at a lucky moment more often
than not. So where one side did, t is that of a fifth of the error allowed (`LOOKED_ERROR`): simulated with several kinds
of noise, the interval then covers the truth as often as it promises (docs/accuracy.md).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypedDict

from ansible_collections.rightsize.whisper.plugins.plugin_utils.student_t import student_t_quantile

CONFIDENCE = 0.95
# Two processes give a variance with one degree of freedom, and t = 12.7: no interval worth printing.
MIN_PROCESSES = 3
# An interval that reaches further than this from its centre decides little; 3 % is what benchmarks aim at.
WIDE = 0.05
AIM = 0.03
# 99 % in place of 95 %: what bench_runner looks with (LOOKING_CONFIDENCE of bench_runner/stopping.py).
LOOKED_ERROR = 0.2


class StatisticsError(ValueError):
    """Figures from which nothing can be computed; the message is one line for the user."""


class Caveat(TypedDict):
    """A warning: a stable code for programs, a sentence with figure and remedy for people."""

    code: str
    message: str


@dataclass(frozen=True)
class Summary:
    """An estimate, the interval that covers the truth with `confidence` (None: no interval), and what to beware of."""

    centre: float
    low: float | None
    high: float | None
    confidence: float
    warnings: tuple[Caveat, ...] = ()

    def contains(self, value: float) -> bool | None:
        """Whether the interval holds `value`; None where there is no interval."""
        return None if self.low is None or self.high is None else self.low <= value <= self.high


@dataclass(frozen=True)
class Sample:
    """The measured iterations of one run, process by process, all above zero; and whether it looked at its interval to
    find out when to stop. Where something else repeats than processes, `repeated` is the word for it."""

    processes: tuple[tuple[float, ...], ...]
    looked: bool = False
    repeated: str = "processes"

    def __post_init__(self) -> None:
        if not self.processes or not all(self.processes):
            raise StatisticsError("there are no measured iterations")
        for value in self.iterations:
            if not 0 < value < math.inf:
                raise StatisticsError(f"a measured time must be a number above 0, not {value}")

    @classmethod
    def of_result(cls, result: Mapping[str, Any], key: str = "wall_ms") -> Sample:
        """The iterations of a result; `key` may also name a phase, such as `encoder_ms`."""
        try:
            processes: Sequence[Mapping[str, Sequence[float]]] = result["processes"]
            # A process that was killed while it warmed up has none.
            measured = tuple(tuple(float(value) for value in process[key]) for process in processes if process[key])
            looked = (result.get("stopping") or {}).get("precision") is not None
            return cls(measured, looked)
        except (KeyError, TypeError) as error:
            raise StatisticsError(f"this is no result of bench_runner: it has no processes with {key}") from error

    @property
    def iterations(self) -> tuple[float, ...]:
        return tuple(value for process in self.processes for value in process)

    @cached_property
    def mean(self) -> float:
        return statistics.fmean(self.iterations)

    @cached_property
    def process_means(self) -> tuple[float, ...]:
        return tuple(statistics.fmean(process) for process in self.processes)

    @cached_property
    def log_variance(self) -> float:
        """Of the logarithms of the process means, of which there must be two."""
        return statistics.variance(map(math.log, self.process_means))


@dataclass(frozen=True)
class Spread:
    """Relative standard deviations: of the iterations within a process, and of the process means; None: too few."""

    within_processes: float | None
    between_processes: float | None


def estimate_mean(sample: Sample, confidence: float = CONFIDENCE) -> Summary:
    """The mean of the iterations, with an interval from the process means."""
    return _estimate(sample.mean, (sample,), confidence)


def estimate_ratio(numerator: Sample, denominator: Sample, confidence: float = CONFIDENCE) -> Summary:
    """Mean over mean, with Welch's interval from the process means of both sides."""
    return _estimate(numerator.mean / denominator.mean, (numerator, denominator), confidence)


def pooled_ratio(numerator: Sample, denominator: Sample, confidence: float = CONFIDENCE) -> Summary:
    """Mean over mean where one side has too few processes to tell how far they differ: the other tells for both.

    With s² the variance of the logarithms, pooled over the sides, the interval is centre · exp(± t·s·√(1/n + 1/m)) with
    n + m − 2 degrees of freedom (Student's). For one value against n it is the prediction interval. A StatisticsError where
    both sides have but one.
    """
    samples = (numerator, denominator)
    counts = [len(sample.processes) for sample in samples]
    freedom = sum(counts) - 2
    if freedom < 1:
        raise StatisticsError("one value on either side tells nothing of how far values differ")
    squares = math.fsum(
        sample.log_variance * (len(sample.processes) - 1) for sample in samples if len(sample.processes) > 1
    )
    error = math.sqrt(squares / freedom * math.fsum(1 / count for count in counts))
    half_width = student_t_quantile(1 - (1 - confidence) / 2, freedom) * error
    centre = numerator.mean / denominator.mean
    warnings = (_wide_interval(half_width, samples, confidence),) if half_width > math.log1p(WIDE) else ()
    return Summary(centre, centre * math.exp(-half_width), centre * math.exp(half_width), confidence, warnings)


def spread(sample: Sample) -> Spread:
    """How far iterations differ within a process, and processes from each other."""
    within = [(statistics.variance(process), len(process) - 1) for process in sample.processes if len(process) > 1]
    freedom = sum(weight for _unused, weight in within)
    pooled = math.fsum(variance * weight for variance, weight in within) / freedom if freedom else None
    means = sample.process_means
    return Spread(
        within_processes=None if pooled is None else math.sqrt(pooled) / sample.mean,
        between_processes=statistics.stdev(means) / statistics.fmean(means) if len(means) > 1 else None,
    )


def _estimate(centre: float, samples: tuple[Sample, ...], confidence: float) -> Summary:
    fewest = min(len(sample.processes) for sample in samples)
    if fewest < MIN_PROCESSES:
        return Summary(centre, None, None, confidence, (_few_processes(fewest, confidence),))
    half_width = _log_half_width(samples, confidence)
    low, high = centre * math.exp(-half_width), centre * math.exp(half_width)
    wide = half_width > math.log1p(WIDE)
    return Summary(centre, low, high, confidence, (_wide_interval(half_width, samples, confidence),) if wide else ())


def _log_half_width(samples: tuple[Sample, ...], confidence: float) -> float:
    """t·SE on the log scale."""
    counts = [len(sample.processes) for sample in samples]
    parts = [sample.log_variance / count for sample, count in zip(samples, counts, strict=True)]
    squared_error = math.fsum(parts)
    if squared_error == 0:
        return 0.0
    freedoms = math.fsum(part**2 / (count - 1) for part, count in zip(parts, counts, strict=True))
    degrees_of_freedom = squared_error**2 / freedoms
    error = (1 - confidence) * (LOOKED_ERROR if any(sample.looked for sample in samples) else 1)
    return student_t_quantile(1 - error / 2, degrees_of_freedom) * math.sqrt(squared_error)


def _few_processes(fewest: int, confidence: float) -> Caveat:
    return Caveat(
        code="few_processes",
        message=f"there is no {confidence:.0%} interval, since {fewest} measured process{'' if fewest == 1 else 'es'} "
        f"cannot show how much processes differ; measure at least {MIN_PROCESSES}, better 5",
    )


def _wide_interval(half_width: float, samples: tuple[Sample, ...], confidence: float) -> Caveat:
    most = max(len(sample.processes) for sample in samples)
    needed = math.ceil(most * (half_width / math.log1p(AIM)) ** 2)
    return Caveat(
        code="wide_interval",
        message=f"the {confidence:.0%} interval reaches {math.expm1(half_width):.1%} above the estimate; measure on a "
        f"quieter machine, or about {needed} {samples[0].repeated} instead of {most} to come to {AIM:.0%}",
    )
