# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How often steps are found in invented histories where there are none, and where there is one.

PYTHONPATH=.ansible/collections:. python tests/benchmarks/steps.py --histories 1000
"""

from __future__ import annotations

import argparse
import math
import random
import statistics
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from ansible_collections.rightsize.whisper.plugins.plugin_utils.steps import MAX_RUNS, Step, find_steps

from tests.benchmarks.accuracy_simulated import wilson_interval

MEAN_MS = 2000.0
# Gives the logarithms of what the runs of a history are off by.
Noise = Callable[[random.Random, int], list[float]]
RUNS_AN_HOUR = 4


def normal(chance: random.Random, count: int) -> list[float]:
    return [chance.gauss(0, 0.02) for _unused in range(count)]


def one_sided(chance: random.Random, count: int) -> list[float]:
    return [chance.expovariate(1 / 0.025) for _unused in range(count)]


def outliers(chance: random.Random, count: int) -> list[float]:
    return [chance.gauss(0, 0.015) + (0.10 if chance.random() < 0.1 else 0) for _unused in range(count)]


def drift(size: float) -> Noise:
    """Normal noise, and a straight line of so much from the first run to the last."""
    return lambda chance, count: [
        value + size * number / (count - 1) for number, value in enumerate(normal(chance, count))
    ]


def hours(chance: random.Random, count: int) -> list[float]:
    """The runs of an hour share half of the variance."""
    shared = [chance.gauss(0, 0.014) for _unused in range(count // RUNS_AN_HOUR + 1)]
    return [shared[number // RUNS_AN_HOUR] + chance.gauss(0, 0.014) for number in range(count)]


SHARED = f"2 %, half of the variance shared by the {RUNS_AN_HOUR} runs of an hour"
NOISES: dict[str, Noise] = {
    "normal, 2 %": normal,
    "one-sided (exponential), 2.5 %": one_sided,
    "1.5 %, and one run in ten 10 % slower": outliers,
    "2 %, and a drift of 1 % over the history": drift(0.01),
    "2 %, and a drift of 3 % over the history": drift(0.03),
    SHARED: hours,
}
LENGTHS = (20, 50, 200)
# Runs before, runs after, size.
STEPS = ((10, 10, 0.05), (40, 10, 0.05), (30, 30, 0.03), (100, 100, 0.05), (100, 100, 0.02))


def quiet(histories: int, chance: random.Random, noises: Sequence[str]) -> None:
    print("| noise of the runs | " + " | ".join(f"{length} runs" for length in LENGTHS) + " |")
    print("|---" * (len(LENGTHS) + 1) + "|")
    for words in noises:
        cells = []
        for length in LENGTHS:
            hits = sum(bool(_found(words, NOISES[words](chance, length))) for _unused in range(histories))
            cells.append(_share(hits, histories))
        print(f"| {words} | {' | '.join(cells)} |", flush=True)


def stepped(histories: int, chance: random.Random, noises: Sequence[str]) -> None:
    print(
        "| noise of the runs | step | found | one step, at most 2 runs off | interval holds the size | size, median |"
    )
    print("|---|---|---|---|---|---|")
    for words in noises:
        for before, after, size in STEPS:
            found = near = held = 0
            sizes = []
            for _unused in range(histories):
                logs = NOISES[words](chance, before + after)
                steps = _found(words, logs[:before] + [log + math.log1p(size) for log in logs[before:]])
                if not steps:
                    continue
                found += 1
                closest = min(steps, key=lambda step: abs(step.position - before))
                near += len(steps) == 1 and abs(closest.position - before) <= 2
                held += closest.low <= 1 + size <= closest.high
                sizes.append(closest.ratio)
            print(
                f"| {words} | {size:.0%} after {before} runs of {before + after} | {_share(found, histories)} | {_share(near, histories)} | "
                f"{_share(held, found) if found else ''} | {statistics.median(sizes) - 1 if sizes else math.nan:.1%} |",
                flush=True,
            )


def speed(chance: random.Random) -> None:
    for length in (500, MAX_RUNS):
        means = _means(
            [log + 0.05 * (number // (length // 4) % 2) for number, log in enumerate(normal(chance, length))]
        )
        begun = time.perf_counter()
        steps = find_steps(means)
        print(f"{length} runs with 3 steps: {len(steps)} found in {time.perf_counter() - begun:.2f} s")


def _found(words: str, logs: Sequence[float]) -> list[Step]:
    """The steps of runs at times as they are recorded: one an hour, where the noise does not say otherwise."""
    an_hour = RUNS_AN_HOUR if words == SHARED else 1
    begun = datetime(2026, 1, 1, tzinfo=UTC)
    times = [f"{begun + timedelta(hours=number // an_hour):%Y-%m-%dT%H:%M:%SZ}" for number in range(len(logs))]
    return find_steps(_means(logs), times=times)


def _means(logs: Sequence[float]) -> list[float]:
    return [MEAN_MS * math.exp(log) for log in logs]


def _share(hits: int, count: int) -> str:
    low, high = wilson_interval(hits, count)
    return f"{hits / count:.1%} ({low:.1%} to {high:.1%})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--histories", type=int, default=1000, help="of each row or cell (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=20261124, help="(default: %(default)s)")
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    print(
        f"{arguments.histories} histories a cell, seed {arguments.seed}; in brackets Wilson's 95 % interval of the share.\n"
    )
    print("Histories without a step: the share in which one was found.\n")
    quiet(arguments.histories, chance, list(NOISES))
    print("\nHistories with one step: the share in which it was found.\n")
    stepped(arguments.histories, chance, list(NOISES))
    print()
    speed(chance)


if __name__ == "__main__":
    main()
