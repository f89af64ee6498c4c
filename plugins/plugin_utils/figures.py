# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The figures of two results side by side: which ones, in which order, and what stands where there is none.

A figure is a value with its kind, never a formatted text. Nothing is filled in: a percentile that too few iterations
support is absent, and so is a counter that the kernel does not keep.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ansible_collections.rightsize.whisper.plugins.plugin_utils import memory
from ansible_collections.rightsize.whisper.plugins.plugin_utils.statistics import Sample, estimate_mean

UNKNOWN = "not known"
SOFTWARE = {"python": "Python", "torch": "PyTorch", "whisper": "openai-whisper", "numpy": "NumPy", "kernel": "Kernel"}

# `code` is an identifier that people copy. A unit's kind is a number, `interval_seconds` two of them.
Kind = Literal[
    "text", "code", "yes_no", "count", "cpus", "mebibytes", "milliseconds", "seconds", "per_second", "factor", "share",
    "interval_seconds",
]  # fmt: skip


@dataclass(frozen=True)
class Share:
    """Some of a count."""

    part: int
    whole: int
    share: float


@dataclass(frozen=True)
class Fact:
    """A figure of one result; `absent` is what to say where its value is None."""

    name: str
    kind: Kind
    value: Any
    absent: str = UNKNOWN
    # Left out of the table where both sides lack it.
    optional: bool = False


@dataclass(frozen=True)
class Figure:
    """A figure of both results."""

    name: str
    kind: Kind
    reference: Fact
    target: Fact


def figures(reference: Mapping[str, Any], target: Mapping[str, Any]) -> tuple[Figure, ...]:
    """The table of two results."""
    sides = zip(_facts(reference), _facts(target), strict=True)
    return tuple(
        Figure(ours.name, ours.kind, ours, theirs)
        for ours, theirs in sides
        if not (ours.optional and ours.value is None and theirs.value is None)
    )


def _facts(result: Mapping[str, Any]) -> Iterator[Fact]:
    """Of every result the same facts in the same order."""
    yield from _machine(result)
    yield from _latency(result)
    yield from _counters(result)
    yield from _versions(result)


def _machine(result: Mapping[str, Any]) -> Iterator[Fact]:
    isolation = result["isolation"]
    yield Fact("Architecture", "text", result["architecture"])
    yield Fact("CPU", "text", result["cpu_model"])
    yield Fact("CPU limit", "cpus", result["cpu_limit"], absent="none")
    yield Fact("CPU limited by", "text", None if isolation["mode"] == "none" else isolation["mode"], absent="nothing")
    yield Fact("Isolated as asked", "yes_no", result["isolated"])
    yield Fact("Kubernetes node", "code", (result["kubernetes"] or {}).get("node"), absent="none", optional=True)
    yield Fact("Threads", "count", result["threads"])


def _latency(result: Mapping[str, Any]) -> Iterator[Fact]:
    latency, phases = result["latency_ms"], result["phases_ms"]
    mean = estimate_mean(Sample.of_result(result))
    interval = None if mean.low is None or mean.high is None else (mean.low / 1000, mean.high / 1000)
    yield Fact("Iterations", "count", result["iterations"])
    yield Fact("Processes", "count", len(result["processes"]))
    yield Fact("Average latency", "seconds", result["avg_latency_seconds"])
    yield Fact("Average latency", "milliseconds", result["avg_latency_ms"])
    yield Fact(f"Its {100 * mean.confidence:g} % interval", "interval_seconds", interval, absent="too few processes")
    yield Fact("Requests per second, one at a time", "per_second", result["rps"])
    yield Fact("Fastest", "milliseconds", latency["min"])
    yield Fact("Median", "milliseconds", latency["median"])
    for percentile in ("p90", "p95", "p99"):
        yield Fact(percentile, "milliseconds", latency[percentile], absent="too few iterations", optional=True)
    yield Fact("Slowest (maximum)", "milliseconds", latency["max"])
    yield Fact("Real-time factor", "factor", result["real_time_factor"])
    for phase, name in (("mel", "Mel spectrogram"), ("encoder", "Encoder"), ("decoder", "Decoder")):
        yield Fact(f"{name}, mean", "milliseconds", phases[phase])
    load_seconds = statistics.fmean(process["model_load_seconds"] for process in result["processes"])
    yield Fact("Loading the model (not in the latency), mean", "seconds", load_seconds)


def _counters(result: Mapping[str, Any]) -> Iterator[Fact]:
    throttling, peak_bytes = result["throttling"], memory.peak_bytes(result)
    yield Fact(
        "Throttled periods", "share", _throttled(throttling), UNKNOWN if throttling["applicable"] else "not applicable"
    )
    yield Fact("CPU time stolen by the hypervisor", "seconds", throttling["steal_seconds"])
    yield Fact("Memory peak", "mebibytes", None if peak_bytes is None else peak_bytes / memory.MEBIBYTE)
    yield Fact("Tokens", "count", result["transcript"]["tokens"])
    yield Fact("Windows of audio", "count", result["transcript"]["windows"])
    yield Fact("Transcript", "code", result["transcript"]["sha256"][:12])


def _versions(result: Mapping[str, Any]) -> Iterator[Fact]:
    software = result["software"]
    for key, name in SOFTWARE.items():
        yield Fact(name, "text", software[key])
    yield Fact("Instruction set that PyTorch uses", "text", software["cpu_capability"])
    image_id = (result["image"] or {}).get("id")
    yield Fact("Image", "code", image_id if image_id is None else str(image_id).removeprefix("sha256:")[:12])
    yield Fact("Run", "code", result["run_id"])
    yield Fact("Measured at", "text", result["timestamp"])


def _throttled(throttling: Mapping[str, Any]) -> Share | None:
    periods, throttled = throttling["periods"], throttling["throttled_periods"]
    if not throttling["applicable"] or periods is None or throttled is None:
        return None
    return Share(throttled, periods, throttled / periods if periods else 0.0)
