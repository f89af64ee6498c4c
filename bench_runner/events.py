# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run says while it runs: one event after another, to standard error and to the journal.

An event is a JSON object. `--progress jsonl` writes the objects themselves, `--progress text` a line for people. The
journal takes every event, fsynced, so that a killed run can be recovered from it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any, TextIO

from bench_runner.errors import BenchmarkError, ExitCode


class EventStream:
    """Where the events of one run go."""

    def __init__(self, run_id: str, *, as_json: bool, journal: Path | None, stream: TextIO = sys.stderr) -> None:
        self._run_id = run_id
        self._as_json = as_json
        self._stream = stream
        self._journal: int | None = None
        self._journal_path = journal
        if journal is not None:
            try:
                self._journal = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
            except OSError as error:
                raise BenchmarkError(
                    ExitCode.NOT_WRITABLE,
                    f"cannot write the journal {journal}: {error.strerror}; name another --journal",
                ) from error

    def emit(self, event: str, **fields: Any) -> None:
        """Say it: one line, at once."""
        record = {"event": event, "time": round(time.time(), 3), "run_id": self._run_id, **fields}
        line = json.dumps(record, ensure_ascii=True, allow_nan=False)
        if self._journal is not None:
            self._write_journal(line)
        text = line if self._as_json else _sentence(event, fields)
        if text:
            self._stream.write(text + "\n")
            self._stream.flush()

    def _write_journal(self, line: str) -> None:
        assert self._journal is not None
        try:
            os.write(self._journal, line.encode() + b"\n")
            os.fsync(self._journal)
        except OSError as error:
            raise BenchmarkError(
                ExitCode.NOT_WRITABLE,
                f"cannot write the journal {self._journal_path}: {error.strerror}; name another --journal",
            ) from error


def _sentence(event: str, fields: dict[str, Any]) -> str | None:
    """The line that people read, or `None` where the event is for programs alone."""
    match event:
        case "process":
            return f"bench_runner: process {fields['process']} of {fields['of']}: {fields['phase']}"
        case "iteration":
            return (
                f"bench_runner: iteration {fields['number']} of {fields['of']}: {fields['wall_ms'] / 1000:.3f} s, "
                f"mean {fields['mean_ms'] / 1000:.3f} s, {duration(fields['eta_seconds'])} left"
            )
        case "warning" | "log" | "error":
            kind = "" if event == "log" else f"{event}: "
            return f"bench_runner: {kind}{fields['message']}"
    return None


def duration(seconds: float) -> str:
    """`45 s`, `3 min 20 s` or `1 h 5 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
