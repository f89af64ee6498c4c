# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run says of itself while it lasts: the events that bench_runner writes, one JSON object a line.

They are kept (a killed run is recovered from them), the last error among them is what a user is told, and each becomes
a few words of progress.
"""

from __future__ import annotations

import json
import math
import typing as t
from collections import deque

# The events of 10,000 iterations have about 2 MiB.
MAX_JOURNAL_BYTES = 8 * 1024 * 1024
MAX_LINE_BYTES = 64 * 1024
KEPT_OTHER_LINES = 5
# The phase in which a run that takes turns stays until it is sent SIGUSR1.
WAITING_FOR_ITS_TURN = "waiting for its turn"
DONE = "done"

Event = t.Dict[str, t.Any]


class Journal:
    """The events of one run, fed in pieces as they arrive; anything else in the stream is no event of this run."""

    def __init__(self, run_id: str) -> None:
        self.words = ""
        self.iterations = 0
        self.processes_done = 0
        self.turns_asked = 0
        self.error: t.Optional[Event] = None
        self._run_id = run_id
        self._lines: t.List[str] = []
        self._size = 0
        self._unfinished = b""
        self._other_lines: t.Deque[str] = deque(maxlen=KEPT_OTHER_LINES)

    @property
    def text(self) -> str:
        """The events as they came, for `python -m bench_runner.recover`."""
        return "".join(line + "\n" for line in self._lines)

    @property
    def last_words(self) -> str:
        """The end of what the container wrote that was no event: a traceback, a complaint of the loader."""
        return " / ".join(self._other_lines)

    def feed(self, data: bytes) -> None:
        *lines, rest = (self._unfinished + data).split(b"\n")
        self._unfinished = rest[:MAX_LINE_BYTES]
        for line in lines:
            self._take(line[:MAX_LINE_BYTES].decode("utf-8", "replace").strip())

    def finish(self) -> None:
        """Nothing more will come: an unfinished last line is a line."""
        self.feed(b"\n")

    def _take(self, line: str) -> None:
        event = parse_event(line, self._run_id)
        if event is None:
            if line:
                self._other_lines.append(printable(line)[:200])
            return
        if self._size + len(line) <= MAX_JOURNAL_BYTES:
            self._lines.append(line)
            self._size += len(line)
        if event["event"] == "iteration":
            self.iterations += 1
        elif event["event"] == "process" and event.get("phase") == WAITING_FOR_ITS_TURN:
            self.turns_asked += 1
        elif event["event"] == "process" and event.get("phase") == DONE:
            self.processes_done += 1
        elif event["event"] == "error":
            self.error = event
        self.words = describe(event) or self.words


def parse_event(line: str, run_id: str) -> t.Optional[Event]:
    """The event in `line`, if it is one and of this run."""
    if not line.startswith("{"):
        return None
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(event, dict) or not isinstance(event.get("event"), str):
        return None
    # What is wrong with a command line is said before the run's id was read from it.
    known_ids = (run_id, "") if event["event"] == "error" else (run_id,)
    return event if event.get("run_id") in known_ids else None


def finished_processes(journal: bytes) -> int:
    """How many processes the last run in a journal has finished."""
    done = 0
    for line in journal.decode("utf-8", "replace").splitlines():
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(event, dict) and event.get("event") == "start":
            done = 0
        elif isinstance(event, dict) and event.get("event") == "process" and event.get("phase") == DONE:
            done += 1
    return done


def describe(event: Event) -> str:
    """The event in a few words; empty where it says nothing of how far the run is."""
    if event["event"] == "start":
        return "starting"
    if event["event"] == "process":
        return (
            f"process {_number(event, 'process')} of {_number(event, 'of')}, {printable(event.get('phase', ''))[:40]}"
        )
    if event["event"] == "iteration":
        mean_seconds = _number(event, "mean_ms") / 1000
        return (
            f"iteration {_number(event, 'number')} of {_number(event, 'of')}, mean {mean_seconds:.3f} s, "
            f"{duration(_number(event, 'eta_seconds'))} left"
        )
    if event["event"] == "end":
        return "finished"
    return ""


def duration(seconds: float) -> str:
    """A time as people say it: 45 s, 1 min 20 s, 2 h 05 min."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def printable(text: object) -> str:
    """`text` without a character that a terminal would act on."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in str(text))


def _number(event: Event, key: str) -> t.Union[int, float]:
    """A number of the event; what a container writes may be anything, and progress is no place to fail over it."""
    value = event.get(key)
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return t.cast(float, value) if is_number and math.isfinite(t.cast(float, value)) else 0
