# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures of measured iterations. A percentile is given only where enough iterations stand behind it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

# Fewest iterations for a percentile: MLPerf's early-stopping rule at 99 % confidence with one query over the latency.
PERCENTILE_MINIMUM = {"p90": 64, "p95": 130, "p99": 662}


def latency_ms(wall_ms: Sequence[float]) -> dict[str, float | None]:
    """Minimum, median, percentiles, maximum and sample standard deviation, in milliseconds."""
    ordered = sorted(wall_ms)
    figures: dict[str, float | None] = {"min": ordered[0], "median": round(statistics.median(ordered), 4)}
    for name, minimum in PERCENTILE_MINIMUM.items():
        rank = math.ceil(int(name[1:]) / 100 * len(ordered))
        figures[name] = ordered[rank - 1] if len(ordered) >= minimum else None
    figures["max"] = ordered[-1]
    figures["stddev"] = round(statistics.stdev(ordered), 4) if len(ordered) > 1 else None
    return figures


def spread_between(means: Sequence[float]) -> float:
    """(Largest − smallest) / mean of the processes' means; 0 for a single one."""
    return (max(means) - min(means)) / statistics.fmean(means)
