# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that a user asks for beside standard output: the result, and a history that it is appended to."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import Any

from bench_runner.errors import BenchmarkError, ExitCode


def check_writable(*paths: Path | None) -> None:
    """Find out before an hour of measuring that its result could not be kept."""
    for path in paths:
        if path is None:
            continue
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644))
        except OSError as error:
            raise _not_writable(path, error) from error


def write(result: dict[str, Any], output: Path | None, history: Path | None) -> None:
    """Keep the result in the files asked for."""
    line = json.dumps(result, allow_nan=False).encode() + b"\n"
    if output is not None:
        _replace(output, line)
    if history is not None:
        _append(history, line)


def _replace(path: Path, content: bytes) -> None:
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise _not_writable(path, error) from error


def _append(path: Path, line: bytes) -> None:
    """One write under a lock. A last line that a crash tore is ended first, so that it costs nobody else's."""
    try:
        with path.open("ab+", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            size = file.seek(0, os.SEEK_END)
            torn = size > 0 and os.pread(file.fileno(), 1, size - 1) != b"\n"
            written = file.write(b"\n" + line if torn else line)
            if written != len(line) + torn:
                os.ftruncate(file.fileno(), size)
                raise OSError(28, "No space left on device")
            os.fsync(file.fileno())
    except OSError as error:
        raise _not_writable(path, error) from error


def _not_writable(path: Path, error: OSError) -> BenchmarkError:
    return BenchmarkError(ExitCode.NOT_WRITABLE, f"cannot write {path}: {error.strerror}; name another file")
