# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The pictures of a report: how latencies are distributed, how each ratio has been over time, what more workers would do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.rightsize.whisper.plugins.plugin_utils import latency_plot, ratio_plot, workers_plot
from ansible_collections.rightsize.whisper.plugins.plugin_utils.escaping import one_line
from ansible_collections.rightsize.whisper.plugins.plugin_utils.statistics import Sample, estimate_mean

FOLDER = "pictures"


@dataclass(frozen=True)
class Picture:
    """A picture, its title, and the file within the results folder that it belongs into."""

    file: str
    title: str
    svg: str


def draw(
    reference: Mapping[str, Any],
    candidates: Sequence[Mapping[str, Any]],
    entries: Iterable[Mapping[str, Any]],
    comparisons: Iterable[Mapping[str, Any]] = (),
) -> list[Picture]:
    """The pictures of these results; `entries` are those of normalization.yml, `comparisons` those of the report.

    Raises StatisticsError, or PictureError, where nothing can be drawn of them.
    """
    return [
        _latencies([reference, *candidates]),
        *_ratios(reference, candidates, list(entries)),
        *_workers(comparisons),
    ]


def _workers(comparisons: Iterable[Mapping[str, Any]]) -> Iterator[Picture]:
    """One picture for each candidate that was sized."""
    sized = [comparison for comparison in comparisons if comparison["sizing"]]
    for number, comparison in enumerate(sized, start=1):
        sizing = comparison["sizing"]
        points = [
            (
                point["workers"],
                point["response_p50_seconds"],
                point["response_p95_seconds"],
                point["response_p99_seconds"],
            )
            for point in comparison["predictions"]
        ]
        objective = sizing["load"]["objective"]
        title = f"Replicas against predicted latency: {one_line(comparison['target'], 40)}"
        file = f"{FOLDER}/workers.svg" if number == 1 else f"{FOLDER}/workers-{number}.svg"
        chosen = sizing["recommended"]["workers"]
        yield Picture(file, title, workers_plot.workers_plot(points, objective and objective["seconds"], chosen, title))


def _latencies(results: Iterable[Mapping[str, Any]]) -> Picture:
    targets = []
    for result in results:
        sample = Sample.of_result(result)
        # Cut one by one, so that a long name does not hide the CPU's.
        name = f"{one_line(result['target'], 40)}: {one_line(result['cpu_model'], 38)}"
        targets.append(latency_plot.Latencies(name, sample, estimate_mean(sample)))
    title = "Latency of every iteration"
    return Picture(f"{FOLDER}/latency.svg", title, latency_plot.plot(title, targets))


def _ratios(
    reference: Mapping[str, Any], candidates: Iterable[Mapping[str, Any]], entries: Sequence[Mapping[str, Any]]
) -> Iterator[Picture]:
    """One picture for each pair of CPU models of which ratios are kept."""
    pairs = dict.fromkeys(
        ratio_plot.Pair(reference["model_size"], reference["cpu_model"], candidate["cpu_model"], reference["threads"])
        for candidate in candidates
    )
    for number, pair in enumerate(pairs, start=1):
        kept = ratio_plot.kept_ratios(entries, pair)
        if kept:
            title = (
                f"Ratio over time: {one_line(pair.target_cpu_model, 38)} / {one_line(pair.reference_cpu_model, 38)}, "
                f"{one_line(pair.model_size, 20)}"
            )
            file = f"{FOLDER}/ratio.svg" if number == 1 else f"{FOLDER}/ratio-{number}.svg"
            yield Picture(file, title, ratio_plot.plot(title, kept))
