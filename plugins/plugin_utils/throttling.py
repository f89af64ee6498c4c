# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The stress test on a target: which runs in which order, and what its report says.

The verdicts are the runner's own (`python -m bench_runner.throttling`), the same as in a container without Ansible. What
is added here is how sure they are: each run is a fresh process, so a row's runs give it an interval.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.rightsize.whisper.plugins.plugin_utils.escaping import file_name, one_line
from ansible_collections.rightsize.whisper.plugins.plugin_utils.statistics import (
    Sample,
    StatisticsError,
    Summary,
    estimate_mean,
    estimate_ratio,
)
from ansible_collections.rightsize.whisper.plugins.plugin_utils.stress_plot import Curve, Point, plot
from ansible_collections.rightsize.whisper.plugins.plugin_utils.terminal import table

MOST_THREADS = 1024


class StressError(ValueError):
    """A stress test that cannot be made, or one of which nothing can be said; the message is one line for the user."""


@dataclass(frozen=True)
class PlannedRun:
    """One run of a stress test."""

    number: int
    block: int
    cpus: float
    threads: int


@dataclass(frozen=True)
class StressRow:
    """One thread count at one CPU limit: the runner's figures, and how sure the two that matter are."""

    figures: Mapping[str, Any]
    latency_seconds: Summary
    ratio: Summary | None


@dataclass(frozen=True)
class StressReport:
    """What a stress test has found on one target."""

    target: str
    file_stem: str
    model_size: str
    stress_id: str
    seed: int
    cpus: float | None
    throttled: bool | None
    rows: tuple[StressRow, ...]
    recommendations: tuple[Mapping[str, Any], ...]
    stopped_early: tuple[str, ...]
    table: tuple[str, ...]
    plot: str


def plan_runs(
    threads: Sequence[int], cpus: float, cpu_limits: Sequence[float], blocks: int, seed: int
) -> tuple[PlannedRun, ...]:
    """Every case once a block, in random order; the first run is what the others are held against.

    A case is a thread count at the service's limit, or at another limit one that fits it, and one thread.
    """
    if 1 not in threads:
        raise StressError(f"the thread counts {list(threads)} lack 1, which the others are held against")
    if not all(1 <= count <= MOST_THREADS for count in threads):
        raise StressError(f"the thread counts {list(threads)} are not all from 1 to {MOST_THREADS}")
    if not all(0 < limit <= MOST_THREADS for limit in (cpus, *cpu_limits)):
        raise StressError(f"the CPU limits {[cpus, *cpu_limits]} are not all above 0 and at most {MOST_THREADS}")
    if blocks < 1:
        raise StressError(f"{blocks} blocks measure nothing; take 3 or more, which give an interval")
    others = [limit for limit in dict.fromkeys(cpu_limits) if limit != cpus]
    cases = [(cpus, count) for count in dict.fromkeys(threads)]
    cases += [(limit, count) for limit in others for count in dict.fromkeys(threads) if count == 1 or count <= limit]
    chance = random.Random(seed)
    runs: list[PlannedRun] = []
    for block in range(1, blocks + 1):
        order = chance.sample(cases, len(cases))
        if block == 1:
            order.remove((cpus, 1))
            order.insert(0, (cpus, 1))
        runs += [
            PlannedRun(number, block, int(limit) if float(limit).is_integer() else limit, count)
            for number, (limit, count) in enumerate(order, start=len(runs) + 1)
        ]
    return tuple(runs)


def report_stress(
    judgement: Mapping[str, Any], stress_id: str, seed: int, stopped_early: Sequence[str] = ()
) -> StressReport:
    """What the runner's judgement comes to, with intervals, as values, as a table and as a picture."""
    try:
        rows = _rows(judgement["rows"])
        return StressReport(
            target=judgement["target"],
            file_stem=file_name(judgement["target"]),
            model_size=judgement["model_size"],
            stress_id=stress_id,
            seed=seed,
            cpus=judgement["cpus"],
            throttled=judgement["throttled"],
            rows=rows,
            recommendations=tuple(judgement["recommendations"]),
            stopped_early=_first_of_each_case(stopped_early),
            table=_table(rows),
            plot=_plot(judgement, rows),
        )
    except (KeyError, TypeError, StatisticsError) as error:
        raise StressError(f"this is no judgement of bench_runner.throttling ({error!r})") from error


def _first_of_each_case(stopped_early: Sequence[str]) -> tuple[str, ...]:
    """A case is stopped once a block, each time with figures that are a little other ones."""
    first: dict[str, str] = {}
    for said in stopped_early:
        first.setdefault(said.partition(": ")[0], said)
    return tuple(first.values())


def _rows(rows: Sequence[Mapping[str, Any]]) -> tuple[StressRow, ...]:
    samples = {(row["cpus"], row["threads"]): _sample(row) for row in rows}
    found = []
    for (cpus, threads), row in zip(samples, rows, strict=True):
        one_thread = samples.get((cpus, 1))
        ratio = estimate_ratio(samples[cpus, threads], one_thread) if one_thread and threads != 1 else None
        found.append(StressRow(row, estimate_mean(samples[cpus, threads]), ratio))
    return tuple(found)


def _sample(row: Mapping[str, Any]) -> Sample:
    """The process means, in seconds."""
    # Every process of a row has measured as many iterations, so the mean of their means is the mean of all.
    return Sample(tuple((mean / 1000,) for mean in row["process_means_ms"]))


def _table(rows: Sequence[StressRow]) -> tuple[str, ...]:
    """For a terminal; what came from the target is figures and words of the runner's, made harmless all the same."""
    heading = (
        "CPUs",
        "threads",
        "latency, 95 % interval",
        "ratio",
        "throttled periods",
        "CPU time",
        "req/s",
        "verdict",
    )
    return table([heading, *map(_cells, rows)])


def _cells(row: StressRow) -> tuple[str, ...]:
    figures, latency = row.figures, row.latency_seconds
    interval = "" if latency.low is None or latency.high is None else f" ({latency.low:.3f}–{latency.high:.3f})"
    share = figures["throttled_share"]
    return (
        "none" if figures["cpus"] is None else f"{figures['cpus']:g}",
        str(int(figures["threads"])),
        f"{latency.centre:.3f} s{interval}",
        "–" if figures["ratio"] is None else f"{figures['ratio']:.2f}",
        "not applicable" if share is None else f"{figures['throttled_periods']} of {figures['periods']} ({share:.0%})",
        "–" if figures["cpu_inflation"] is None else f"{figures['cpu_inflation']:.2f}",
        f"{figures['rps']:.3f}",
        one_line(figures["verdict"]),
    )


def _plot(judgement: Mapping[str, Any], rows: Sequence[StressRow]) -> str:
    """One curve for each CPU limit, and the rule's line at twice the latency of one thread."""
    curves = []
    for cpus in dict.fromkeys(row.figures["cpus"] for row in rows):
        points = [
            Point(
                int(row.figures["threads"]),
                row.latency_seconds.centre,
                row.latency_seconds.low,
                row.latency_seconds.high,
                row.figures["verdict"] == "clean",
            )
            for row in rows
            if row.figures["cpus"] == cpus
        ]
        curves.append(Curve("no limit" if cpus is None else f"{cpus:g} CPU{'' if cpus == 1 else 's'}", tuple(points)))
    one_thread = next((point.seconds for point in curves[0].points if point.threads == 1), None)
    title = f"{one_line(judgement['target'], 60)}, {one_line(judgement['model_size'], 30)}: latency against threads"
    return plot(title, curves, None if one_thread is None else 2 * one_thread)
