# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A load test that nobody had to wait for: arrivals of the module's own schedule, served in no time."""

from __future__ import annotations

import random
from typing import Any

from ansible_collections.rightsize.whisper.plugins.module_utils._load import LoadPlan


def a_load_test(
    result: dict[str, Any],
    *,
    rate_rps: float = 0.3,
    workers: int = 1,
    workers_planned: int | None = None,
    requests: int = 140,
    dispatch: str = "random",
    factor: float = 1.0,
    delay_seconds: float = 0.0,
    seed: int = 5,
) -> dict[str, Any]:
    """What the module returns where a request takes `factor` times what one of the result's iterations took.

    `delay_seconds` is what a request takes besides, while no worker is busy with it.
    """
    planned = workers_planned or workers
    plan = LoadPlan(planned, rate_rps * planned / workers, requests, 100_000, dispatch, seed)
    dice = random.Random(seed + 1)
    samples = [wall_ms / 1000 * factor for process in result["processes"] for wall_ms in process["wall_ms"]]
    free_at = [0.0] * workers
    served = []
    for arrival in plan.arrivals(workers):
        worker = arrival.queue if dispatch == "random" else free_at.index(min(free_at))
        service = dice.choice(samples)
        start = max(arrival.seconds + delay_seconds, free_at[worker])
        free_at[worker] = start + service
        served.append(
            {
                "worker": worker,
                "arrival_seconds": arrival.seconds,
                "start_seconds": start,
                "finish_seconds": free_at[worker],
                "service_ms": service * 1000 - 2,
            }
        )
    return {
        "run_id": "20261123t130000-0a1b2c3d",
        "target": result["target"],
        "model_size": result["model_size"],
        "threads": 1,
        "cpu_limit": 1.0,
        "audio_sha256": result["audio"]["sha256"],
        "checkpoint_sha256": result["checkpoint"]["sha256"],
        "image_id": "sha256:0a1b",
        "dispatch": dispatch,
        "seed": seed,
        "workers_planned": planned,
        "workers": workers,
        "capped_by": None if planned == workers else "2 CPUs, of which one is left free",
        "rate_planned_rps": plan.rate_rps,
        "rate_rps": rate_rps,
        "requests_planned": requests,
        "duration_limit_seconds": 100_000,
        "requests": served,
        "warnings": [],
    }
