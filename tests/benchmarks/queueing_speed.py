# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Prints how long 1,000 sizings take: (requests per second, objective) pairs, by dispatch and samples.

PYTHONPATH=.ansible/collections python tests/benchmarks/queueing_speed.py
"""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path

from ansible_collections.rightsize.whisper.plugins.plugin_utils.load import Load
from ansible_collections.rightsize.whisper.plugins.plugin_utils.normalization import normalize
from ansible_collections.rightsize.whisper.plugins.plugin_utils.queueing import (
    Dispatch,
    LatencyObjective,
    smallest_workers,
)
from ansible_collections.rightsize.whisper.plugins.plugin_utils.service_times import ServiceTimes
from ansible_collections.rightsize.whisper.plugins.plugin_utils.sizing import size_cpus

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.unit.factories import mac_m4, xeon_pool

PAIRS = 1000


def seconds_taken(times: ServiceTimes, dispatch: Dispatch, dice: random.Random) -> float:
    """CPU seconds from the first decision on: nothing is computed beforehand."""
    slowest = times.quantile_seconds(0.99)
    pairs = [
        (dice.uniform(0.1, 30), LatencyObjective(dice.choice((0.9, 0.95, 0.99)), slowest * dice.uniform(1.05, 4)))
        for _unused in range(PAIRS)
    ]
    started = time.process_time()
    for rate, objective in pairs:
        smallest_workers(rate, times, objective, dispatch=dispatch)
    return time.process_time() - started


def seconds_taken_whole(dispatch: Dispatch, dice: random.Random) -> float:
    """CPU seconds with all that a sizing has: steps, variants, memory, warnings; of results as they are in the history."""
    target = xeon_pool()
    normalization = normalize(mac_m4(), target)
    pairs = [(dice.uniform(0.1, 30), dice.uniform(2.5, 12)) for _unused in range(PAIRS)]
    started = time.process_time()
    for rate, seconds in pairs:
        size_cpus(normalization, target, Load.of(rate, latency_seconds=seconds, dispatch=dispatch))
    return time.process_time() - started


def main() -> None:
    dice = random.Random(7)
    dispatches: tuple[Dispatch, ...] = ("random", "pooled")
    for dispatch in dispatches:
        print(f"{PAIRS} sizings of 50 iterations, {dispatch}: {seconds_taken_whole(dispatch, dice):.2f} s")
    print(f"{PAIRS} decisions, each with workers by every rule and four percentiles:")
    for count in (50, 250, 1000):
        regular = [dice.gauss(2.1, 0.06) for _unused in range(count)]
        fallback = [service if dice.random() < 0.92 else dice.uniform(6, 20) for service in regular]
        for name, samples in (("regular", regular), ("fallback", fallback)):
            for dispatch in dispatches:
                taken = seconds_taken(ServiceTimes.of(samples), dispatch, dice)
                print(f"{count:5} samples, {name:8}, {dispatch}: {taken:.2f} s")


if __name__ == "__main__":
    main()
