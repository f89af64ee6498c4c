# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The runs of a comparison for other tools: a table for spreadsheets, and what pyperf reads.

pyperf's file is that of its version 1.0 (https://pyperf.readthedocs.io/en/latest/api.html#json-format). Each of its values
is the mean of a process, since iterations within a process do not repeat independently; its `compare_to` asks the same
question as a comparison here, by Student's t-test.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from ansible_collections.rightsize.whisper.plugins.plugin_utils.compared_runs import Group, Run, grouped, run_ids
from ansible_collections.rightsize.whisper.plugins.plugin_utils.comparison import ComparisonError, Report
from ansible_collections.rightsize.whisper.plugins.plugin_utils.comparison_prometheus import prometheus_text
from ansible_collections.rightsize.whisper.plugins.plugin_utils.escaping import file_name

COLUMNS = (
    "run_id", "target", "model", "cpu_model", "threads", "isolation_mode", "timestamp", "iterations", "processes",
    "latency_mean_seconds",
)  # fmt: skip
# A table goes through memory as one text; a spreadsheet takes a million rows. For pyperf every result is read as a whole.
MOST_RUNS = {"csv": 1_000_000, "pyperf": 20_000}
# A spreadsheet takes a text that begins so for a formula.
FORMULA = ("=", "+", "-", "@")


@dataclass(frozen=True)
class Export:
    """A file in the results folder, the format that users ask for it by, and its text."""

    format: str
    file: str
    text: str


def exports(runs: Sequence[Run], report: Report, formats: Collection[str]) -> list[Export]:
    """The comparison in these formats; a ComparisonError where a format does not take so many runs."""
    made = {
        "prometheus": lambda: [Export("prometheus", "whisper.prom", prometheus_text(report))],
        "csv": lambda: [csv_table(runs)],
        "pyperf": lambda: pyperf_files(runs),
    }
    unknown = sorted(set(formats) - set(made))
    if unknown:
        raise ComparisonError(f"compare_export has {ascii(unknown[0])[:60]}: choose among {', '.join(made)}")
    for name, most in MOST_RUNS.items():
        if name in formats and len(runs) > most:
            raise ComparisonError(
                f"compare_export: {len(runs)} runs are more than the {most} that {name} is made of here: choose fewer, with "
                "compare_targets, compare_models, compare_since or compare_until"
            )
    return [export for name in made if name in formats for export in made[name]()]


def csv_table(runs: Iterable[Run]) -> Export:
    """Every run in a row, the oldest first."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    oldest_first = sorted(runs, key=lambda run: run.timestamp)
    for run, run_id in zip(oldest_first, run_ids(oldest_first), strict=True):
        key = run.key
        cells = (
            run_id, key.target, key.model_size, key.cpu_model, key.threads, key.isolation_mode, run.timestamp,
            run.iterations, run.processes, repr(run.mean_ms / 1000),
        )  # fmt: skip
        writer.writerow([_cell(cell) for cell in cells])
    return Export("csv", "results.csv", stream.getvalue())


def pyperf_files(runs: Iterable[Run]) -> list[Export]:
    """One file for each group, with one benchmark, whose name is the same for all groups that can be compared."""
    files: dict[str, Export] = {}
    for group in grouped(runs):
        stem, number = f"pyperf-{file_name(group.key.target)}", 1
        name = stem
        while name.casefold() in files:
            number += 1
            name = f"{stem}-{number}"
        files[name.casefold()] = Export("pyperf", f"{name}.json", _pyperf(group))
    return list(files.values())


def _pyperf(group: Group) -> str:
    key = group.key
    document = {
        "version": "1.0",
        "metadata": {
            "generated_by": "rightsize.whisper",
            "name": f"whisper {key.model_size}, threads {key.threads}",
            "unit": "second",
            "cpu_model_name": key.cpu_model,
            "isolation_mode": key.isolation_mode,
            "target": key.target,
        },
        "benchmarks": [{"runs": [{"values": [mean_ms / 1000]} for mean_ms in group.process_means_ms]}],
    }
    return json.dumps(document, indent=1) + "\n"


def _cell(value: object) -> str:
    text = "".join(letter if letter.isprintable() else " " for letter in str(value))
    return f"'{text}" if text.lstrip().startswith(FORMULA) else text
