# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Load tests: with the real tiny.en from its measurement to the report, and with a quick worker for all that goes wrong."""

from __future__ import annotations

import json
import platform
import re
import secrets
import signal
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.integration.conftest import Containers
from tests.integration.images import script_image
from tests.integration.playbooks import CHECKOUT, PlaybookRun, all_answers, answers, inventory
from tests.integration.private_engine import PrivateEngine

pytestmark = [pytest.mark.engine]
Play = Callable[..., PlaybookRun]

HERE = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
SERVICE_SECONDS = 0.2
SHA = "ab" * 32
# Says what bench_runner.serve says, and sleeps in place of transcribing. The model's name says how it behaves.
WORKER = rf"""#!/bin/sh
for argument; do case $argument in --model-size=*) behaviour=${{argument#*=}} ;; esac; done
printf '{{"event": "ready", "threads": 1, "cpu_limit": 1.0, "model_load_seconds": 0, "audio": {{"sha256": "{SHA}"}}, '
printf '"checkpoint_sha256": "{SHA}"}}\n'
while read -r line; do
  sleep {SERVICE_SECONDS}
  number=${{line#*: }}
  number=${{number%?}}
  case $behaviour in
    garbled) echo 'Segmentation fault' ;;
    other) number=999 ;;
    leaves) exit 5 ;;
  esac
  printf '{{"event": "answer", "id": %s, "service_ms": 200, "transcript_sha256": "{SHA}"}}\n' "$number"
done
"""


@pytest.fixture(scope="module")
def worker(engine: docker.DockerClient) -> Iterator[str]:
    """An image whose worker takes a fifth of a second for a request."""
    name = f"rightsize-test-worker:{secrets.token_hex(4)}"
    engine.images.load(script_image(name, "/bin/python3", WORKER, HERE))
    yield name
    engine.images.remove(name, force=True)


@pytest.fixture
def workers(engine: docker.DockerClient, worker: str) -> Iterator[Containers]:
    """Its containers; a test must not leave one."""
    mine = Containers(engine, worker)
    yield mine
    left = mine.all()
    for container in left:
        container.remove(force=True)
    assert not left


def loading(folder: Path, *loads: dict[str, Any], go_on: bool = False, **load: Any) -> list[dict[str, Any]]:
    """A play that sends one load, or several, and leaves each answer in `folder`; with `go_on` also where one fails."""
    steps = []
    for number, arguments in enumerate(loads or (load,)):
        asked = {
            "target": "{{ inventory_hostname }}",
            "run_id": f"test-{secrets.token_hex(6)}",
            "workers": 1,
            "rate": 2.5,
            "requests": 20,
            "memory": "64Mi",
            "timeout": 60,
            "seed": 3,
            **arguments,
        }
        send = {
            "name": "Send",
            "rightsize.whisper.sizing_verification": asked,
            "register": "answer",
            "ignore_errors": go_on,
        }
        kept = {"content": "{{ answer | to_json }}", "dest": f"{folder}/answer-{number:03}.json", "mode": "0644"}
        keep = {"name": "Keep the answer", "ansible.builtin.copy": kept}
        steps.append({"name": "Send and keep the answer", "block": [send], "always": [keep]})
    return [{"name": "Load", "hosts": "all", "gather_facts": False, "tasks": steps}]


def failure(run: PlaybookRun, folder: Path) -> dict[str, Any]:
    assert run.wait() == 2, run.output
    [answer] = answers(folder)
    return check_failure(answer)


def check_failure(answer: dict[str, Any]) -> dict[str, Any]:
    assert answer["failed"] is True
    assert "test" not in answer
    assert "\n" not in answer["msg"]
    assert answer["msg"].isprintable()
    return answer


@pytest.mark.parametrize("dispatch", ["random", "pooled"])
def test_every_request_is_sent_when_it_is_due_and_timed(
    play: Play, tmp_path: Path, worker: str, workers: Containers, dispatch: str
) -> None:
    run = play(loading(tmp_path, image=worker, workers=4, rate=20, max_workers=2, dispatch=dispatch, requests=60))
    assert run.wait() == 0, run.output
    [answer] = answers(tmp_path)
    test = answer["test"]
    assert (test["workers"], test["workers_planned"], test["capped_by"]) == (2, 4, "max_workers")
    assert (test["rate_rps"], test["rate_planned_rps"], test["dispatch"]) == (10, 20, dispatch)
    assert test["audio_sha256"] == test["checkpoint_sha256"] == SHA
    requests = test["requests"]
    assert len(requests) == 60
    assert {request["worker"] for request in requests} == {0, 1}
    for request in requests:
        assert request["arrival_seconds"] <= request["start_seconds"]
        assert request["finish_seconds"] - request["start_seconds"] >= SERVICE_SECONDS
    for number in (0, 1):
        mine = sorted(
            (request["start_seconds"], request["finish_seconds"]) for request in requests if request["worker"] == number
        )
        # One at a time, in the order of arrival.
        assert all(later[0] >= earlier[1] for earlier, later in pairwise(mine))
    for container in answer["containers"]:
        assert (container["nano_cpus"], container["memory_bytes"]) == (10**9, 64 * 2**20)
        assert container["user"].split(":")[0] != "0"


@pytest.mark.slow
def test_progress_is_live(play: Play, tmp_path: Path, worker: str, workers: Containers) -> None:
    run = play(loading(tmp_path, image=worker, rate=2, requests=50))
    run.wait_for("] base: request ")
    [container] = workers.all()
    assert container.attrs["HostConfig"]["NetworkMode"] == "none"
    assert run.wait() == 0, run.output
    assert any(
        re.search(r"request \d+ of 50 answered.*p50 \d\.\d+ s so far, \d+ s left", line) for _t, line in run.lines
    )


# What is asked, the failure, and a part of the message.
FAILURES: list[tuple[dict[str, Any], str, str]] = [
    ({"rate": 0}, "bad_usage", "rate 0 sends nothing; give requests per second above 0"),
    ({"workers": 0}, "bad_usage", "workers 0 is not from 1"),
    ({"requests": 100_000}, "bad_usage", "requests 100000 is not from 10 to 10000"),
    ({"duration": 1}, "bad_usage", "raise duration"),
    ({"run_id": "Upper"}, "bad_usage", "run_id 'Upper' is not 8 to 63 lower-case letters"),
    ({"audio": "/no/such/file.wav"}, "audio", "cannot read the audio file /no/such/file.wav on this host: No such"),
    ({"image": "no/such:image"}, "image_missing", "no image no/such:image (none is pulled); build it"),
    ({"engine_url": "unix:///no/such.sock"}, "no_engine", "/no/such.sock"),
    ({"same_work": {"audio_sha256": "cd" * 32}}, "other_work", "another clip"),
    ({"model": "garbled"}, "garbled_result", "worker 1 said 'Segmentation fault'"),
    ({"model": "other"}, "garbled_result", "worker 1 answered what it was not asked after 0 of 20 requests"),
    ({"model": "leaves"}, "out_of_memory", "worker 1: out of memory after 0 requests at the limit of 64 MiB"),
]


@pytest.fixture(scope="module")
def failures(tmp_path_factory: pytest.TempPathFactory, worker: str) -> list[dict[str, Any]]:
    """The answers to every load that fails, from one playbook that goes on."""
    loads = [{"image": worker, **arguments} for arguments, _kind, _words in FAILURES]
    return all_answers(tmp_path_factory.mktemp("failures"), lambda folder: loading(folder, *loads, go_on=True))


@pytest.mark.parametrize("number", range(len(FAILURES)), ids=[words for _arguments, _kind, words in FAILURES])
def test_what_goes_wrong_is_one_clear_line(number: int, failures: list[dict[str, Any]], workers: Containers) -> None:
    _arguments, kind, words = FAILURES[number]
    answer = check_failure(failures[number])
    assert (answer["failure"], words in answer["msg"]) == (kind, True), answer["msg"]


@pytest.mark.slow
def test_the_deadline(play: Play, tmp_path: Path, worker: str, workers: Containers) -> None:
    answer = failure(play(loading(tmp_path, image=worker, timeout=2, requests=200)), tmp_path)
    assert answer["failure"] == "timed_out"
    assert "raise timeout or lower requests" in answer["msg"]


@pytest.mark.parametrize("how", ["kill", "remove"])
def test_a_worker_that_is_killed(play: Play, tmp_path: Path, worker: str, workers: Containers, how: str) -> None:
    run = play(loading(tmp_path, image=worker, requests=500))
    container = workers.wait_for_one()
    run.wait_for("answered, ")
    container.kill() if how == "kill" else container.remove(force=True)
    answer = failure(run, tmp_path)
    assert answer["failure"] == "container_killed"
    assert re.search(r"from outside after \d+ requests", answer["msg"]), answer["msg"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_test_that_nobody_waits_for_leaves_nothing(
    play: Play, tmp_path: Path, worker: str, workers: Containers, number: signal.Signals
) -> None:
    run = play(loading(tmp_path, image=worker, requests=500))
    workers.wait_for_one()
    run.wait_for("answered")
    if number == signal.SIGINT:
        run.interrupt()
    else:
        run.signal(number)
    run.wait()
    assert workers.seconds_until_gone() < 20


@pytest.mark.slow
def test_an_engine_that_dies(play: Play, tmp_path: Path, private_engine: PrivateEngine) -> None:
    private_engine.client().images.load(script_image("worker:latest", "/bin/python3", WORKER, HERE))
    run = play(loading(tmp_path, image="worker:latest", engine_url=private_engine.url, requests=500))
    run.wait_for("answered, ")
    private_engine.kill()
    answer = failure(run, tmp_path)
    assert answer["failure"] == "engine_lost"
    assert re.search(r"the engine stopped answering after \d+ of 500 requests", answer["msg"]), answer["msg"]


def verifying(results: Path, image: str, **variables: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The playbook itself, and its inventory."""
    known = {"benchmark_image": image, "benchmark_results_dir": str(results), **variables}
    hosts = inventory("here", **known)["all"]
    playbook = str(CHECKOUT / "playbooks" / "verify_sizing.yml")
    return [{"ansible.builtin.import_playbook": playbook}], {"reference": {"hosts": {"here": None}}, "all": hosts}


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        (
            {"benchmark_target_rsp": 20},
            "nothing reads the variable benchmark_target_rsp: is benchmark_target_rps meant?",
        ),
        ({"benchmark_target_rps": 0}, "verify_sizing_target_rps is 0: name a number of requests per second above 0"),
        ({"verify_sizing_utilisation": 1.2}, "verify_sizing_utilisation is 1.2: name a share"),
        ({"benchmark_backend": "kubernetes"}, "this playbook verifies docker targets: leave it out, with --limit"),
    ],
)
def test_bad_usage_is_told_before_anything_is_built(
    play: Play, tmp_path: Path, variables: dict[str, Any], words: str
) -> None:
    run = play(*verifying(tmp_path / "results", "no/such:image", **variables))
    assert run.wait() == 2
    assert words in " ".join(run.output.split())
    assert not (tmp_path / "results").exists()


@pytest.mark.image
@pytest.mark.slow
def test_the_playbook_measures_verifies_and_reports(play: Play, tmp_path: Path, tiny_image: str) -> None:
    results, journal = tmp_path / "results", tmp_path / "journal.jsonl"
    asked = {
        "benchmark_model": "tiny.en",
        "benchmark_journal": str(journal),
        "benchmark_memory": "1Gi",
        "benchmark_iterations": 6,
        "benchmark_processes": 3,
        "verify_sizing_utilisation": 0.6,
        "verify_sizing_requests": 22,
        "verify_sizing_seed": 11,
    }
    run = play(*verifying(results, tiny_image, **asked))
    assert run.wait(900) == 0, run.output
    assert not journal.exists(), run.output
    [found] = json.loads((results / "verify_sizing.json").read_text())["verifications"]
    [measured] = [json.loads(line) for line in (results / "history.jsonl").read_text().splitlines()]
    assert found["run_id"] == measured["run_id"]
    assert found["test"]["audio_sha256"] == measured["audio"]["sha256"]
    assert found["conclusion"] in ("confirmed", "service_times_changed", "unusual_arrivals", "not_confirmed")
    assert (found["requests"], found["seed"]) == (22, 11)
    assert 20 <= found["requests_counted"] <= 22
    assert found["utilisation_planned"] == pytest.approx(0.6, abs=0.001)
    assert 0.1 < found["utilisation_measured"] <= 1
    # The way to the worker and back is no part of what is predicted.
    assert 0 <= found["overhead_seconds"] < 0.1
    p50, p90, *_more = found["rows"]
    assert p50["measured"]["low"] <= p50["measured"]["seconds"] <= p50["measured"]["high"]
    assert (p90["measured"], p90["requests_needed"]) == (None, 64)
    section = (results / "verify_sizing.md").read_text()
    assert section.startswith("<!-- Generated by rightsize.whisper: ")
    assert "| p90 | needs 64 requests |" in section

    # Once more from the history alone, which must not measure again, by a user who has a folder of clips; too few requests
    # decide nothing.
    clips = tmp_path / "clips"
    clips.mkdir()
    few = {"verify_sizing_requests": 10, "benchmark_audio": str(clips)}
    journal.write_text("an interrupted run of the benchmark\n")
    again = play(*verifying(results, tiny_image, **{**asked, **few}))
    assert again.wait(600) == 0, again.output
    assert journal.exists()
    assert len((results / "history.jsonl").read_text().splitlines()) == 1
    [found] = json.loads((results / "verify_sizing.json").read_text())["verifications"]
    assert (found["conclusion"], found["run_id"]) == ("undecided", measured["run_id"])
