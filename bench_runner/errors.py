# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one exception that ends a benchmark with a line for its user, and the exit codes that programs read."""

from __future__ import annotations

import re
from enum import IntEnum


class ExitCode(IntEnum):
    """What the process ends with; documented in README.md."""

    DONE = 0
    INTERNAL = 1
    USAGE = 2
    AUDIO = 3
    CHECKPOINT = 4
    OUT_OF_MEMORY = 5
    INTERRUPTED = 6
    NOT_WRITABLE = 7
    DISTURBED = 8


class BenchmarkError(Exception):
    """Ends the run. The message is one line: what, where, what to do."""

    def __init__(self, code: ExitCode, message: str) -> None:
        super().__init__(message)
        self.code = code

    @property
    def kind(self) -> str:
        """The name of the failure, as events carry it."""
        return self.code.name.lower()


def is_out_of_memory(error: Exception) -> bool:
    """Whether memory ran out: torch says so with a RuntimeError, the loader of shared objects with an ImportError."""
    return (
        isinstance(error, MemoryError)
        or re.search(r"can(no|')t allocate memory", str(error), re.IGNORECASE) is not None
    )


def missing_package(error: ModuleNotFoundError) -> BenchmarkError:
    """What to do where a library is not installed."""
    return BenchmarkError(
        ExitCode.INTERNAL,
        f"the Python package {error.name} is missing; use the runner image, or install bench_runner/requirements.in",
    )
