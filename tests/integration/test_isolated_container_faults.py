# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs that give no result: each fault is made to happen, and each says in one line what, where and what to do."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.integration.conftest import Containers
from tests.integration.images import ENDLESS_RUNNER, tiny_image
from tests.integration.playbooks import PlaybookRun, all_answers, answers, measuring
from tests.integration.private_engine import PrivateEngine

pytestmark = [pytest.mark.engine, pytest.mark.image]
Play = Callable[..., PlaybookRun]
Answer = dict[str, Any]

HERE = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
ELSEWHERE = {"amd64": "arm64", "arm64": "amd64"}[HERE]

# What the runner does wrong: the failure, a part of the message, and whether iterations were finished before.
MISBEHAVIOUR = {
    "garbled": ("garbled_result", "not one JSON document (Expecting value, character 0", True),
    "truncated": ("garbled_result", "not one JSON document", True),
    "silent": ("garbled_result", "there is no result", True),
    "control_characters": ("garbled_result", r"control character '\x1b'", True),
    "too_large": ("result_too_large", "more than the 4194304 allowed", True),
    "unknown_schema": ("unknown_schema", "schema version '2.0', but this collection reads 1.x", True),
    "wrong_run": ("wrong_result", "run_id 'another-run-0001'", True),
    "implausible": ("implausible_result", "avg_latency_ms 1.0", True),
    "other_architecture": ("wrong_architecture", "build the image on this engine", True),
    "crash": ("runner_error", "ended with code 139", True),
    "traceback": ("runner_error", "ZeroDivisionError", True),
    "exit_3": ("audio", "/in/the/container.wav is empty; give a file with speech", True),
    "exit_4": ("checkpoint", "has another hash than expected", True),
    "out_of_memory": ("out_of_memory", "at the limit of 256 MiB; raise memory", True),
}

# What the user does wrong, the failure, and a part of the message.
BAD_USAGE: list[tuple[dict[str, Any], str, str]] = [
    ({"iterations": 0}, "bad_usage", "--iterations must be at least 1, not 0"),
    ({"run_id": "Upper"}, "bad_usage", "run_id 'Upper' is not 8 to 63 lower-case letters"),
    ({"memory": "lots"}, "bad_usage", "write it like 4Gi"),
    ({"memory": "1Mi"}, "engine_error", "inimum memory limit"),
    ({"cpus": 0}, "bad_usage", "cpus 0 is no CPU limit"),
    ({"cpus": 1000}, "engine_error", "CPUs"),
    ({"timeout": 0}, "bad_usage", "timeout 0 leaves no time"),
    ({"audio": "/no/such/file.wav"}, "audio", "cannot read the audio file /no/such/file.wav on this host: No such"),
    ({"image": "no/such:image"}, "image_missing", "no image no/such:image (none is pulled); build it"),
    ({"engine_url": "unix:///no/such.sock"}, "no_engine", "/no/such.sock"),
]


def failed(play: Play, folder: Path, **arguments: Any) -> Answer:
    """The answer of one run that fails, and makes the playbook fail."""
    run = play(measuring(folder, arguments))
    assert run.wait() == 2, run.output
    [answer] = answers(folder)
    return check_failure(answer)


def check_failure(answer: Answer) -> Answer:
    assert answer["failed"] is True
    assert "\n" not in answer["msg"]
    assert 10 < len(answer["msg"]) < 700
    assert answer["msg"].isprintable()
    assert "result" not in answer
    return answer


@pytest.fixture(scope="module")
def misbehaviour(tmp_path_factory: pytest.TempPathFactory, stand_in: str) -> dict[str, Answer]:
    """The answers to every misbehaviour, from one playbook that goes on."""
    runs = [
        {"image": stand_in, "iterations": 3, "labels": {"behaviour": behaviour, "seconds": "0.05"}}
        for behaviour in MISBEHAVIOUR
    ]
    given = all_answers(tmp_path_factory.mktemp("misbehaviour"), lambda folder: measuring(folder, *runs, go_on=True))
    return dict(zip(MISBEHAVIOUR, given, strict=True))


@pytest.fixture(scope="module")
def bad_usage(tmp_path_factory: pytest.TempPathFactory, stand_in: str) -> list[Answer]:
    """The answers to every bad usage, from one playbook that goes on."""
    runs = [{"image": stand_in, **arguments} for arguments, _failure, _words in BAD_USAGE]
    return all_answers(tmp_path_factory.mktemp("bad-usage"), lambda folder: measuring(folder, *runs, go_on=True))


@pytest.mark.parametrize("behaviour", MISBEHAVIOUR)
def test_a_runner_that_misbehaves(behaviour: str, misbehaviour: dict[str, Answer], containers: Containers) -> None:
    failure, words, has_partial = MISBEHAVIOUR[behaviour]
    answer = check_failure(misbehaviour[behaviour])
    assert answer["failure"] == failure
    assert words in answer["msg"]
    assert ("partial_journal" in answer) is has_partial
    assert answer["partial_journal"].count('"event": "iteration"') in (2, 3)


@pytest.mark.parametrize("number", range(len(BAD_USAGE)), ids=[words for _arguments, _failure, words in BAD_USAGE])
def test_bad_usage(number: int, bad_usage: list[Answer], containers: Containers) -> None:
    _arguments, failure, words = BAD_USAGE[number]
    answer = check_failure(bad_usage[number])
    assert answer["failure"] == failure
    assert words in answer["msg"]
    assert "partial_journal" not in answer


@pytest.mark.parametrize(
    ("behaviour", "options", "code", "words"),
    [
        ("limit_not_enforced", {}, "cpu_limit_mismatch", "found a CPU limit of 2 where 1 was set"),
        ("other_architecture", {"allow_emulation": True}, "emulated", "was emulated"),
    ],
)
def test_what_is_not_isolated_is_tainted(
    play: Play,
    tmp_path: Path,
    stand_in: str,
    containers: Containers,
    behaviour: str,
    options: dict[str, Any],
    code: str,
    words: str,
) -> None:
    arguments = {"image": stand_in, "iterations": 1, "labels": {"behaviour": behaviour}, **options}
    run = play(measuring(tmp_path, arguments))
    assert run.wait() == 0, run.output
    [answer] = answers(tmp_path)
    assert answer["result"]["isolated"] is False
    assert [warning["code"] for warning in answer["result"]["warnings"]] == [code]
    assert words in run.output


@pytest.mark.slow
@pytest.mark.parametrize(("behaviour", "seconds"), [("good", "1"), ("hang", "0.2")])
def test_the_deadline(
    play: Play, tmp_path: Path, stand_in: str, containers: Containers, behaviour: str, seconds: str
) -> None:
    labels = {"behaviour": behaviour, "seconds": seconds}
    answer = failed(play, tmp_path, image=stand_in, iterations=50, timeout=4, labels=labels)
    assert answer["failure"] == "timed_out"
    assert "did not end within 4 s after" in answer["msg"]
    assert "raise timeout or lower iterations" in answer["msg"]
    assert '"event": "iteration"' in answer["partial_journal"]


@pytest.mark.parametrize("how", ["kill", "stop", "remove"])
def test_a_container_that_is_killed(
    play: Play, tmp_path: Path, stand_in: str, containers: Containers, how: str
) -> None:
    run = play(measuring(tmp_path, {"image": stand_in, "iterations": 200}))
    container = containers.wait_for_one()
    run.wait_for("iteration")
    {"kill": container.kill, "stop": lambda: container.stop(timeout=1), "remove": lambda: container.remove(force=True)}[
        how
    ]()
    assert run.wait() == 2, run.output
    [answer] = answers(tmp_path)
    check_failure(answer)
    assert answer["failure"] == "container_killed"
    assert "from outside after" in answer["msg"]
    assert '"event": "iteration"' in answer["partial_journal"]


def test_an_image_of_another_architecture(
    play: Play, tmp_path: Path, engine: docker.DockerClient, load_tiny_image: Callable[[str], str]
) -> None:
    image = load_tiny_image(ELSEWHERE)
    answer = failed(play, tmp_path, image=image)
    assert answer["failure"] == "wrong_architecture"
    assert "emulated figures mean nothing" in answer["msg"]
    assert not engine.containers.list(all=True, filters={"ancestor": image})


@pytest.fixture
def engine_with_tiny(private_engine: PrivateEngine) -> PrivateEngine:
    private_engine.client().images.load(tiny_image("tiny:latest", ENDLESS_RUNNER, HERE))
    return private_engine


@pytest.mark.slow
@pytest.mark.parametrize("how", ["stop", "kill"])
def test_an_engine_that_goes_away_under_a_run(
    play: Play, tmp_path: Path, engine_with_tiny: PrivateEngine, how: str
) -> None:
    kept = tmp_path / "answers"
    kept.mkdir()
    run = play(measuring(kept, {"image": "tiny", "engine_url": engine_with_tiny.url, "iterations": 50}))
    run.wait_for("iteration")
    {"stop": engine_with_tiny.stop, "kill": engine_with_tiny.kill}[how]()
    assert run.wait() == 2, run.output
    [answer] = answers(kept)
    check_failure(answer)
    # An engine that is stopped in order kills the container, and may still be there to say so.
    assert answer["failure"] in ({"engine_lost", "container_killed"} if how == "stop" else {"engine_lost"})
    assert " of 50 iterations" in answer["msg"]
    assert '"event": "iteration"' in answer["partial_journal"]


@pytest.mark.slow
def test_a_container_left_on_a_lost_engine_is_removed_by_the_next_run(
    play: Play, tmp_path: Path, engine_with_tiny: PrivateEngine
) -> None:
    kept = tmp_path / "answers"
    kept.mkdir()
    arguments = {"image": "tiny", "engine_url": engine_with_tiny.url, "iterations": 50}
    run = play(measuring(kept, arguments))
    run.wait_for("iteration")
    engine_with_tiny.kill()
    assert run.wait() == 2, run.output
    assert "could not be removed" in run.output
    engine_with_tiny.start()
    [left] = engine_with_tiny.client().containers.list(all=True)
    again = play(measuring(kept, arguments))
    again.wait_for("iteration")
    [running] = engine_with_tiny.client().containers.list(all=True)
    assert running.id != left.id
    again.interrupt()
    again.wait()
    for _attempt in range(100):
        if not engine_with_tiny.client().containers.list(all=True, ignore_removed=True):
            return
        time.sleep(0.1)
    raise AssertionError("the container of the interrupted run is still there")
