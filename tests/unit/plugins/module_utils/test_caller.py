# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ansible_collections.rightsize.whisper.plugins.module_utils._caller import Abandoned, Caller


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "run"


def test_the_directory_is_private_and_lasts_as_long_as_the_run(directory: Path) -> None:
    with Caller("[here] base:", str(directory)):
        assert directory.stat().st_mode & 0o777 == 0o700
    assert not directory.exists()


def test_a_directory_that_somebody_else_made_is_not_used(directory: Path) -> None:
    directory.mkdir()
    with pytest.raises(Abandoned, match="File exists") as caught, Caller("[here] base:", str(directory)):
        pass
    assert caught.value.kind == "no_progress"
    assert directory.exists()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_what_is_said_is_one_clean_line(directory: Path) -> None:
    with Caller("[he\x1bre] base:", str(directory)) as caller:
        caller.say("iteration 1\nof 2")
        assert (directory / "progress").read_text() == "[he�re] base: iteration 1�of 2\n"


def test_a_full_disk_stops_no_run(directory: Path) -> None:
    with Caller("[here] base:", str(directory)) as caller:
        (directory / "progress.new").mkdir()
        caller.say("iteration 1 of 2")


def test_a_lease_that_is_touched_holds(directory: Path) -> None:
    with Caller("[here] base:", str(directory), lease_seconds=0.2) as caller:
        for _unused in range(5):
            (directory / "lease").touch()
            caller.pause(0.1)


@pytest.mark.parametrize("remove", [False, True])
def test_a_lease_that_nobody_touches_is_lost(directory: Path, remove: bool) -> None:
    with Caller("[here] base:", str(directory), lease_seconds=0.2) as caller:
        caller.check()
        if remove:
            (directory / "lease").unlink()
        caller.pause(0.1)
        with pytest.raises(Abandoned, match=r"not looked at this run for 0\.2 s") as caught:
            caller.pause(0.2)
    assert caught.value.kind == "lease_lost"
    assert not directory.exists()


def test_without_a_directory_there_is_no_lease() -> None:
    with Caller("[here] base:", lease_seconds=0) as caller:
        caller.say("starting")
        caller.pause(0.01)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_noted_and_told_when_asked(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with Caller("[here] base:") as caller:
        os.kill(os.getpid(), number)
        with pytest.raises(Abandoned, match=number.name) as caught:
            caller.check()
        os.kill(os.getpid(), number)
    assert caught.value.kind == "interrupted"
    assert signal.getsignal(number) == before


HOLD = """
import sys, time
from ansible_collections.rightsize.whisper.plugins.module_utils._caller import Abandoned, Caller
with Caller("[here] base:") as caller:
    print("ready", flush=True)
    try:
        while True:
            caller.pause(0.05)
    except Abandoned as error:
        sys.exit(error.kind)
"""


def test_a_closed_output_means_that_nobody_waits() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        time.sleep(0.2)
        assert process.poll() is None
        process.stdout.close()
        assert process.stderr.read() == b"lease_lost\n"
