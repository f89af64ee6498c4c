# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The events of a small run, as bench_runner tells them."""

from __future__ import annotations

from typing import Any

RUN_ID = "a-small-run"
COUNTERS = {
    "periods": 20,
    "throttled_periods": 1,
    "throttled_seconds": 0.01,
    "steal_seconds": 0.02,
    "demand_seconds": 4.0,
    "busy_seconds": 4.1,
    "run_queue_seconds": 0.005,
}
KNOWN: dict[str, Any] = {
    "run_id": RUN_ID,
    "timestamp": "2026-11-23T12:00:00Z",
    "target": "here",
    "architecture": "x86_64",
    "cpu_model": "Intel Xeon",
    "model_size": "base",
    "iterations_requested": 4,
    "threads": 1,
    "cpu_limit": 1.0,
    "isolated": True,
    "labels": {"purpose": "test"},
    "decode": {
        "language": "en",
        "temperature": 0.0,
        "beam_size": None,
        "condition_on_previous_text": False,
        "precision": "fp32",
        "without_fallback": True,
    },
    "isolation": {
        "container": True,
        "mode": "quota",
        "cgroup_version": 2,
        "quota_cpus": 1.0,
        "cpuset": "0-1",
        "cpuset_cpus": 2,
        "thread_siblings": None,
        "emulated": False,
    },
    "memory": {"peak_bytes": None, "limit_bytes": 2**30},
    "image": None,
    "kubernetes": None,
    "host": None,
}
AUDIO = {"name": "sample.flac", "seconds": 15.0, "sha256": "a" * 64, "file_sha256": "b" * 64}
SOFTWARE: dict[str, Any] = {
    "python": "3.11.7",
    "torch": "2.13.0",
    "whisper": "20250625",
    "numpy": "2.4.6",
    "kernel": "6.1",
    "threads": {
        "torch_intra_op": 1,
        "torch_inter_op": 1,
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "NUMBA_NUM_THREADS": "1",
    },
    "cpu_capability": "AVX512",
    "build": "",
    "parallel_info": "",
}
TRANSCRIPT = {"sha256": "c" * 64, "tokens": 57, "text": "Every request.", "windows": 1, "fallbacks": 0}


def event(name: str, **fields: Any) -> dict[str, Any]:
    return {"event": name, "time": 1.0, "run_id": RUN_ID, **fields}


def iteration(process: int, number: int, wall_ms: float) -> dict[str, Any]:
    phases = {"mel_ms": 20.0, "encoder_ms": 900.0, "decoder_ms": wall_ms - 920}
    return event(
        "iteration",
        process=process,
        number=number,
        of=4,
        wall_ms=wall_ms,
        cpu_ms=wall_ms - 5,
        **phases,
        throttling=dict(COUNTERS),
        mhz=3000.0 + number,
        mean_ms=wall_ms,
        eta_seconds=1.0,
    )


def small_run() -> list[dict[str, Any]]:
    """Two processes of two iterations: 2000, 2100, 2200 and 2300 ms."""
    measuring = {"phase": "measuring", "model_load_seconds": 0.4, "warmup_ms": [2500.0]}
    return [
        event("start", target="here", model_size="base", iterations=4, processes=2, threads=1, result=dict(KNOWN)),
        event("log", message="architecture x86_64"),
        event("facts", facts={"audio": AUDIO}),
        event("facts", facts={"checkpoint": {"sha256": "d" * 64, "bytes": 145_000_000}}),
        event("process", process=1, of=2, phase="loading"),
        event("facts", facts={"software": SOFTWARE}),
        event("process", process=1, of=2, phase="warming up"),
        event("process", process=1, of=2, **measuring),
        event("facts", facts={"transcript": TRANSCRIPT}),
        iteration(1, 1, 2000.0),
        iteration(1, 2, 2100.0),
        event("process", process=1, of=2, phase="done"),
        event("process", process=2, of=2, phase="loading"),
        event("process", process=2, of=2, phase="warming up"),
        event("process", process=2, of=2, **measuring),
        iteration(2, 3, 2200.0),
        event("warning", code="steal", message="the hypervisor kept the CPUs from work"),
        iteration(2, 4, 2300.0),
        event("process", process=2, of=2, phase="done"),
        event("facts", facts={"memory": {"peak_bytes": 800_000_000, "limit_bytes": 2**30}}),
        event("end", iterations=4, mean_ms=2150.0),
    ]
