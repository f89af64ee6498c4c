# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs that nobody waits for any more: the container is gone within seconds, however the playbook ended."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import Containers
from tests.integration.playbooks import PlaybookRun, answers, measuring

pytestmark = [pytest.mark.engine, pytest.mark.image]
Play = Callable[..., PlaybookRun]


@pytest.fixture
def running(play: Play, tmp_path: Path, stand_in: str, containers: Containers) -> Callable[..., PlaybookRun]:
    """Starts a run of a minute and waits until it is on its way."""

    def start(**arguments: Any) -> PlaybookRun:
        run = play(measuring(tmp_path, {"image": stand_in, "iterations": 300, **arguments}))
        containers.wait_for_one()
        run.wait_for("iteration")
        return run

    return start


def folders_of_runs() -> set[Path]:
    return {path for path in Path("/tmp").iterdir() if re.fullmatch(r"rightsize-whisper-[0-9a-f]{32}", path.name)}


def check_that_no_folder_is_left(before: set[Path]) -> None:
    """A module that is told to stop removes the container first, then its folder."""
    for _attempt in range(50):
        if not folders_of_runs() - before:
            return
        time.sleep(0.1)
    raise AssertionError(f"left behind: {folders_of_runs() - before}")


def workers(run: PlaybookRun) -> list[int]:
    listed = subprocess.run(["pgrep", "-P", str(run.pid)], capture_output=True, text=True, check=True).stdout
    return [int(line) for line in listed.split()]


def test_ctrl_c(running: Callable[..., PlaybookRun], containers: Containers) -> None:
    before = folders_of_runs()
    run = running()
    assert folders_of_runs() - before
    run.interrupt()
    assert containers.seconds_until_gone() < 10
    assert run.wait() not in (0, 2)
    assert "User interrupted execution" in run.output
    check_that_no_folder_is_left(before)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_ansible_playbook_is_ended(
    running: Callable[..., PlaybookRun], containers: Containers, number: signal.Signals
) -> None:
    before = folders_of_runs()
    run = running()
    run.signal(number)
    assert containers.seconds_until_gone() < 15
    assert run.wait() != 0
    check_that_no_folder_is_left(before)


@pytest.mark.slow
def test_a_controller_that_freezes_loses_the_lease(
    running: Callable[..., PlaybookRun], containers: Containers, tmp_path: Path
) -> None:
    run = running(lease_seconds=8)
    frozen = workers(run)
    for worker in frozen:
        os.kill(worker, signal.SIGSTOP)
    assert 2 < containers.seconds_until_gone() < 20
    for worker in frozen:
        os.kill(worker, signal.SIGCONT)
    assert run.wait() == 2, run.output
    [answer] = answers(tmp_path)
    assert answer["failure"] == "lease_lost"
    assert "has not looked at this run for 8 s" in answer["msg"]
    assert '"event": "iteration"' in answer["partial_journal"]


@pytest.mark.slow
def test_what_a_killed_module_leaves_is_removed_by_the_next_run(
    running: Callable[..., PlaybookRun], play: Play, stand_in: str, containers: Containers, tmp_path: Path
) -> None:
    before = folders_of_runs()
    run = running()
    left = containers.wait_for_one()
    # The module's process is the last in the worker's group: worker, shell, Python.
    module = subprocess.run(
        ["pgrep", "-n", "-g", str(workers(run)[0]), "python"], capture_output=True, check=True
    ).stdout
    os.kill(int(module), signal.SIGKILL)
    assert run.wait() == 2, run.output
    check_that_no_folder_is_left(before)
    assert [container.id for container in containers.all()] == [left.id]
    again = play(measuring(tmp_path, {"image": stand_in, "iterations": 1}))
    assert again.wait() == 0, again.output
