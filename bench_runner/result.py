# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the events of a run to its result. The same function serves a run that ended and one that was killed.

Standard library only: it runs on the controller too, where `recover` reads the journal of a killed run.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from math import fsum
from pathlib import Path
from statistics import fmean
from typing import Any

from bench_runner import SCHEMA_VERSION, summary

SCHEMA_FILE = Path(__file__).with_name("result.schema.json")
COLUMNS = ("wall_ms", "cpu_ms", "mel_ms", "encoder_ms", "decoder_ms")
# The warnings that --strict makes an error: something disturbed the measurement, or it cannot be true.
STRICT_CODES = {
    "noisy",
    "contended",
    "steal",
    "throttled",
    "run_queue_wait",
    "other_load",
    "frequency_changed",
    "power_saving",
    "bimodal",
    "drift",
    "first_last_differ",
    "physically_impossible",
}
QUOTA_COUNTERS = ("periods", "throttled_periods", "throttled_seconds")


def assemble(events: Iterable[dict[str, Any]], *, partial: bool) -> dict[str, Any]:
    """The result of a run.

    `start` gives what was known before measuring, `facts` what was learnt on the way, `process` and `iteration` the
    figures, `warning` the warnings. Raises ValueError where no iteration was finished, since there is no result then.
    """
    known: dict[str, Any] = {}
    processes: dict[int, dict[str, Any]] = {}
    counters: list[dict[str, Any]] = []
    mhz: list[float | None] = []
    warnings: list[dict[str, str]] = []
    for event in events:
        match event["event"]:
            case "start":
                known = dict(event["result"])
            case "facts":
                known |= event["facts"]
            case "process" if event["phase"] == "measuring":
                processes[event["process"]] = {
                    "process": event["process"],
                    "started": _timestamp(event.get("measured_at", event["time"])),
                    **({"resumed": True} if event.get("resumed") else {}),
                    "model_load_seconds": event["model_load_seconds"],
                    "warmup_ms": event["warmup_ms"],
                    **{column: [] for column in COLUMNS},
                }
            case "iteration":
                for column in COLUMNS:
                    processes[event["process"]][column].append(event[column])
                counters.append(event["throttling"])
                mhz.append(event.get("mhz"))
            case "warning":
                warnings.append({"code": event["code"], "message": event["message"]})
    measured = [process for process in processes.values() if process["wall_ms"]]
    if not known or not measured:
        raise ValueError("no iteration was finished")
    result = {
        "schema_version": SCHEMA_VERSION,
        "partial": partial,
        **known,
        **_figures(measured, known["audio"]["seconds"]),
        "processes": measured,
        "throttling": _throttling(counters, known["isolation"]),
        "conditions": _conditions(counters, measured, mhz),
        "warnings": warnings,
        "strict_findings": sorted({warning["code"] for warning in warnings} & STRICT_CODES),
    }
    # For people who look: figures and names first, lists and groups below.
    return dict(sorted(result.items(), key=lambda item: isinstance(item[1], (dict, list))))


def _timestamp(unix_seconds: float) -> str:
    return datetime.fromtimestamp(unix_seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _figures(processes: list[dict[str, Any]], audio_seconds: float) -> dict[str, Any]:
    columns = {column: [value for process in processes for value in process[column]] for column in COLUMNS}
    wall_ms = columns["wall_ms"]
    avg_latency_ms = fmean(wall_ms)
    return {
        "iterations": len(wall_ms),
        "avg_latency_ms": round(avg_latency_ms, 4),
        "avg_latency_seconds": round(avg_latency_ms / 1000, 7),
        "total_time_seconds": round(fsum(wall_ms) / 1000, 7),
        "rps": round(1000 / avg_latency_ms, 7),
        "real_time_factor": round(avg_latency_ms / 1000 / audio_seconds, 7),
        "latency_ms": summary.latency_ms(wall_ms),
        "phases_ms": {phase: round(fmean(columns[f"{phase}_ms"]), 4) for phase in ("mel", "encoder", "decoder")},
    }


def _throttling(counters: list[dict[str, Any]], isolation: dict[str, Any]) -> dict[str, Any]:
    """Counters summed over the timed regions. Without a quota the kernel counts nothing: not applicable, never 0."""
    applicable = isolation["quota_cpus"] is not None
    quota = {name: total(counters, name) if applicable else None for name in QUOTA_COUNTERS}
    return {"applicable": applicable, **quota, "steal_seconds": total(counters, "steal_seconds")}


def _conditions(
    counters: list[dict[str, Any]], processes: list[dict[str, Any]], mhz: list[float | None]
) -> dict[str, Any]:
    """What else went on during the timed regions; `None` where the kernel does not say."""
    wall_seconds, own_seconds = (
        fsum(fsum(process[name]) for process in processes) / 1000 for name in ("wall_ms", "cpu_ms")
    )
    busy_seconds = total(counters, "busy_seconds")
    known = [value for value in mhz if value is not None]
    return {
        "run_queue_seconds": total(counters, "run_queue_seconds"),
        # The kernel counts in ticks, so that a machine at rest may seem busy for less than this run was.
        "other_cpus": None if busy_seconds is None else round(max(0.0, busy_seconds - own_seconds) / wall_seconds, 4),
        "mhz_min": min(known, default=None),
        "mhz_max": max(known, default=None),
    }


def total(counters: Iterable[dict[str, Any]], name: str) -> float | None:
    """The sum of one counter over the iterations, or `None` where the kernel does not keep it."""
    # A journal of an earlier version lacks the counters that came later.
    values = [iteration.get(name) for iteration in counters]
    known = [value for value in values if value is not None]
    return round(sum(known), 6) if len(known) == len(values) else None


def schema() -> dict[str, Any]:
    """The contract of a result."""
    document: dict[str, Any] = json.loads(SCHEMA_FILE.read_text())
    return document


def problems(result: dict[str, Any]) -> list[str] | None:
    """What the schema says against a result; `None` where the jsonschema package is missing."""
    try:
        import jsonschema
    except ImportError:
        return None
    validator = jsonschema.Draft202012Validator(schema())
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(result)]
