# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one who asked for a run: told how far it is, and looked after, since a run must not outlive who waits for it.

The action plugin on the controller looks, every few seconds, into a private directory that the module keeps on its own
machine: it reads the file `progress` and touches the file `lease`. A lease that nobody touches any more, a signal, or a
closed standard output each mean that nobody waits: the connection broke, or ansible-playbook was stopped or killed.
"""

from __future__ import annotations

import contextlib
import select
import shutil
import signal
import time
import types
import typing as t
from pathlib import Path

from ._progress import printable

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Abandoned(Exception):
    """Nobody waits for this run any more, or nobody can; `kind` is `interrupted`, `lease_lost` or `no_progress`."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Caller:
    """A context: while it lasts, the directory exists, and a signal is noted rather than fatal.

    Without a directory (the module was not started by its action plugin) there is neither progress nor lease.
    """

    def __init__(self, title: str, directory: t.Optional[str] = None, lease_seconds: float = 60) -> None:
        self._title = title
        self._directory = None if directory is None else Path(directory)
        self._lease_seconds = lease_seconds
        self._lease_stamp: t.Optional[int] = None
        self._lease_seen = time.monotonic()
        self._said = ""
        self._signal: t.Optional[signal.Signals] = None
        self._handlers: t.Dict[signal.Signals, t.Any] = {}

    def __enter__(self) -> Caller:
        if self._directory is not None:
            try:
                self._directory.mkdir(0o700)
                _replace(self._directory / "lease", "")
            except OSError as error:
                raise Abandoned(
                    "no_progress",
                    f"cannot keep the progress of the run in {self._directory} on this host: {error.strerror}",
                ) from error
        for number in SIGNALS:
            self._handlers[number] = signal.signal(number, self._note_signal)
        return self

    def __exit__(self, *exception: object) -> None:
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def say(self, words: str) -> None:
        """Let the next look at this run see `words`."""
        if words == self._said:
            return
        self._said = words
        if self._directory is not None:
            # A full disk is no reason to lose a measurement; the look then shows the words before.
            with contextlib.suppress(OSError):
                _replace(self._directory / "progress", printable(f"{self._title} {words}") + "\n")

    def check(self) -> None:
        """Raise `Abandoned` if nobody waits any more."""
        if self._signal is not None:
            raise Abandoned("interrupted", f"the run was stopped by {self._signal.name}")
        if _reader_is_gone(1):
            raise Abandoned("lease_lost", "the connection to the controller was closed")
        if self._directory is not None:
            self._check_lease(self._directory / "lease")

    def pause(self, seconds: float) -> None:
        """Sleep, and check at both ends."""
        self.check()
        time.sleep(seconds)
        self.check()

    def _check_lease(self, lease: Path) -> None:
        try:
            stamp: t.Optional[int] = lease.stat().st_mtime_ns
        except FileNotFoundError:
            stamp = self._lease_stamp
        now = time.monotonic()
        if stamp != self._lease_stamp:
            self._lease_stamp = stamp
            self._lease_seen = now
        elif now - self._lease_seen > self._lease_seconds:
            raise Abandoned(
                "lease_lost", f"the controller has not looked at this run for {self._lease_seconds:g} s and may be gone"
            )

    def _note_signal(self, number: int, frame: t.Optional[types.FrameType]) -> None:
        self._signal = signal.Signals(number)


def _replace(path: Path, text: str) -> None:
    """Write a file so that a look sees all of it, or what was there before."""
    new = path.with_suffix(".new")
    new.write_text(text, encoding="utf-8")
    new.replace(path)


def _reader_is_gone(descriptor: int) -> bool:
    """Whether the other end of a pipe, socket or terminal was closed; a file has no other end."""
    poll = select.poll()
    poll.register(descriptor, 0)
    return any(events & (select.POLLERR | select.POLLHUP) for _descriptor, events in poll.poll(0))
