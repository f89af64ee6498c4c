# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Results of a stress test, with the figures that its verdicts are made of."""

from __future__ import annotations

from itertools import count
from typing import Any

from bench_runner.result import assemble
from tests.unit.bench_runner.a_run import small_run

_numbers = count(1)


def stressed(
    threads: int,
    wall_ms: float,
    throttled_share: float | None = 0.0,
    cpus: float | None = 1.0,
    cpu_ms: float | None = None,
    warning: str | None = None,
) -> dict[str, Any]:
    """One run of two iterations in one process; no share: no quota, as with a cpuset."""
    result = assemble(small_run(), partial=False)
    wall = [wall_ms, wall_ms * 1.02]
    cpu = [cpu_ms or wall_ms, cpu_ms or wall_ms]
    process = {
        **result["processes"][0],
        "model_load_seconds": 1.0,
        "warmup_ms": [wall_ms],
        "wall_ms": wall,
        "cpu_ms": cpu,
    }
    periods = None if throttled_share is None else 100
    return {
        **result,
        "run_id": f"stressed-{next(_numbers)}",
        "threads": threads,
        "cpu_limit": cpus,
        "iterations": 2,
        "processes": [process],
        "throttling": {
            "applicable": throttled_share is not None,
            "periods": periods,
            "throttled_periods": None if throttled_share is None else round(100 * throttled_share),
            "throttled_seconds": None if throttled_share is None else throttled_share,
            "steal_seconds": 0.0,
        },
        "isolation": {**result["isolation"], "mode": "cpuset" if throttled_share is None else "quota"},
        "warnings": [{"code": warning, "message": "a warning"}] if warning else [],
    }
