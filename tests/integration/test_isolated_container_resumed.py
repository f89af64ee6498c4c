# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run that is killed goes on from what it had finished."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.integration.conftest import Containers
from tests.integration.playbooks import PlaybookRun, answers, measuring

pytestmark = [pytest.mark.engine, pytest.mark.image, pytest.mark.slow]
Play = Callable[..., PlaybookRun]


@pytest.fixture
def settings(engine: docker.DockerClient, runner_image: str, tmp_path: Path) -> dict[str, Any]:
    """Four processes of one iteration, of the model that the image is made for."""
    model = engine.images.get(runner_image).tags[0].rpartition(":")[2].partition("-")[0]
    return {
        "image": runner_image,
        "model": model,
        "target": "here",
        "iterations": 4,
        "processes": 4,
        "memory": "3Gi",
        "timeout": 900,
        "journal": str(tmp_path / "journals" / "here.jsonl"),
    }


def finished(journal: str) -> int:
    return Path(journal).read_text().count('"phase": "done"') if Path(journal).exists() else 0


def test_a_killed_playbook_goes_on(
    play: Play, tmp_path: Path, settings: dict[str, Any], containers: Containers
) -> None:
    (tmp_path / "killed").mkdir()
    run = play(measuring(tmp_path / "killed", settings))
    deadline = time.monotonic() + 600
    while finished(settings["journal"]) < 2:
        assert time.monotonic() < deadline, run.output
        time.sleep(0.2)
    os.killpg(run.pid, signal.SIGKILL)
    assert not answers(tmp_path / "killed")

    # Only when its lease has run out does the killed one's container go; the next run waits for its turn.
    (tmp_path / "resumed").mkdir()
    changed = {**settings, "iterations": 8}
    assert play(measuring(tmp_path / "resumed", {**settings, "resume": True}, changed)).wait(900) == 0
    resumed, anew = (answer["result"] for answer in answers(tmp_path / "resumed"))
    old = [process.get("resumed", False) for process in resumed["processes"]]
    assert len(old) == 4
    assert sum(old) >= 2
    assert old == sorted(old, reverse=True)
    (warning,) = [warning for warning in resumed["warnings"] if warning["code"] == "resumed"]
    assert f"processes 1 to {sum(old)}" in warning["message"]
    # Without resume a run begins anew, and leaves a journal of its own.
    assert not [process for process in anew["processes"] if process.get("resumed")]
    assert finished(settings["journal"]) == 4
    containers.seconds_until_gone()


def test_what_was_finished_is_not_taken_for_something_else(
    play: Play, tmp_path: Path, settings: dict[str, Any]
) -> None:
    run = play(measuring(tmp_path, settings, {**settings, "resume": True, "iterations": 8}, go_on=True))
    run.wait(900)
    _first, refused = answers(tmp_path)
    assert refused["failure"] == "bad_usage"
    assert "differs in iterations_requested" in refused["msg"]
    assert "measure anew, without resuming" in refused["msg"]
