# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for a turn, each in a process of its own, since signals are a process's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[3]
PROGRAM = """
import os, signal, threading, time
from bench_runner.errors import BenchmarkError
from bench_runner.interruption import await_turns, interruptible, set_deadline, wait_for_turn
try:
    with interruptible():
        await_turns()
        {body}
        print("done")
except BenchmarkError as error:
    print(int(error.code), error)
"""


def said(body: str) -> str:
    program = PROGRAM.format(body=body.replace("\n", "\n        "))
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=CHECKOUT, capture_output=True, text=True, timeout=60, check=True
    )
    return ended.stdout.strip()


def test_a_turn_that_was_given_before_it_was_waited_for_counts() -> None:
    assert said("os.kill(os.getpid(), signal.SIGUSR1)\nwait_for_turn(30)") == "done"


@pytest.mark.parametrize("seconds", ["0.1", "-1"])
def test_a_turn_that_does_not_come(seconds: str) -> None:
    assert said(f"wait_for_turn({seconds})") == "6 other runs took so long that no turn came before the deadline"


def test_the_deadline_stands_still_while_others_measure() -> None:
    turn = "threading.Timer(1, os.kill, (os.getpid(), signal.SIGUSR1)).start()"
    assert said(f"set_deadline(0.7)\n{turn}\nwait_for_turn(30)") == "done"
    assert said(f"set_deadline(0.7)\n{turn}\nwait_for_turn(30)\ntime.sleep(30)") == "6 the deadline has passed"


def test_a_run_can_be_stopped_while_it_waits() -> None:
    stop = "threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM)).start()"
    assert said(f"{stop}\nwait_for_turn(30)") == "6 stopped by SIGTERM"
