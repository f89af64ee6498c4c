# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The comparison as a table for a terminal."""

from __future__ import annotations

from ansible_collections.rightsize.whisper.plugins.plugin_utils.comparison import Comparison, Report, Side
from ansible_collections.rightsize.whisper.plugins.plugin_utils.escaping import one_line
from ansible_collections.rightsize.whisper.plugins.plugin_utils.terminal import table

HEADER = ("target", "model", "CPU", "threads", "isolation", "runs", "mean ms", "ratio", "95 % interval", "verdict")
MAX_CELL = 40


def terminal_table(report: Report) -> list[str]:
    """The lines of a table: the baselines, then every group. Hostile names act on no terminal."""
    baselines = [[*_named(side), "1", "", "baseline"] for side in report.baselines]
    cells = [[one_line(cell, MAX_CELL) for cell in row] for row in [HEADER, *baselines, *map(_row, report.comparisons)]]
    return list(table(cells))


def _row(comparison: Comparison) -> list[object]:
    ratio = comparison.ratio
    interval = "" if ratio is None or ratio.low is None else f"{ratio.low:.3f} to {ratio.high:.3f}"
    return [*_named(comparison.group), "" if ratio is None else f"{ratio.centre:.3f}", interval, comparison.verdict]


def _named(side: Side) -> list[object]:
    names = [side.target, side.model_size, side.cpu_model, side.threads, side.isolation_mode, side.runs]
    return [*names, f"{side.mean_ms:.1f}"]
