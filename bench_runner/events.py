# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run says while it runs: one event after another, to standard error and to the journal.

An event is a JSON object. `--progress jsonl` writes the objects themselves, `--progress text` a line for people. The
journal takes every event, fsynced, so that a killed run can be recovered from it.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from pathlib import Path
from typing import Any

from bench_runner import files
from bench_runner.errors import BenchmarkError, ExitCode
from bench_runner.wording import duration

Event = dict[str, Any]


class EventStream:
    """Where the events of one run go; `events` are those told so far."""

    def __init__(self, run_id: str, *, as_json: bool, journal: Path | None = None) -> None:
        self.events: list[Event] = []
        self._run_id = run_id
        self._as_json = as_json
        self._journal: int | None = None
        if journal is not None:
            try:
                self._journal = files.open_to_append(journal)
            except OSError as error:
                raise BenchmarkError(
                    ExitCode.NOT_WRITABLE,
                    f"cannot write the journal {journal}: {error.strerror}; name another --journal",
                ) from error

    def emit(self, name: str, /, **fields: Any) -> None:
        """Tell it: one line, at once."""
        event = {"event": name, "time": round(time.time(), 3), "run_id": self._run_id, **fields}
        self.events.append(event)
        line = json.dumps(event, allow_nan=False)
        self._write_journal(line)
        text = line if self._as_json else _sentence(event)
        if text:
            # Whoever was reading may be gone; the measurement does not depend on it.
            with contextlib.suppress(OSError):
                print(text, file=sys.stderr, flush=True)

    def warn(self, code: str, message: str) -> None:
        """A warning that the result will carry."""
        self.emit("warning", code=code, message=message)

    def log(self, message: str) -> None:
        """Something worth knowing now."""
        self.emit("log", message=message)

    def _write_journal(self, line: str) -> None:
        """Half a journal is no reason to give up a measurement: say so, and go on without it."""
        if self._journal is None:
            return
        try:
            files.append_line(self._journal, line.encode() + b"\n")
        except OSError as error:
            self._journal = None
            self.warn(
                "journal_incomplete",
                f"the journal could not be written ({error.strerror}): a killed run cannot be recovered whole; "
                "make room and run again",
            )


def _sentence(event: Event) -> str | None:
    """The line that people read, or `None` where the event is for programs alone."""
    match event["event"]:
        case "process":
            return f"bench_runner: process {event['process']} of {event['of']}: {event['phase']}"
        case "iteration":
            return (
                f"bench_runner: iteration {event['number']} of {event['of']}: {event['wall_ms'] / 1000:.3f} s, "
                f"mean {event['mean_ms'] / 1000:.3f} s, {duration(event['eta_seconds'])} left"
            )
        case "log":
            return f"bench_runner: {event['message']}"
        case "warning" | "error" as kind:
            return f"bench_runner: {kind}: {event['message']}"
    return None
