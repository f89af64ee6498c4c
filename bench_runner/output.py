# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a user wants the result beside standard output: a file of its own, and a history that it is appended to."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from bench_runner import files
from bench_runner.errors import BenchmarkError, ExitCode


def check(output: Path | None, history: Path | None) -> None:
    """Find out before an hour of measuring that its result could not be kept."""
    for path in filter(None, (output, history)):
        try:
            files.check_writable(path)
        except OSError as error:
            raise _not_writable(str(path), error) from error


def write(result: dict[str, Any], output: Path | None, history: Path | None) -> None:
    """Print the result, then keep it in the files asked for: a full disk takes nothing that standard output has."""
    line = json.dumps(result, allow_nan=False).encode() + b"\n"
    place = "standard output"
    try:
        sys.stdout.buffer.write(line)
        sys.stdout.flush()
        if output is not None:
            place = str(output)
            with files.written_whole(output) as stream:
                stream.write(line)
        if history is not None:
            place = str(history)
            _append(history, line)
    except OSError as error:
        if place == "standard output":
            # What is left in its buffer cannot be written either: keep Python from trying again when it exits.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise _not_writable(place, error) from error


def keep(result: dict[str, Any], history: Path) -> None:
    """Append one result of several."""
    try:
        _append(history, json.dumps(result, allow_nan=False).encode() + b"\n")
    except OSError as error:
        raise _not_writable(str(history), error) from error


def _append(history: Path, line: bytes) -> None:
    descriptor = files.open_to_append(history)
    try:
        files.append_line(descriptor, line)
    finally:
        os.close(descriptor)


def _not_writable(place: str, error: OSError) -> BenchmarkError:
    return BenchmarkError(ExitCode.NOT_WRITABLE, f"cannot write {place}: {error.strerror}; name another file")
