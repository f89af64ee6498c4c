# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an interrupted run had finished, for another one to go on from: whole processes, out of its journal.

A process that was cut short is measured again. Whatever bears on the times must be as it was, or nothing is taken.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench_runner.errors import BenchmarkError, ExitCode
from bench_runner.recover import read_events
from bench_runner.result import COLUMNS

Event = dict[str, Any]

MAX_JOURNAL_BYTES = 8 * 1024**2
# What of the two results' beginnings must agree.
KNOWN = (
    "target",
    "architecture",
    "cpu_model",
    "model_size",
    "iterations_requested",
    "threads",
    "cpu_limit",
    "isolated",
    "labels",
    "decode",
    "image",
)
ISOLATION = ("mode", "emulated")
# What both learnt on the way, and by what it is compared.
LEARNT = {"audio": "sha256", "checkpoint": "sha256"}


@dataclass(frozen=True)
class FinishedProcess:
    """When its measuring began (Unix time), what it said then, and its answers, one an iteration."""

    measured_at: float
    model_load_seconds: float
    warmup_ms: list[float]
    answers: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class Earlier:
    """An interrupted run."""

    run_id: str
    known: Mapping[str, Any]
    facts: Mapping[str, Any]
    processes: tuple[FinishedProcess, ...]

    def differences(self, known: Mapping[str, Any], facts: Mapping[str, Any]) -> Iterator[str]:
        """How its configuration differs from this run's, by names."""
        yield from (name for name in KNOWN if self.known[name] != known[name])
        yield from (
            f"isolation {name}" for name in ISOLATION if self.known["isolation"][name] != known["isolation"][name]
        )
        yield from (name for name, key in LEARNT.items() if self.facts[name][key] != facts[name][key])


def read(journal: Path) -> Earlier:
    """The last run in a journal."""
    try:
        content = journal.read_bytes()
    except OSError as error:
        raise BenchmarkError(
            ExitCode.USAGE, f"cannot read the journal {journal}: {error.strerror}; name the one of the interrupted run"
        ) from error
    return _earlier(content, str(journal))


def unpack(packed: str) -> Earlier:
    """The last run in a journal that comes as gzip in base64, into a container in which there is no file of it."""
    unpacker = zlib.decompressobj(wbits=31)
    try:
        content = unpacker.decompress(base64.b64decode(packed, validate=True), MAX_JOURNAL_BYTES)
    except (binascii.Error, zlib.error, ValueError) as error:
        raise cannot_resume(f"the packed journal cannot be unpacked ({error})") from error
    return _earlier(content, "the packed journal")


def _earlier(content: bytes, name: str) -> Earlier:
    events, _other_lines = read_events(content.decode("utf-8", "replace"))
    if not any(event["event"] == "process" and event.get("phase") == "done" for event in events):
        raise cannot_resume(f"no process was finished in {name}")
    try:
        return _last_run(events)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise cannot_resume(f"the events in {name} lack what bench_runner writes ({error!r})") from error


def cannot_resume(reason: str) -> BenchmarkError:
    return BenchmarkError(ExitCode.USAGE, f"there is nothing to go on from: {reason}; measure anew, without resuming")


def _last_run(events: list[Event]) -> Earlier:
    facts: dict[str, Any] = {}
    began: dict[int, Event] = {}
    iterations: dict[int, list[Event]] = {}
    done: set[int] = set()
    for event in events:
        match event["event"]:
            case "facts":
                facts |= event["facts"]
            case "process" if event["phase"] == "measuring":
                began[event["process"]] = event
                iterations[event["process"]] = []
            case "process" if event["phase"] == "done":
                done.add(event["process"])
            case "iteration":
                iterations[event["process"]].append(event)
    for name in ("audio", "checkpoint", "software", "transcript"):
        if not isinstance(facts[name], dict):
            raise TypeError(f"{name} is {facts[name]!r}")
    processes = tuple(_process(began[number], iterations[number], facts["transcript"]) for number in sorted(done))
    return Earlier(events[0]["run_id"], events[0]["result"], facts, processes)


def _process(began: Event, iterations: list[Event], transcript: dict[str, Any]) -> FinishedProcess:
    answers = tuple(
        {
            "iteration": {column: told[column] for column in COLUMNS},
            "throttling": told["throttling"],
            "mhz": told["mhz"],
            "transcript": {**transcript, "sha256": told["transcript_sha256"]},
        }
        for told in iterations
    )
    # A run that was resumed itself tells when those before were measured.
    measured_at = float(began["measured_at"] if "measured_at" in began else began["time"])
    return FinishedProcess(measured_at, began["model_load_seconds"], began["warmup_ms"], answers)
