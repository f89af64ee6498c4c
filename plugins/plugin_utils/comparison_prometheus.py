# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The comparison as metrics in Prometheus' text format, for the textfile collector of its node exporter.

https://prometheus.io/docs/instrumenting/exposition_formats/ says how labels are escaped; units are base units.
"""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.rightsize.whisper.plugins.plugin_utils.comparison import Report, Side

_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})

Series = list[tuple[str, Side, float]]


def prometheus_text(report: Report) -> str:
    """The lines, each ended; the label `side` tells a group from a baseline of the same name."""
    ratios = [(item.group, item.ratio) for item in report.comparisons if item.ratio is not None]
    sides = [("baseline", side) for side in report.baselines] + [("group", item.group) for item in report.comparisons]
    metrics: tuple[tuple[str, str, Series], ...] = (
        (
            "whisper_latency_mean_seconds",
            "Mean latency of an inference.",
            [(name, side, side.mean_ms / 1000) for name, side in sides],
        ),
        ("whisper_runs", "Runs that were compared.", [(name, side, side.runs) for name, side in sides]),
        (
            "whisper_latency_ratio",
            "Mean latency over the mean latency of the baseline.",
            [("group", side, ratio.centre) for side, ratio in ratios],
        ),
        (
            "whisper_latency_ratio_low",
            "Lower end of the 95 percent interval of the ratio.",
            [("group", side, ratio.low) for side, ratio in ratios if ratio.low is not None],
        ),
        (
            "whisper_latency_ratio_high",
            "Upper end of the 95 percent interval of the ratio.",
            [("group", side, ratio.high) for side, ratio in ratios if ratio.high is not None],
        ),
    )
    return "".join(_metric(*metric) for metric in metrics)


def _metric(name: str, words: str, series: Series) -> str:
    lines = [f"{name}{{{_labels(part, side)}}} {value!r}\n" for part, side, value in series]
    return "".join([f"# HELP {name} {words}\n", f"# TYPE {name} gauge\n", *lines])


def _labels(part: str, side: Side) -> str:
    labels: Sequence[tuple[str, object]] = (
        ("side", part),
        ("target", side.target),
        ("model", side.model_size),
        ("cpu_model", side.cpu_model),
        ("threads", side.threads),
        ("isolation_mode", side.isolation_mode),
    )
    return ",".join(f'{name}="{str(value).translate(_ESCAPES)}"' for name, value in labels)
