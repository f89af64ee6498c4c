# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs in Pods that give no result: each fault is made to happen, and each says in one line what, where and what to do."""

from __future__ import annotations

import contextlib
import json
import platform
import re
import secrets
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.integration import images
from tests.integration.cluster import Kubectl, Meddler, Webhook
from tests.integration.pods import Answer, Pods

pytest_plugins = ["tests.integration.pod_fixtures"]
pytestmark = [pytest.mark.cluster, pytest.mark.engine, pytest.mark.image]

# What the runner does wrong: the failure, a part of the message, and whether iterations were finished before.
MISBEHAVIOUR = {
    "unknown_schema": ("unknown_schema", "schema version '2.0', but this collection reads 1.x"),
    "wrong_run": ("garbled_result", "no result in it"),
    "implausible": ("implausible_result", "avg_latency_ms 1.0"),
    "other_architecture": ("wrong_architecture", "was measured on"),
    "crash": ("runner_error", "code 139"),
    "exit_3": ("audio", "/in/the/container.wav is empty; give a file with speech"),
    "exit_4": ("checkpoint", "has another hash than expected"),
    "out_of_memory": ("out_of_memory", "at the limit of 256 MiB; raise memory"),
}
# What is wrong with one of the ways on which a result leaves the Pod: the warning that the result carries then.
ONE_WAY_CUT = {
    "no_frame": "summary_only",
    "half_a_frame": "summary_only",
    "altered_frame": "summary_only",
    "no_message": "no_summary",
    "scrambled_message": "no_summary",
}
# What is wrong with both.
BOTH_WAYS_CUT = {
    "nothing": ("garbled_result", "no result in it, so it was rotated or cut, and the termination message holds no"),
    "other_document": ("garbled_result", "not the one its termination message names"),
    "bomb": ("result_too_large", "more than the 4194304 allowed"),
}
ELSEWHERE = "arm64" if platform.machine() == "x86_64" else "x86_64"
# What keeps a Pod from its start: the failure and parts of its message.
STUCK: dict[str, tuple[dict[str, Any], str, list[str]]] = {
    "labels": (
        {"schedule_timeout": 4, "node_selector": {"disk": "floppy"}},
        "unschedulable",
        ["no node took Pod", "1 node(s) didn't match", "check node_selector"],
    ),
    "memory": (
        {"schedule_timeout": 4, "memory": "4Ti"},
        "unschedulable",
        ["Insufficient memory", "ask for less memory"],
    ),
    "architecture": ({"schedule_timeout": 4, "architecture": ELSEWHERE}, "unschedulable", ["1 node(s) didn't match"]),
    "missing": (
        {"image": "rightsize-test-missing:1"},
        "image_pull",
        ["ErrImageNeverPull", "deliver the image rightsize-test-missing:1"],
    ),
    "registry": (
        {"image": "127.0.0.1:1/team/whisper:1", "pull_policy": "IfNotPresent"},
        "image_pull",
        ["127.0.0.1:1/team/whisper:1", "connection refused", "deliver the image"],
    ),
    "name": ({"image": "UPPER CASE"}, "image_pull", ["InvalidImageName"]),
    "ids": (
        {"image_ids": ["sha256:" + "5" * 64], "iterations": 300},
        "wrong_image",
        ["docker://sha256:", "deliver it again"],
    ),
    "cpus": ({"cpus": 0}, "bad_usage", ["cpus 0 is too little"]),
    "figure": ({"memory": "4 GB"}, "bad_usage", ["memory '4 GB'"]),
    "run_id": ({"run_id": "UPPER"}, "bad_usage", ["run_id 'UPPER'"]),
    "audio": ({"audio": __file__ + ".wav"}, "audio", ["cannot read the audio file", "No such file"]),
    "namespace": ({"namespace": "nowhere"}, "no_namespace", ['namespaces "nowhere" not found', "create it"]),
    "context": ({"context": "nowhere"}, "no_context", ["no context 'nowhere'; it has"]),
    "toleration": ({"tolerations": [{"operator": "Sometimes"}]}, "refused", ["tolerations", "Sometimes"]),
}


def fails(answer: Answer, kind: str, *words: str) -> None:
    assert answer.get("failure") == kind, answer.get("msg", answer)
    assert "\n" not in answer["msg"]
    for word in words:
        assert word in answer["msg"], answer["msg"]


def test_the_runner_misbehaves(pods: Pods) -> None:
    answers = pods.each({behaviour: {"labels": {"behaviour": behaviour}} for behaviour in MISBEHAVIOUR})
    for behaviour, (kind, words) in MISBEHAVIOUR.items():
        fails(answers[behaviour], kind, words)
        assert '"event": "iteration"' in answers[behaviour]["partial_journal"]
    assert list(pods.results.glob("*")) == []


def test_the_ways_out_of_the_pod_are_cut(pods: Pods) -> None:
    answers = pods.each({way: {"labels": {"way": way}} for way in (*ONE_WAY_CUT, *BOTH_WAYS_CUT, "interleaved")})
    for way, code in ONE_WAY_CUT.items():
        result = answers[way]["result"]
        assert code in [warning["code"] for warning in result["warnings"]], way
        assert len(result["processes"][0]["wall_ms"]) == 2
    for way, (kind, words) in BOTH_WAYS_CUT.items():
        fails(answers[way], kind, words)
        assert '"event": "iteration"' in answers[way]["partial_journal"]
    warnings = answers["interleaved"]["result"]["warnings"]
    assert {"summary_only", "no_summary"}.isdisjoint(warning["code"] for warning in warnings)


def test_what_never_starts(pods: Pods) -> None:
    answers = pods.each({name: arguments for name, (arguments, _kind, _words) in STUCK.items()})
    for name, (_arguments, kind, words) in STUCK.items():
        fails(answers[name], kind, *words)
        assert "partial_journal" not in answers[name]


def test_who_may_not(pods: Pods, kubectl: Kubectl, tmp_path: Path) -> None:
    kubectl("create", "role", "reader", "--verb=get,list", "--resource=pods")
    kubectl("create", "rolebinding", "reader", "--role=reader", f"--serviceaccount={kubectl.namespace}:reader")
    login = {"apiVersion": "client.authentication.k8s.io/v1beta1", "command": "false", "interactiveMode": "Never"}
    answers = pods.each(
        {
            "reader": {"kubectl": kubectl.as_service_account("reader", tmp_path).wait_until_allowed("list", "pods")},
            "stranger": {"kubectl": kubectl.as_user(tmp_path, user={"token": "s3cret-t0ken"})},
            "login": {"kubectl": kubectl.as_user(tmp_path, user={"exec": login})},
            "nobody": {"kubectl": kubectl.as_user(tmp_path, cluster={"server": "https://127.0.0.1:1"})},
            "other": {"kubectl": kubectl.as_user(tmp_path, cluster={"server": kubectl.server.replace("0.1", "0.2")})},
        }
    )
    missing = "may not create pods, delete pods, get pods/log in namespace"
    fails(answers["reader"], "forbidden", missing, "docs/kubernetes/role.yaml")
    fails(answers["stranger"], "unauthorized", "does not accept the credentials of context", "log in to it again")
    fails(answers["login"], "unauthorized", "log in to it again")
    fails(answers["nobody"], "api_unreachable", "https://127.0.0.1:1", "refused")
    fails(answers["other"], "api_unreachable", "127.0.0.2")
    assert "s3cret-t0ken" not in json.dumps(answers)


@pytest.fixture
def loaded_image(engine: docker.DockerClient) -> Iterator[Callable[..., str]]:
    """Loads an image of these programs."""
    names: list[str] = []

    def load(files: dict[str, bytes]) -> str:
        names.append(f"rightsize-test-programs:{secrets.token_hex(4)}")
        architecture = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
        engine.images.load(images.image_of(names[-1], files, architecture, {}))
        return names[-1]

    yield load
    for name in names:
        engine.images.remove(name, force=True)


def test_a_quota_is_exceeded(pods: Pods, kubectl: Kubectl) -> None:
    kubectl("create", "quota", "small", "--hard=requests.cpu=500m,limits.cpu=4")
    answer = pods.failed()
    fails(answer, "quota_exceeded", "exceeded quota: small", "requests.cpu=1", "limited: requests.cpu=500m", "raise")


def test_a_limit_range_forbids_it(pods: Pods, kubectl: Kubectl) -> None:
    kubectl.create(limit_range(max={"cpu": "500m"}))
    fails(
        pods.failed(), "limit_range", "maximum cpu usage per Container is 500m, but limit is 1", "change the LimitRange"
    )


def test_a_limit_range_that_adds_other_resources_does_no_harm(pods: Pods, kubectl: Kubectl) -> None:
    kubectl.create(limit_range(default={"ephemeral-storage": "1Gi", "cpu": "100m", "memory": "64Mi"}))
    assert pods.measured()["result"]["kubernetes"]["qos_class"] == "Guaranteed"


def limit_range(**limits: dict[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "LimitRange",
        "metadata": {"name": "limits"},
        "spec": {"limits": [{"type": "Container", **limits}]},
    }


@pytest.fixture
def meddling(kubectl: Kubectl, tmp_path: Path) -> Iterator[Callable[..., Kubectl]]:
    """A user whose Pods are changed on their way to the cluster."""
    kubectl("create", "rolebinding", "edit", "--clusterrole=edit", f"--serviceaccount={kubectl.namespace}:editor")
    user = kubectl.as_service_account("editor", tmp_path).wait_until_allowed("create", "pods")
    with contextlib.ExitStack() as stack:

        def start(change: Callable[[dict[str, Any]], None]) -> Kubectl:
            folder = tmp_path / secrets.token_hex(4)
            folder.mkdir()
            meddler = stack.enter_context(Meddler(kubectl.server, kubectl.authority, folder, change))
            return user.as_user(folder, cluster=meddler.cluster)

        yield start


def add_sidecar(pod: dict[str, Any], resources: dict[str, Any]) -> None:
    ours = pod["spec"]["containers"][0]
    sidecar = {**ours, "name": "proxy", "command": ["sleep", "300"], "args": [], "resources": resources}
    pod["spec"]["containers"].insert(0, sidecar)


def shrink(pod: dict[str, Any]) -> None:
    pod["spec"]["containers"][0]["resources"]["requests"]["cpu"] = "250m"


def set_threads(pod: dict[str, Any]) -> None:
    pod["spec"]["containers"][0]["env"] = [{"name": "OMP_NUM_THREADS", "value": "8"}]


def test_admission_changes_what_was_asked_for(pods: Pods, meddling: Callable[..., Kubectl]) -> None:
    small = {"cpu": "100m", "memory": "64Mi"}
    users = {
        "shrunk": meddling(shrink),
        "burst": meddling(lambda pod: add_sidecar(pod, {})),
        "sidecar": meddling(lambda pod: add_sidecar(pod, {"requests": small, "limits": small})),
        "threads": meddling(set_threads),
    }
    answers = pods.each({name: {"kubectl": user} for name, user in users.items()})
    changed = "changed requests.cpu of Pod"
    fails(answers["shrunk"], "resources_changed", changed, "from 1 to 250m", "except the benchmark from it")
    fails(answers["burst"], "not_guaranteed", "Burstable", "the containers proxy were added to it")
    # It never ends, and the measurement does.
    [warning] = [found for found in answers["sidecar"]["result"]["warnings"] if found["code"] == "containers_added"]
    assert "proxy" in warning["message"]
    [warning] = [found for found in answers["threads"]["result"]["warnings"] if found["code"] == "manifest_changed"]
    assert "OMP_NUM_THREADS" in warning["message"]


def test_a_rehearsal_finds_what_admission_changes(pods: Pods, meddling: Callable[..., Kubectl]) -> None:
    assert pods.start(check=True, kubectl=meddling(shrink)).wait() == 2
    fails(pods.answer(), "resources_changed", "from 1 to 250m")


def test_a_webhook_denies_it(pods: Pods, kubectl: Kubectl, tmp_path: Path) -> None:
    with Webhook(kubectl, tmp_path, "no benchmarks on Mondays") as webhook:
        fails(pods.failed(), "admission", "admission webhook", "denied the request", "no benchmarks on Mondays")
        webhook.stop()
        fails(pods.failed(), "admission", "failed calling webhook", "connection refused")


def test_somebody_deletes_the_pod(pods: Pods, kubectl: Kubectl) -> None:
    run = pods.start(iterations=300)
    kubectl("delete", "pod", kubectl.wait_for_iteration()["metadata"]["name"], "--wait=false")
    assert run.wait() == 2
    answer = pods.answer()
    fails(answer, "pod_vanished", "was deleted after", "of 300 iterations", "by somebody else", "run again")
    assert '"event": "iteration"' in answer["partial_journal"]


def test_somebody_deletes_the_pod_at_once(pods: Pods, kubectl: Kubectl) -> None:
    run = pods.start(iterations=300)
    name = kubectl.wait_for_iteration()["metadata"]["name"]
    kubectl("delete", "pod", name, "--force", "--grace-period=0")
    assert run.wait() == 2
    answer = pods.answer()
    # The kubelet may stop the container before the object is seen to be gone.
    assert answer["failure"] in ("pod_vanished", "pod_killed"), answer["msg"]
    assert "run again" in answer["msg"]


def test_the_scheduler_preempts_the_pod(pods: Pods, kubectl: Kubectl, pod_image: str) -> None:
    run = pods.start(iterations=300)
    kubectl.wait_for_iteration()
    priority = {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {"name": kubectl.namespace},
        "value": 1000,
    }
    kubectl.create(priority)
    try:
        kubectl.create(greedy(kubectl, pod_image))
        assert run.wait() == 2
    finally:
        kubectl("delete", "priorityclass", kubectl.namespace)
        kubectl("delete", "pod", "greedy", "--wait=false")
    answer = pods.answer()
    assert answer["failure"] in ("preempted", "pod_vanished"), answer["msg"]
    assert re.search(r"was deleted after \d+ of 300 iterations", answer["msg"])


def greedy(kubectl: Kubectl, image: str) -> dict[str, Any]:
    """A Pod that wants all CPUs of the node."""
    cpus = json.loads(kubectl("get", "nodes", "-o", "json"))["items"][0]["status"]["allocatable"]["cpu"]
    container = {
        "name": "greedy",
        "image": image,
        "imagePullPolicy": "Never",
        "command": ["sleep", "300"],
        "resources": {"requests": {"cpu": cpus}},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "greedy"},
        "spec": {"priorityClassName": kubectl.namespace, "terminationGracePeriodSeconds": 0, "containers": [container]},
    }


def test_a_result_that_cannot_be_written_stays_in_the_cluster(pods: Pods, kubectl: Kubectl, tmp_path: Path) -> None:
    obstacle = tmp_path / "obstacle"
    obstacle.touch()
    arguments = {"iterations": 2, "run_id": "test-not-kept"}
    answer = pods.failed(result_dir=str(obstacle / "results"), **arguments)
    fails(answer, "not_kept", "cannot keep the result in", "a folder on the way is a file")
    [left] = kubectl.pods()
    answer = pods.measured(**arguments)
    assert answer["adopted"]
    assert answer["result"]["kubernetes"]["pod"] == left["metadata"]["name"]


@pytest.mark.slow
def test_what_ends_too_late_or_not_at_all(pods: Pods, loaded_image: Callable[..., str]) -> None:
    # The head of an ELF program for a machine that is neither of the two.
    head = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 2, 243, 1, 65536, 64, 0, 0, 64, 56, 0, 0, 0, 0)
    answers = pods.each(
        {
            "long": {"timeout": 3, "iterations": 300},
            "hanging": {"start_timeout": 10, "timeout": 2, "labels": {"behaviour": "hang"}},
            "hoarding": {"timeout": 120, "labels": {"behaviour": "hoard_disk"}, "memory": "512Mi"},
            "foreign": {"image": loaded_image({"/usr/bin/python3": head})},
            "empty": {"image": loaded_image({"/etc/nothing": b"nothing"})},
        }
    )
    fails(
        answers["long"],
        "timed_out",
        "did not end within 3 s after",
        "of 300 iterations",
        "raise timeout or lower iterations",
    )
    assert "partial_journal" in answers["long"]
    fails(answers["hanging"], "timed_out", "did not end within 2 s after 2 of 2 iterations")
    fails(answers["hoarding"], "evicted", "ended by the cluster", "exceeds the limit", "run again")
    fails(answers["foreign"], "wrong_architecture", "another architecture", "select other nodes")
    fails(answers["empty"], "container_error", "python3", "executable file not found")
