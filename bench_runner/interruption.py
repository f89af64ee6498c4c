# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signals and the deadline end a run as an error of its own kind does."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

from bench_runner.errors import BenchmarkError, ExitCode

_CAUGHT = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Turn SIGINT, SIGTERM and the deadline into a BenchmarkError, once."""
    previous = {number: signal.signal(number, _stop) for number in _CAUGHT}
    try:
        yield
    finally:
        be_undisturbed()
        for number, handler in previous.items():
            signal.signal(number, handler)


def set_deadline(seconds: float) -> None:
    """Within `interruptible`: give up this many seconds from now."""
    signal.setitimer(signal.ITIMER_REAL, seconds)


def be_undisturbed() -> None:
    """Within `interruptible`: from here on it is too late to stop."""
    signal.setitimer(signal.ITIMER_REAL, 0)
    for number in _CAUGHT:
        signal.signal(number, signal.SIG_IGN)


def _stop(number: int, _frame: FrameType | None) -> None:
    be_undisturbed()
    reason = "the deadline has passed" if number == signal.SIGALRM else f"stopped by {signal.Signals(number).name}"
    raise BenchmarkError(ExitCode.INTERRUPTED, reason)
