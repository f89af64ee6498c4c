# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signals: they and the deadline end a run as an error of its own kind does, and one of them gives it its turn."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator
from types import FrameType

from bench_runner.errors import BenchmarkError, ExitCode

TURN = signal.SIGUSR1
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


def await_turns() -> None:
    """From here on a turn that is given is kept until it is waited for."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {TURN})


def wait_for_turn(seconds: float) -> float:
    """After `await_turns`: wait until somebody sends SIGUSR1, while the deadline's clock stands still.

    Gives the seconds that it took. Raises BenchmarkError after `seconds`.
    """
    left, _unused = signal.setitimer(signal.ITIMER_REAL, 0)
    begun = time.monotonic()
    if signal.sigtimedwait({TURN}, max(0.0, seconds)) is None:
        raise BenchmarkError(ExitCode.INTERRUPTED, "other runs took so long that no turn came before the deadline")
    signal.setitimer(signal.ITIMER_REAL, left)
    return time.monotonic() - begun


def be_undisturbed() -> None:
    """Within `interruptible`: from here on it is too late to stop."""
    signal.setitimer(signal.ITIMER_REAL, 0)
    for number in _CAUGHT:
        signal.signal(number, signal.SIG_IGN)


def _stop(number: int, _frame: FrameType | None) -> None:
    be_undisturbed()
    reason = "the deadline has passed" if number == signal.SIGALRM else f"stopped by {signal.Signals(number).name}"
    raise BenchmarkError(ExitCode.INTERRUPTED, reason)
