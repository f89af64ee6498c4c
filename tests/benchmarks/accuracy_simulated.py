# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The simulated part of accuracy.py: times are invented, stopping rule and statistics are those that users get."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from ansible_collections.rightsize.whisper.plugins.plugin_utils.statistics import Sample, estimate_mean, estimate_ratio

from bench_runner import stopping
from bench_runner.stopping import AdaptivePlan, FixedPlan, Plan

MEAN_MS = 2000.0
# Of the ten iterations of a process, each off by 2 %.
WITHIN = 0.02 / math.sqrt(10)
# Gives the logarithm of what a process's speed is off by, at each turn of a comparison.
Noise = Callable[[random.Random], Callable[[int], float]]


def normal(chance: random.Random) -> Callable[[int], float]:
    return lambda _turn: chance.gauss(0, 0.022)


def skewed(chance: random.Random) -> Callable[[int], float]:
    return lambda _turn: chance.expovariate(1 / 0.025)


def outliers(chance: random.Random) -> Callable[[int], float]:
    return lambda _turn: chance.gauss(0, 0.015) + (0.10 if chance.random() < 0.1 else 0)


def wandering(chance: random.Random) -> Callable[[int], float]:
    """The machine's own speed walks at random; sides that take turns see the same walk."""
    walk = [0.0]

    def at(turn: int) -> float:
        while len(walk) <= turn:
            walk.append(walk[-1] + chance.gauss(0, 0.004))
        return walk[turn] + chance.gauss(0, 0.015)

    return at


NOISES: dict[str, Noise] = {
    "normal, 2.2 %": normal,
    "one-sided (exponential), 2.5 %": skewed,
    "1.5 %, and one process in ten 10 % slower": outliers,
    "1.5 %, and the machine wanders by 0.4 % a turn": wandering,
}
PLANS: dict[str, Plan] = {
    "5 processes": FixedPlan((10,) * 5),
    "10 processes": FixedPlan((10,) * 10),
    "until ±3 %": AdaptivePlan(10, 0.03, True, 40, None),
    "until ±2 %": AdaptivePlan(10, 0.02, True, 40, None),
}


class Coverage(NamedTuple):
    """What came of some comparisons."""

    hits: int
    comparisons: int
    processes: float
    half_width: float

    @property
    def share(self) -> float:
        return self.hits / self.comparisons

    @property
    def words(self) -> str:
        low, high = wilson_interval(self.hits, self.comparisons)
        return f"{self.share:.1%} ({low:.1%} to {high:.1%})"


def simulate(comparisons: int, seed: int) -> list[float]:
    """Print the tables; gives the coverages in them that are promised."""
    chance = random.Random(seed)
    print(
        f"\n{comparisons} simulated A/A comparisons a row, seed {seed}; in brackets Wilson's 95 % interval of the share.\n"
    )
    print("| noise between processes | measured | holds 1 | processes a side | half-width, median |")
    print("|---|---|---|---|---|")
    promised = []
    for noise_words, noise in NOISES.items():
        for plan_words, plan in PLANS.items():
            found = ratios(noise, plan, comparisons, chance)
            promised.append(found.share)
            print(
                f"| {noise_words} | {plan_words} | {found.words} | {found.processes:.1f} | ±{found.half_width:.1%} |",
                flush=True,
            )
    return promised + price_of_looking(comparisons, chance)


def price_of_looking(comparisons: int, chance: random.Random) -> list[float]:
    """Normal noise at all ratios to what is asked, with 95 % at each look and in the end, and as it is done."""
    print(
        "\n| noise / precision asked | ratio, 95 % at each look | ratio, as it is done | latency, as it is done | processes |"
    )
    print("|---|---|---|---|---|")
    promised = []
    for share in (0.3, 0.6, 1.0, 1.4, 1.8, 2.5):
        noise = _normal_of(share * math.log1p(0.02))
        plan = AdaptivePlan(10, 0.02, False, 40, None)
        with _looking_at(0.95):
            naive = ratios(noise, plan, comparisons, chance, looked=False)
        ratio, latency = ratios(noise, plan, comparisons, chance), latencies(noise, plan, comparisons, chance)
        promised += [ratio.share, latency.share]
        print(f"| {share} | {naive.words} | {ratio.words} | {latency.words} | {ratio.processes:.1f} |", flush=True)
    return promised


def ratios(noise: Noise, plan: Plan, comparisons: int, chance: random.Random, looked: bool | None = None) -> Coverage:
    """Comparisons of two sides that take turns until both have enough."""
    looked = isinstance(plan, AdaptivePlan) if looked is None else looked
    hits, counts, widths = 0, [], []
    for _unused in range(comparisons):
        at = noise(chance)
        sides: list[list[float]] = [[], []]
        turn = 0
        unfinished = list(sides)
        while unfinished:
            for side in unfinished:
                side.append(_process_mean(at, turn, chance))
                turn += 1
            unfinished = [side for side in unfinished if plan.stop_reason(side, [1.0] * len(side)) is None]
        one, other = (Sample(tuple((mean,) for mean in side), looked) for side in sides)
        ratio = estimate_ratio(one, other)
        assert ratio.high is not None
        hits += ratio.contains(1.0) is True
        counts.append(turn / 2)
        widths.append(ratio.high / ratio.centre - 1)
    return Coverage(hits, comparisons, statistics.fmean(counts), statistics.median(widths))


def latencies(noise: Noise, plan: Plan, comparisons: int, chance: random.Random) -> Coverage:
    """Runs on their own, against the true mean."""
    hits, counts, widths = 0, [], []
    for _unused in range(comparisons):
        at = noise(chance)
        means: list[float] = []
        while not means or plan.stop_reason(means, [1.0] * len(means)) is None:
            means.append(_process_mean(at, len(means), chance))
        estimate = estimate_mean(Sample(tuple((mean,) for mean in means), isinstance(plan, AdaptivePlan)))
        assert estimate.high is not None
        hits += estimate.contains(MEAN_MS) is True
        counts.append(len(means))
        widths.append(estimate.high / estimate.centre - 1)
    return Coverage(hits, comparisons, statistics.fmean(counts), statistics.median(widths))


def wilson_interval(hits: int, trials: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share."""
    z = statistics.NormalDist().inv_cdf(0.975)
    share = hits / trials
    centre = share + z**2 / (2 * trials)
    reach = z * math.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2))
    return (centre - reach) / (1 + z**2 / trials), (centre + reach) / (1 + z**2 / trials)


def _process_mean(at: Callable[[int], float], turn: int, chance: random.Random) -> float:
    return MEAN_MS * math.exp(at(turn) + chance.gauss(0, WITHIN))


def _normal_of(deviation: float) -> Noise:
    """Of so much in all, what iterations add included."""
    between = math.sqrt(max(0.0, deviation**2 - WITHIN**2))
    return lambda chance: lambda _turn: chance.gauss(0, between)


@contextmanager
def _looking_at(confidence: float) -> Iterator[None]:
    usual = stopping.LOOKING_CONFIDENCE, stopping.FIRST_LOOK_CONFIDENCE
    stopping.LOOKING_CONFIDENCE = stopping.FIRST_LOOK_CONFIDENCE = confidence
    try:
        yield
    finally:
        stopping.LOOKING_CONFIDENCE, stopping.FIRST_LOOK_CONFIDENCE = usual
