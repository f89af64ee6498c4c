# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run in a Pod that goes well: what it returns, how it is confined, how it shows how far it is, with what rights."""

from __future__ import annotations

import hashlib
import itertools
import json
import random
import time
from pathlib import Path

import docker
import pytest
import yaml
from jsonschema import Draft202012Validator

from bench_runner.result import STRICT_CODES
from tests.integration.cluster import STATE, Kubectl, Program
from tests.integration.playbooks import CHECKOUT
from tests.integration.pods import Pods

pytest_plugins = ["tests.integration.pod_fixtures"]
pytestmark = [pytest.mark.cluster, pytest.mark.engine, pytest.mark.image]

SCHEMA = json.loads((CHECKOUT / "bench_runner" / "result.schema.json").read_text())
ROLE = CHECKOUT / "docs" / "kubernetes" / "role.yaml"


@pytest.mark.slow
def test_the_real_runner_on_exactly_one_cpu(
    pods: Pods, kubectl: Kubectl, runner_image: str, engine: docker.DockerClient
) -> None:
    answer = pods.measured(
        image=runner_image,
        image_ids=[engine.images.get(runner_image).id],
        architecture="x86_64",
        iterations=2,
        processes=2,
        memory="2Gi",
        labels={"made_by": "test"},
    )
    result, where = answer["result"], answer["result"]["kubernetes"]
    Draft202012Validator(SCHEMA).validate(result)
    assert (result["cpu_limit"], result["isolated"]) == (1, True)
    assert result["isolation"]["container"]
    assert result["memory"]["limit_bytes"] == 2 * 2**30
    assert result["labels"] == {"made_by": "test"}
    assert (where["qos_class"], where["node"]) == ("Guaranteed", answer["pods"][0]["node"])
    assert (where["kubelet_version"][:2], where["server_version"][:2]) == ("v1", "v1")
    assert where["container_runtime"]
    assert where["absent"] == []
    # The machine may be busy, and the runner says so; everything else is as asked.
    assert {warning["code"] for warning in result["warnings"]} <= STRICT_CODES - {"throttled", "physically_impossible"}
    assert json.loads(Path(answer["result_file"]).read_text()) == result
    assert answer["manifests"][0]["metadata"]["name"] == where["pod"]
    assert answer["cluster"]["server"] == kubectl.server
    assert (answer["adopted"], answer["rescued"]) == (False, [])
    assert kubectl.pods() == []


def test_a_pod_has_no_right_that_it_does_not_need(pods: Pods) -> None:
    found = pods.measured(labels={"behaviour": "confinement"})["result"]["labels"]
    assert found["uid"] == "65532"
    assert set(found["capabilities"]) == {"0", " "}
    assert found["no_new_privileges"] == "1"
    assert (found["/"], found["/opt"]) == ("Read-only file system", "Read-only file system")
    assert found["/tmp"] == "writable"
    assert found["token"] == "False"


def test_progress_is_seen_within_10_seconds_and_then_every_15(pods: Pods) -> None:
    run = pods.start(iterations=60, labels={"seconds": "0.4"})
    began = run.wait_for("TASK [Measure]")
    assert run.wait() == 0, run.output
    times = [when for when, _line in run.progress()]
    ended = run.lines[-1][0]
    assert times[0] - began < 10
    assert max(later - earlier for earlier, later in itertools.pairwise([*times, ended])) < 15
    assert run.progress("[here] base: iteration ")
    assert run.progress(" of 60, mean 0.40")
    assert run.progress(" s left")


def test_a_check_rehearses_with_the_cluster_and_makes_nothing(pods: Pods, kubectl: Kubectl) -> None:
    assert pods.start(check=True).wait() == 0
    answer = pods.answer()
    assert answer["changed"]
    assert "result" not in answer
    [before], [after] = answer["diff"]["before"].values(), answer["diff"]["after"].values()
    assert before == {part: answer["manifests"][0][part] for part in ("metadata", "spec")}
    assert after["spec"]["schedulerName"] == "default-scheduler"
    assert kubectl.pods() == []
    assert not pods.results.exists()


def test_the_manifest_can_be_applied_by_hand(pods: Pods, kubectl: Kubectl) -> None:
    pods.start(check=True, iterations=1).wait()
    kubectl("create", "-f", "-", body=pods.answer()["manifests"][0])
    pod = kubectl.wait_for_pod(lambda pod: pod["status"]["phase"] == "Succeeded")
    log = kubectl("logs", pod["metadata"]["name"])
    assert "rightsize-whisper END test-" in log
    kubectl("delete", "pod", pod["metadata"]["name"])


def test_the_shipped_role_is_enough_and_tells_what_it_leaves_out(pods: Pods, kubectl: Kubectl, tmp_path: Path) -> None:
    user = user_with_role(kubectl, tmp_path)
    result = pods.measured(kubectl=user)["result"]
    assert result["kubernetes"]["absent"] == ["details of the node: forbidden"]
    assert result["kubernetes"]["node"]


def test_audio_goes_in_through_a_config_map_that_goes_with_the_pod(
    pods: Pods, kubectl: Kubectl, tmp_path: Path
) -> None:
    audio = tmp_path / "my speech.ogg"
    audio.write_bytes(random.Random(7).randbytes(700_000))
    result = pods.measured(audio=str(audio))["result"]
    assert result["labels"]["audio_sha256"] == hashlib.sha256(audio.read_bytes()).hexdigest()
    deadline = time.monotonic() + 30
    while "audio" in kubectl("get", "configmaps", "-o", "name"):
        assert time.monotonic() < deadline
        time.sleep(0.5)


def test_targets_are_measured_side_by_side_and_fail_alone(pods: Pods, kubectl: Kubectl) -> None:
    run = pods.start_each({"good": {"iterations": 20}, "bad": {"iterations": 20, "labels": {"behaviour": "exit_4"}}})
    most = 0
    while run.is_running:
        most = max(most, len(kubectl.pods()))
    assert run.wait() == 2, run.output
    assert most == 2
    assert pods.answer("good")["result"]["iterations"] == 20
    assert pods.answer("bad")["failure"] == "checkpoint"


def test_runs_of_one_target_take_turns(pods: Pods, kubectl: Kubectl) -> None:
    run = pods.start_each({host: {"target": "same", "iterations": 10} for host in ("one", "two")})
    most = 0
    while run.is_running:
        most = max(most, len(kubectl.pods()))
    assert run.wait() == 0, run.output
    assert most == 1
    assert run.progress("waiting for another run of this target")


def test_several_pods_are_combined_as_processes_are(pods: Pods) -> None:
    answer = pods.measured(pods=2, distinct_nodes=False, iterations=3)
    result = answer["result"]
    assert (result["iterations"], result["iterations_requested"]) == (6, 6)
    assert [process["process"] for process in result["processes"]] == [1, 2]
    assert len(result["kubernetes"]["pods"]) == 2
    assert result["kubernetes"]["qos_class"] == "Guaranteed"
    assert len({pod["name"] for pod in answer["pods"]}) == 2
    assert sorted(path.name for path in pods.results.iterdir()) == [f"{result['run_id']}.json"]


def test_several_pods_insist_on_a_node_for_each(pods: Pods, kubectl: Kubectl) -> None:
    count = len(json.loads(kubectl("get", "nodes", "-o", "json"))["items"])
    answer = pods.failed(pods=count + 1, iterations=300, schedule_timeout=6)
    assert answer["failure"] == "unschedulable"
    assert f"of {count + 1}: no node took Pod" in answer["msg"]
    assert "anti-affinity" in answer["msg"]


@pytest.mark.slow
def test_an_exclusive_cpu_is_recorded_as_what_it_is(pods: Pods, kubectl: Kubectl, runner_image: str) -> None:
    kubelet = Program("kubelet")
    settings, state = STATE / "kubelet.yaml", STATE / "kubelet" / "cpu_manager_state"
    before = settings.read_text()
    changed = {**yaml.safe_load(before), "cpuManagerPolicy": "static", "reservedSystemCPUs": "0"}
    try:
        with kubelet.dead():
            settings.write_text(yaml.safe_dump(changed))
            state.unlink(missing_ok=True)
        kubelet.wait_until_ready(kubectl)
        result = pods.measured(image=runner_image, iterations=1, memory="2Gi")["result"]
    finally:
        with kubelet.dead():
            settings.write_text(before)
            state.unlink(missing_ok=True)
        kubelet.wait_until_ready(kubectl)
    assert (result["isolation"]["mode"], result["isolation"]["cpuset_cpus"]) == ("both", 1)
    assert (result["kubernetes"]["cpu_manager"], result["cpu_limit"], result["isolated"]) == ("exclusive", 1, True)


def user_with_role(kubectl: Kubectl, folder: Path) -> Kubectl:
    """A service account of the namespace that has the shipped role, and nothing else."""
    for document in yaml.safe_load(ROLE.read_text())["items"]:
        if document["kind"] == "RoleBinding":
            document["subjects"] = [{"kind": "ServiceAccount", "name": "benchmarker", "namespace": kubectl.namespace}]
        kubectl.create(document)
    return kubectl.as_service_account("benchmarker", folder).wait_until_allowed("create", "pods")
