# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import signal
import threading
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleConnectionFailure
from ansible_collections.rightsize.whisper.plugins.plugin_utils.base import watched_action
from ansible_collections.rightsize.whisper.plugins.plugin_utils.base.watched_action import (
    MAX_LINE,
    Looker,
    ProgressPrinter,
)


class Screen:
    """A printer on a clock that the test turns."""

    def __init__(self) -> None:
        self.now = 100.0
        self.lines: list[tuple[float, str]] = []
        self.printer = ProgressPrinter(lambda line: self.lines.append((self.now, line)), lambda: self.now)

    def look_at(self, *texts: str, every: float = 5.1) -> None:
        for text in texts:
            self.printer.show(text)
            self.now += every


@pytest.fixture
def screen() -> Screen:
    return Screen()


def test_the_first_line_is_due_at_once(screen: Screen) -> None:
    screen.look_at("", "[here] base: starting\n")
    assert screen.lines == [(105.1, "[here] base: starting")]


@pytest.mark.parametrize("look_seconds", [5.0, 5.1, 6.0, 7.4])
def test_lines_come_at_least_every_15_seconds_and_not_at_every_look(screen: Screen, look_seconds: float) -> None:
    screen.look_at(*(f"iteration {number}" for number in range(60)), every=look_seconds)
    times = [time for time, _line in screen.lines]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert 8 <= min(gaps) <= max(gaps) <= 15


def test_a_line_that_stays_says_for_how_long(screen: Screen) -> None:
    screen.look_at(*["waiting"] * 6)
    assert [line for _time, line in screen.lines] == ["waiting", "waiting (for 10 s)", "waiting (for 20 s)"]


def test_a_target_cannot_steer_the_terminal(screen: Screen) -> None:
    screen.look_at("\x1b[2J\x9b31m{{ evil }}\r\n\n[fake] ok\u202e" + "x" * 5000)
    [(_time, line)] = screen.lines
    assert line.isprintable()
    assert len(line) == MAX_LINE


class FarSide:
    """What a looker needs of an action plugin."""

    def __init__(self, *answers: Any) -> None:
        self.commands: list[str] = []
        self.blocked_signals: set[int] = set()
        self.enough = threading.Event()
        self._answers = list(answers)

    def _low_level_execute_command(self, command: str) -> dict[str, Any]:
        self.commands.append(command)
        self.blocked_signals = signal.pthread_sigmask(signal.SIG_BLOCK, [])
        answer = self._answers.pop(0)
        if not self._answers:
            self.enough.set()
            self._answers.append(answer)
        if isinstance(answer, Exception):
            raise answer
        return {"rc": answer[0], "stdout": answer[1]}


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    lines: list[tuple[str, str]] = []
    monkeypatch.setattr(watched_action, "FIRST_LOOK_SECONDS", 0.01)
    monkeypatch.setattr(watched_action, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(watched_action, "REPEAT_SECONDS", 0.001)
    monkeypatch.setattr(
        watched_action,
        "Display",
        lambda: SimpleNamespace(
            display=lambda text, stderr: lines.append(("stderr" if stderr else "stdout", text)),
            warning=lambda text: lines.append(("warning", text)),
        ),
    )
    return lines


def look(far_side: FarSide) -> None:
    with Looker(far_side, "/tmp/run", "far"):  # type: ignore[arg-type]
        assert far_side.enough.wait(60)


def test_a_look_reads_the_progress_and_touches_the_lease(printed: list[tuple[str, str]]) -> None:
    far_side = FarSide((1, ""), (0, "starting\n"), (0, "iteration 1\n"), (1, ""))
    look(far_side)
    assert set(far_side.commands) == {"cat /tmp/run/progress && touch /tmp/run/lease"}
    assert ("stderr", "starting") in printed
    assert ("stderr", "iteration 1") in printed


def test_a_module_that_takes_long_to_begin_is_told_of(
    printed: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    look(FarSide((1, ""), (1, "")))
    assert printed == []
    monkeypatch.setattr(watched_action, "SILENCE_SECONDS", 0.0)
    look(FarSide((1, ""), (1, ""), (0, "iteration 1\n")))
    assert printed[0] == ("stderr", "[far] starting the module")
    assert ("stderr", "iteration 1") in printed


def test_a_connection_that_fails_is_told_of(printed: list[tuple[str, str]]) -> None:
    look(FarSide(AnsibleConnectionFailure("no route"), (0, "iteration 1\n"), (0, "iteration 1\n")))
    assert printed[0][0] == "warning"
    assert "no route" in printed[0][1]
    assert ("stderr", "iteration 1") in printed


def test_nobody_looks_once_the_run_is_over(printed: list[tuple[str, str]]) -> None:
    far_side = FarSide((0, "iteration 1\n"))
    look(far_side)
    seen = len(far_side.commands)
    threading.Event().wait(0.1)
    assert len(far_side.commands) == seen


def test_the_signals_that_stop_a_playbook_are_left_to_the_thread_that_waits_for_the_module(
    printed: list[tuple[str, str]],
) -> None:
    far_side = FarSide((0, "iteration 1\n"))
    look(far_side)
    assert far_side.blocked_signals >= {signal.SIGINT, signal.SIGTERM}
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, []) & {signal.SIGINT, signal.SIGTERM}


def test_a_worker_whose_playbook_was_killed_ends_itself(
    printed: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = threading.Event()
    sent: list[tuple[int, int]] = []
    parents = iter([1000, 1000])
    monkeypatch.setattr(watched_action.os, "getppid", lambda: next(parents, 1))
    monkeypatch.setattr(watched_action.os, "kill", lambda *what: (sent.append(what), ended.set()))
    far_side = FarSide((0, "iteration 1\n"))
    with Looker(far_side, "/tmp/run", "far"):  # type: ignore[arg-type]
        assert ended.wait(60)
    assert sent == [(os.getpid(), signal.SIGTERM)]
    assert len(far_side.commands) == 1
