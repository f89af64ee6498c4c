# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a finished result is warned of: its figures, and the machine that this runs on, held against the limits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import fmean
from typing import Any

from bench_runner import caveats, environment, physics
from bench_runner.caveats import Warned


def of_disturbances(result: dict[str, Any], demand_seconds: float | None) -> Iterator[Warned]:
    """Name what disturbed the measurement; `demand_seconds` is what the CPUs had to do meanwhile."""
    processes, isolation, threads = result["processes"], result["isolation"], result["threads"]
    throttling, conditions = result["throttling"], result["conditions"]
    processes_ms = [process["wall_ms"] for process in processes]
    yield from caveats.of_spread([fmean(wall_ms) for wall_ms in processes_ms])
    yield from caveats.of_times(processes_ms)
    cpu_ms, wall_ms = (sum(sum(process[name]) for process in processes) for name in ("cpu_ms", "wall_ms"))
    yield from caveats.of_contention(cpu_ms, wall_ms, result["cpu_limit"])
    yield from caveats.of_run_queue(conditions["run_queue_seconds"], wall_ms / 1000, threads, result["cpu_limit"])
    yield from caveats.of_other_load(conditions["other_cpus"], environment.online_cpus())
    yield from caveats.of_frequency(conditions["mhz_min"], conditions["mhz_max"], environment.power_saving())
    yield from caveats.of_steal(throttling["steal_seconds"], demand_seconds)
    yield from caveats.of_throttling(
        throttling["periods"], throttling["throttled_periods"], threads, isolation["quota_cpus"]
    )


def of_physics(result: dict[str, Any], process_seconds: Sequence[float]) -> Iterator[Warned]:
    """Whether the result can be true; `process_seconds` are those of its last processes, which this run did itself."""
    processes, threads = result["processes"], result["threads"]
    own = processes[len(processes) - len(process_seconds) :]
    yield from physics.of_clock([process["wall_ms"] for process in own], process_seconds)
    yield from physics.of_encoder(
        result["model_size"],
        [encoder_ms for process in processes for encoder_ms in process["encoder_ms"]],
        result["transcript"]["windows"],
        # A quota may be saved up for the encoder of a small model; threads cannot.
        min(threads, result["isolation"]["cpuset_cpus"] or threads),
        physics.flops_per_cycle(
            result["architecture"], result["software"]["cpu_capability"], matrix_unit=environment.matrix_unit()
        ),
    )
