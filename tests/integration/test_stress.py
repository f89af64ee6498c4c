# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The stress test with the real `base`: in containers with a quota, a cpuset, two CPUs and a neighbour, and as a playbook."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import docker
import pytest

from tests.integration.playbooks import CHECKOUT, PlaybookRun, inventory
from tests.integration.runner_container import neighbour, run

pytestmark = [pytest.mark.engine, pytest.mark.image, pytest.mark.slow]
STRESS = ("-m", "bench_runner.stress", "--processes", "1", "--iterations", "2", "--warmup", "0", "--seed", "1")


def stress(engine: docker.DockerClient, image: str, *arguments: str, **changes: Any) -> dict[str, Any]:
    ended = run(engine, image, *STRESS, *arguments, entrypoint="python3", **changes)
    assert ended.exit_code == 0, ended.stderr
    return ended.result


def verdicts(document: dict[str, Any]) -> dict[int, str]:
    return {row["threads"]: row["verdict"] for row in document["rows"]}


def test_a_quota_throttles_more_threads_than_it_has_cpus(engine: docker.DockerClient, runner_image: str) -> None:
    document = stress(engine, runner_image, "--threads", "1,2")
    one, two = document["rows"]
    assert two["verdict"] == "quota-throttled"
    assert one["throttled_share"] < 0.1
    assert document["throttled"] is True
    assert [result["threads"] for result in document["results"]] == [1, 2]
    assert [result["software"]["threads"]["torch_intra_op"] for result in document["results"]] == [1, 2]


def test_threads_by_the_hundred_are_throttled_by_the_rule(engine: docker.DockerClient, runner_image: str) -> None:
    """As where torch takes a thread for every CPU of a large node."""
    document = stress(engine, runner_image, "--threads", "1,256")
    many = document["rows"][1]
    assert many["verdict"] == "quota-throttled"
    assert many["ratio"] > 2
    assert "times as long as with one thread" in many["reasons"][0]


def test_a_cpuset_has_another_word_and_no_counters(engine: docker.DockerClient, runner_image: str) -> None:
    document = stress(engine, runner_image, "--threads", "1,2", nano_cpus=None, cpuset_cpus="0")
    two = document["rows"][1]
    assert two["verdict"] == ("noisy neighbour" if two["neighbour"] else "oversubscribed")
    assert (two["throttled_share"], two["isolation_mode"]) == (None, "cpuset")


def test_threads_that_have_a_cpu_each_are_not_throttled(engine: docker.DockerClient, runner_image: str) -> None:
    document = stress(engine, runner_image, "--threads", "1,2", "--expect-cpus", "2", nano_cpus=2 * 10**9)
    two = document["rows"][1]
    assert two["verdict"] == ("noisy neighbour" if two["neighbour"] else "clean")
    assert two["throttled_share"] < 0.1


def test_a_busy_loop_in_another_container_is_a_noisy_neighbour(engine: docker.DockerClient, runner_image: str) -> None:
    with neighbour(engine, runner_image, "0"):
        document = stress(engine, runner_image, "--threads", "1", cpuset_cpus="0")
    assert verdicts(document) == {1: "noisy neighbour"}
    assert [recommendation["action"] for recommendation in document["recommendations"]] == ["measure_again"]


def test_the_playbook_leaves_table_picture_history_and_a_section(
    play: Callable[..., PlaybookRun], tmp_path: Path, runner_image: str
) -> None:
    results = tmp_path / "results"
    roles = [
        {"name": "Measure", "hosts": "all", "gather_facts": False, "roles": ["rightsize.whisper.stress"]},
        {
            "name": "Report",
            "hosts": "all",
            "gather_facts": False,
            "tasks": [{"ansible.builtin.include_role": {"name": "rightsize.whisper.stress", "tasks_from": "report"}}],
        },
    ]
    asked = {"stress_threads": [1, 2], "stress_blocks": 1, "stress_iterations": 1, "stress_seed": 5}
    hosts = inventory(
        "here", benchmark_image=runner_image, benchmark_warmup=0, benchmark_results_dir=str(results), **asked
    )
    ended = play(roles, hosts)
    assert ended.wait(900) == 0, ended.output
    found = json.loads((results / "stress-here.json").read_text())
    assert {row["figures"]["threads"]: row["figures"]["verdict"] for row in found["rows"]}[2] == "quota-throttled"
    history = [json.loads(line) for line in (results / "history.jsonl").read_text().splitlines()]
    assert {result["labels"]["stress"] for result in history} == {found["stress_id"]}
    assert sorted(result["threads"] for result in history) == [1, 2]
    ElementTree.parse(results / "stress-here.svg")
    assert "| quota-throttled: " in (results / "stress.md").read_text()
    assert "run 2 of 2: threads 2, CPU limit 1" in ended.output
    assert re.search(r"block 1 of 1; +about \d+ (s|min)", " ".join(ended.output.split()))


def playbook(name: str) -> list[dict[str, Any]]:
    return [{"ansible.builtin.import_playbook": str(CHECKOUT / "playbooks" / f"{name}.yml")}]


def one_target(image: str, results: Path, **asked: Any) -> dict[str, Any]:
    known = {"benchmark_image": image, "benchmark_model": "tiny.en", "benchmark_warmup": 0}
    hosts = inventory(benchmark_results_dir=str(results), **known, **asked)
    return {**hosts, "reference": {"hosts": {"here": None}}}


def test_a_case_that_fails_costs_no_other(
    play: Callable[..., PlaybookRun], tmp_path: Path, engine: docker.DockerClient, tiny_image: str
) -> None:
    results = tmp_path / "results"
    too_many = engine.info()["NCPU"] + 1
    asked = {"stress_threads": [1], "stress_cpu_limits": [too_many], "stress_blocks": 2, "stress_iterations": 1}
    ended = play(playbook("stress"), one_target(tiny_image, results, **asked))
    assert ended.wait(600) == 2
    found = json.loads((results / "stress-here.json").read_text())
    assert [(row["figures"]["cpus"], row["figures"]["iterations"]) for row in found["rows"]] == [(1, 2)]
    [failed] = found["stopped_early"]
    assert failed.startswith(f"threads 1, CPU limit {too_many}: failed: ")
    assert failed in " ".join((results / "stress.md").read_text().split()).replace("\\", "")
    assert "What the others gave is judged above" in ended.output


def test_the_calibration_leaves_a_certificate_history_and_a_section(
    play: Callable[..., PlaybookRun], tmp_path: Path, tiny_image: str
) -> None:
    results = tmp_path / "results"
    asked = dict.fromkeys(("stress_calibration_iterations", "stress_calibration_processes"), 3)
    hosts = one_target(tiny_image, results, stress_calibration_precision=0, **asked)
    ended = play(playbook("calibrate"), hosts)
    assert ended.wait(600) == 0, ended.output
    certificate = json.loads((results / "calibration-here.json").read_text())
    again, last, half = certificate["checks"]
    assert (again["ideal"], last["ideal"], half["ideal"], half["verdict"]) == (1.0, 1.0, 2.0, "told")
    # All of it on one machine, however busy: that of half a CPU is no other one.
    assert half["ratio"]["centre"] > 1.3
    history = [json.loads(line) for line in (results / "history.jsonl").read_text().splitlines()]
    assert [result["labels"]["part"] for result in history] == ["first", "second", "half", "last"]
    assert {result["labels"]["calibration"] for result in history} == {certificate["calibration_id"]}
    assert [result["cpu_limit"] for result in history] == [1, 1, 0.5, 1]
    assert "| half a CPU against one |" in (results / "calibration.md").read_text()
    assert "half a CPU against one: " in ended.output
