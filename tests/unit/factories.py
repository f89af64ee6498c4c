# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Results for tests: those of tests/fixtures/results, and variations of them that stay consistent."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from statistics import fmean, median, stdev
from typing import Any

REPOSITORY = Path(__file__).parents[2]
RESULTS = REPOSITORY / "tests" / "fixtures" / "results"
SCHEMA_FILE = REPOSITORY / "bench_runner" / "result.schema.json"


def mac_m4(**changes: Any) -> dict[str, Any]:
    """The reference; `changes` as in `a_result`."""
    return a_result("mac_m4", **changes)


def xeon_pool(**changes: Any) -> dict[str, Any]:
    """The target; `changes` as in `a_result`."""
    return a_result("xeon_pool", **changes)


def a_result(name: str, wall_ms: Sequence[Sequence[float]] | None = None, **changes: Any) -> dict[str, Any]:
    """The fixture of this name with `changes`; a dict among them changes only the keys that it has.

    `wall_ms` replaces the measured iterations, process by process, and every figure that follows from them.
    """
    result = copy.deepcopy(_fixture(name))
    if wall_ms is not None:
        _measure(result, wall_ms)
    for key, value in changes.items():
        old = result.get(key)
        result[key] = {**old, **value} if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return result


@cache
def _fixture(name: str) -> dict[str, Any]:
    fixture: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text())
    return fixture


def _measure(result: dict[str, Any], wall_ms: Sequence[Sequence[float]]) -> None:
    shares = {phase: mean / result["avg_latency_ms"] for phase, mean in result["phases_ms"].items()}
    result["processes"] = [
        {
            "process": number,
            "model_load_seconds": 0.6,
            "warmup_ms": [1.1 * walls[0]] if walls else [],
            "wall_ms": list(walls),
            "cpu_ms": list(walls),
            **{f"{phase}_ms": [share * wall for wall in walls] for phase, share in shares.items()},
        }
        for number, walls in enumerate(wall_ms, start=1)
    ]
    iterations = [wall for walls in wall_ms for wall in walls]
    average_ms = fmean(iterations)
    result.update(
        iterations=len(iterations),
        iterations_requested=len(iterations),
        avg_latency_ms=average_ms,
        avg_latency_seconds=average_ms / 1000,
        total_time_seconds=sum(iterations) / 1000,
        rps=1000 / average_ms,
        real_time_factor=average_ms / 1000 / result["audio"]["seconds"],
        phases_ms={phase: share * average_ms for phase, share in shares.items()},
        latency_ms={
            "min": min(iterations),
            "median": median(iterations),
            **dict.fromkeys(("p90", "p95", "p99")),
            "max": max(iterations),
            "stddev": stdev(iterations) if len(iterations) > 1 else None,
        },
    )
