# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Prints the table of docs/queueing.md: what queueing.py predicts against what the simulation finds.

PYTHONPATH=.ansible/collections python tests/benchmarks/queueing_error.py
"""

from __future__ import annotations

import argparse
import math
import statistics
from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import NamedTuple

from ansible_collections.rightsize.whisper.plugins.plugin_utils.queueing import Dispatch, erlang_c, response_time
from ansible_collections.rightsize.whisper.plugins.plugin_utils.service_times import ServiceTimes
from ansible_collections.rightsize.whisper.plugins.plugin_utils.simulation import simulate

# Student's t, 97.5 %, by the number of seeds less one.
STUDENT_T = {1: 12.71, 2: 4.30, 3: 3.18, 4: 2.78, 5: 2.57, 6: 2.45, 7: 2.36, 8: 2.31, 9: 2.26}


def normal(mean: float, deviation: float, count: int) -> list[float]:
    spread = statistics.NormalDist(mean, deviation)
    return [spread.inv_cdf((k + 0.5) / count) for k in range(count)]


# One clip again and again; clips of one to four windows of 30 s; one request in twelve decoded again and again.
SERVICES = {
    "regular": ServiceTimes.of(normal(2.1, 0.06, 250)),
    "mix of lengths": ServiceTimes.mix(
        (share, normal(2.1 * windows, 0.06 * windows, 100))
        for windows, share in enumerate((0.47, 0.27, 0.18, 0.08), start=1)
    ),
    "fallback": ServiceTimes.mix(
        [(0.92, normal(2.1, 0.06, 230)), (0.08, [6 + 14 * (k + 0.5) / 80 for k in range(80)])]
    ),
}


class Case(NamedTuple):
    dispatch: Dispatch
    workers: int
    utilisation: float
    arrival_scv: float


CASES = [
    *(Case("random", 4, utilisation, 1.0) for utilisation in (0.3, 0.5, 0.7, 0.85)),
    *(Case("pooled", workers, 0.7, 1.0) for workers in (2, 4, 8, 20)),
    *(Case("pooled", workers, utilisation, 1.0) for workers in (4, 20) for utilisation in (0.5, 0.85)),
    *(Case(dispatch, 6, 0.6, scv) for dispatch in ("random", "pooled") for scv in (0.5, 2.0, 4.0)),
    Case("random", 1, 0.5, 4.0),
]


def exponential_tail_percentile(case: Case, times: ServiceTimes, percentile: float) -> float:
    """The textbook alternative: Allen–Cunneen's mean wait, an exponential tail, the measured service times."""
    workers = case.workers if case.dispatch == "pooled" else 1
    scv = case.arrival_scv if case.dispatch == "pooled" else 1 + (case.arrival_scv - 1) / case.workers
    waits = erlang_c(workers, workers * case.utilisation)
    rate = 2 * workers * (1 - case.utilisation) / (times.mean_seconds * (scv + times.scv))

    def share_above(seconds: float) -> float:
        within = bisect_right(times.samples_seconds, seconds)
        served = zip(times.samples_seconds[:within], times.shares, strict=False)
        tail = sum(share * math.exp(-rate * (seconds - service)) for service, share in served)
        return 1 - times.share_within(seconds) + waits * tail

    return bisected(share_above, 1 - percentile, times.longest_seconds)


def bisected(share_above: Callable[[float], float], share: float, high: float) -> float:
    low = 0.0
    while share_above(high) > share:
        high *= 2
    for _unused in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if share_above(middle) > share else (low, middle)
    return high


def row(case: Case, times: ServiceTimes, requests: int, seeds: int) -> Iterator[str]:
    rate = case.utilisation * case.workers / times.mean_seconds
    dispatch, scv = case.dispatch, case.arrival_scv
    runs = [
        simulate(rate, times, case.workers, dispatch=dispatch, arrival_scv=scv, requests=requests, seed=seed)
        for seed in range(seeds)
    ]
    predicted = response_time(rate, times, case.workers, dispatch=dispatch, arrival_scv=scv)
    yield from (case.dispatch, str(case.workers), f"{case.utilisation:g}", f"{case.arrival_scv:g}")
    for percentile in (0.95, 0.99):
        found = [run.percentile_seconds(percentile) for run in runs]
        mean = statistics.fmean(found)
        half_width = STUDENT_T[seeds - 1] * statistics.stdev(found) / math.sqrt(seeds)
        seconds = predicted.percentile_seconds(percentile)
        yield f"{mean:.2f} ± {half_width:.2f}"
        yield f"{seconds:.2f} ({seconds / mean - 1:+.1%})"
        yield f"{statistics.fmean(run.share_above(seconds) for run in runs):.1%}"
        yield f"{exponential_tail_percentile(case, times, percentile) / mean - 1:+.1%}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=200_000, help="per simulation (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=6, choices=range(2, 11), help="per case (default: %(default)s)")
    arguments = parser.parse_args()
    for name, times in SERVICES.items():
        print(
            f"\n**{name}**: mean {times.mean_seconds:.2f} s, Cs² {times.scv:.3f}, longest {times.longest_seconds:.1f} s\n"
        )
        print(
            "| dispatch | workers | utilisation | Ca² | p95 simulated, s | predicted | later | exponential tail ",
            end="",
        )
        print("| p99 simulated, s | predicted | later | exponential tail |")
        print("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
        for case in CASES:
            print(f"| {' | '.join(row(case, times, arguments.requests, arguments.seeds))} |", flush=True)


if __name__ == "__main__":
    main()
