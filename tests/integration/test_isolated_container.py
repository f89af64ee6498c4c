# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run that goes well: what it returns, how it is confined, how it shows how far it is."""

from __future__ import annotations

import hashlib
import itertools
import json
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docker
import pytest
from jsonschema import Draft202012Validator

from tests.integration.conftest import Containers
from tests.integration.playbooks import CHECKOUT, PlaybookRun, answers, inventory, measuring

pytestmark = [pytest.mark.engine, pytest.mark.image]
Play = Callable[..., PlaybookRun]


def measured(play: Play, folder: Path, *runs: dict[str, Any]) -> list[dict[str, Any]]:
    run = play(measuring(folder, *runs))
    assert run.wait() == 0, run.output
    return answers(folder)


def test_the_real_runner_on_exactly_one_cpu(play: Play, tmp_path: Path, runner_image: str) -> None:
    arguments = {
        "image": runner_image,
        "iterations": 2,
        "processes": 2,
        "memory": "3Gi",
        "timeout": 600,
        "labels": {"made_by": "test"},
    }
    [answer] = measured(play, tmp_path, arguments)
    result, container = answer["result"], answer["container"]
    Draft202012Validator(json.loads((CHECKOUT / "bench_runner" / "result.schema.json").read_text())).validate(result)
    assert (container["nano_cpus"], result["cpu_limit"], result["isolated"]) == (1_000_000_000, 1, True)
    assert (result["isolation"]["container"], result["isolation"]["mode"]) == (True, "quota")
    assert result["memory"]["limit_bytes"] == container["memory_bytes"] == 3 * 2**30
    assert result["iterations"] == 2
    assert result["labels"] == {"made_by": "test"}
    assert result["image"]["name"] == runner_image
    assert result["host"]["engine_version"]
    assert answer["engine"]["url"]
    assert answer["changed"] is False


def test_a_container_has_no_right_that_it_does_not_need(
    play: Play, tmp_path: Path, stand_in: str, containers: Containers
) -> None:
    arguments = {"image": stand_in, "iterations": 1, "labels": {"behaviour": "confinement"}}
    plain, pinned = measured(play, tmp_path, arguments, {**arguments, "cpuset": True})
    found = plain["result"]["labels"]
    assert found["uid"] == plain["container"]["user"].split(":")[0] != "0"
    assert set(found["capabilities"]) == {"0", " "}
    assert found["no_new_privileges"] == "1"
    assert found["networks"] == "lo"
    assert (found["/"], found["/opt"]) == ("Read-only file system", "Read-only file system")
    assert found["/tmp"] == "writable"
    assert pinned["result"]["labels"]["cpus"] == pinned["container"]["cpuset_cpus"]
    assert pinned["result"]["labels"]["cpus"].isdigit()


def test_audio_goes_in_through_standard_input(
    play: Play, tmp_path: Path, stand_in: str, containers: Containers
) -> None:
    audio = tmp_path / "speech.wav"
    audio.write_bytes(random.Random(7).randbytes(5_000_000))
    [answer] = measured(play, tmp_path, {"image": stand_in, "iterations": 1, "audio": str(audio)})
    assert answer["result"]["labels"]["audio_sha256"] == hashlib.sha256(audio.read_bytes()).hexdigest()


def test_a_large_result_and_markup_arrive_as_they_are(
    play: Play, tmp_path: Path, stand_in: str, containers: Containers
) -> None:
    large, markup = measured(
        play,
        tmp_path,
        {"image": stand_in, "iterations": 1, "labels": {"behaviour": "large"}},
        {"image": stand_in, "iterations": 1, "labels": {"behaviour": "markup"}},
    )
    assert large["result"]["padding"] == "é" * 100_000
    assert markup["result"]["cpu_model"] == "{{ lookup('pipe', 'id') }} | **bold** <script>"


@pytest.mark.slow
def test_progress_is_seen_within_10_seconds_and_then_every_15(
    play: Play, tmp_path: Path, stand_in: str, containers: Containers
) -> None:
    arguments = {"image": stand_in, "iterations": 60, "labels": {"seconds": "0.5"}}
    run = play(measuring(tmp_path, arguments))
    began = run.wait_for("TASK [Measure]")
    assert run.wait() == 0, run.output
    times = [when for when, _line in run.progress()]
    ended = run.lines[-1][0]
    assert times[0] - began < 10
    assert max(later - earlier for earlier, later in itertools.pairwise([*times, ended])) < 15
    assert run.progress("[here] base: iteration ")
    assert run.progress(" of 60, mean 0.50")
    assert run.progress(" s left")


@pytest.mark.slow
def test_runs_on_one_engine_take_turns(play: Play, tmp_path: Path, stand_in: str, containers: Containers) -> None:
    arguments = {"image": stand_in, "iterations": 20, "labels": {"seconds": "0.4"}}
    run = play(measuring(tmp_path, arguments), inventory("one", "two"))
    containers.wait_for_one()
    run.wait_for("waiting for the engine, on which another run measures")
    most = 0
    while len(answers(tmp_path)) < 2:
        most = max(most, len(containers.all()))
        time.sleep(0.2)
    assert run.wait() == 0, run.output
    assert most == 1


@pytest.mark.slow
def test_processes_of_runs_on_one_engine_take_turns(play: Play, tmp_path: Path, tiny_image: str) -> None:
    arguments = {"image": tiny_image, "model": "tiny.en", "iterations": 3, "processes": 3, "memory": "2Gi"}
    run = play(measuring(tmp_path, {**arguments, "timeout": 600}), inventory("one", "two"))
    assert run.wait() == 0, run.output
    results = [answer["result"] for answer in answers(tmp_path)]
    started = sorted((process["started"], result["target"]) for result in results for process in result["processes"])
    assert [target for _time, target in started] in (["one", "two"] * 3, ["two", "one"] * 3)


def test_a_check_measures_nothing(play: Play, tmp_path: Path, stand_in: str, containers: Containers) -> None:
    plays = measuring(tmp_path, {"image": stand_in})
    plays[0]["check_mode"] = True
    run = play(plays)
    assert run.wait() == 0, run.output
    assert "skipping: [here]" in run.output


def test_only_containers_that_belong_to_nobody_are_swept(
    play: Play, tmp_path: Path, stand_in: str, engine: docker.DockerClient, containers: Containers
) -> None:
    label = "io.rightsize.whisper."
    orphan = engine.containers.create(
        stand_in, labels={label + "run-id": "gone", label + "owner": "elsewhere", label + "deadline": "1000000000"}
    )
    other = engine.containers.create(stand_in, labels={"whose": "somebody else's"})
    [answer] = measured(play, tmp_path, {"image": stand_in, "iterations": 1})
    assert answer["result"]["iterations"] == 1
    left = [container.id for container in containers.all()]
    other.remove()
    assert left == [other.id] != [orphan.id]
