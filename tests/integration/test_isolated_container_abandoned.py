# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs that nobody waits for any more: the container is gone within seconds, however the playbook ended."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import Containers
from tests.integration.playbooks import CHECKOUT, PlaybookRun, answers, measuring

pytestmark = [pytest.mark.engine, pytest.mark.image]
Play = Callable[..., PlaybookRun]
Running = tuple[PlaybookRun, Path]


@pytest.fixture
def running(play: Play, tmp_path: Path, stand_in: str, containers: Containers) -> Callable[..., Running]:
    """Starts a run of a minute and waits until it is on its way."""

    def start(**arguments: Any) -> Running:
        target = f"target-{secrets.token_hex(4)}"
        run = play(measuring(tmp_path, {"image": stand_in, "target": target, "iterations": 300, **arguments}))
        containers.wait_for_one()
        run.wait_for("iteration")
        [folder] = [path for path in Path("/tmp").glob("rightsize-whisper-*") if target in progress(path)]
        return run, folder

    return start


def progress(folder: Path) -> str:
    """What a run has said last, if it has; those of other tests end meanwhile."""
    try:
        return (folder / "progress").read_text()
    except (FileNotFoundError, NotADirectoryError):
        return ""


def check_that_it_goes(folder: Path) -> None:
    """A module that is told to stop removes the container first, then its folder."""
    for _attempt in range(50):
        if not folder.exists():
            return
        time.sleep(0.1)
    raise AssertionError(f"left behind: {folder}")


def workers(run: PlaybookRun) -> list[int]:
    listed = subprocess.run(["pgrep", "-P", str(run.pid)], capture_output=True, text=True, check=True).stdout
    return [int(line) for line in listed.split()]


def test_ctrl_c(running: Callable[..., Running], containers: Containers) -> None:
    run, folder = running()
    run.interrupt()
    assert containers.seconds_until_gone() < 10, run.output
    assert run.wait() not in (0, 2)
    assert "User interrupted execution" in run.output
    check_that_it_goes(folder)


@pytest.mark.slow
def test_ctrl_c_leaves_the_history_as_it_was(play: Play, tmp_path: Path, runner_image: str) -> None:
    arguments = {"image": runner_image, "memory": "3Gi", "timeout": 900}
    first, second = measuring(tmp_path, {**arguments, "iterations": 1}, {**arguments, "iterations": 500})[0]["tasks"]
    keep = {
        "name": "Keep the result",
        "rightsize.whisper.result_history": {
            "path": str(tmp_path / "history.jsonl"),
            "schema_file": str(CHECKOUT / "bench_runner" / "result.schema.json"),
            "result": "{{ answer.result }}",
        },
    }
    run = play([{"name": "Measure twice", "hosts": "all", "gather_facts": False, "tasks": [first, keep, second]}])
    run.wait_for("of 500", timeout=600)
    before = (tmp_path / "history.jsonl").read_bytes()
    run.interrupt()
    assert run.wait() not in (0, 2)
    assert (tmp_path / "history.jsonl").read_bytes() == before
    assert json.loads(before)["iterations"] == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_ansible_playbook_is_ended(
    running: Callable[..., Running], containers: Containers, number: signal.Signals
) -> None:
    run, folder = running()
    run.signal(number)
    assert containers.seconds_until_gone() < 15
    assert run.wait() != 0
    check_that_it_goes(folder)


@pytest.mark.slow
def test_a_controller_that_freezes_loses_the_lease(
    running: Callable[..., Running], containers: Containers, tmp_path: Path
) -> None:
    run, _folder = running(lease_seconds=8)
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
    running: Callable[..., Running], play: Play, stand_in: str, containers: Containers, tmp_path: Path
) -> None:
    run, folder = running()
    left = containers.wait_for_one()
    # The module's process is the last in the worker's group: worker, shell, Python.
    module = subprocess.run(
        ["pgrep", "-n", "-g", str(workers(run)[0]), "python"], capture_output=True, check=True
    ).stdout
    os.kill(int(module), signal.SIGKILL)
    assert run.wait() == 2, run.output
    check_that_it_goes(folder)
    assert [container.id for container in containers.all()] == [left.id]
    again = play(measuring(tmp_path, {"image": stand_in, "iterations": 1}))
    assert again.wait() == 0, again.output
