# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.rightsize.whisper.plugins.module_utils._pod_state import look_at, why_no_result

from tests.unit.pods import a_pod, a_request, container_status, terminated

NO_NODE = "0/3 nodes are available: 3 node(s) didn't match node selector."


def waiting(reason: str, message: str = "words of the kubelet") -> dict[str, Any]:
    return {"containerStatuses": [container_status(waiting={"reason": reason, "message": message})]}


def disrupted(reason: str) -> dict[str, Any]:
    condition = {"type": "DisruptionTarget", "status": "True", "reason": reason, "message": "words of the cluster"}
    return {"phase": "Failed", "conditions": [condition], "containerStatuses": terminated(137)}


def unscheduled(**status: Any) -> dict[str, Any]:
    pod = a_pod(**status)
    del pod["spec"]["nodeName"]
    return pod


def test_a_pod_waits_for_a_node() -> None:
    assert look_at(unscheduled())[:3] == ("scheduling", "waiting for a node", None)
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": NO_NODE}
    stage, words, problem, _ended = look_at(unscheduled(conditions=[condition]))
    assert (stage, words) == ("scheduling", f"waiting for a node: {NO_NODE}")
    assert problem == ("unschedulable", NO_NODE)


def test_a_pod_starts() -> None:
    assert look_at(a_pod(**waiting("ContainerCreating")))[:3] == ("starting", "fetching the image and starting", None)
    held_up = a_pod(initContainerStatuses=[container_status("vault-agent", running={})])
    assert look_at(held_up).words == "starting, after the added container vault-agent"


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("ErrImagePull", "image_pull"),
        ("ImagePullBackOff", "image_pull"),
        ("ErrImageNeverPull", "image_pull"),
        ("InvalidImageName", "image_pull"),
        ("CreateContainerConfigError", "container_error"),
        ("CreateContainerError", "container_error"),
    ],
)
def test_what_seldom_mends_itself(reason: str, kind: str) -> None:
    assert look_at(a_pod(**waiting(reason))).problem == (kind, f"{reason}: words of the kubelet")


def test_our_container_is_judged_and_no_other() -> None:
    others = [container_status("proxy", running={}), container_status("log", terminated={"exitCode": 1})]
    running = a_pod(phase="Running", containerStatuses=[*others, container_status(running={})])
    assert look_at(running).stage == "running"
    ended = look_at(a_pod(phase="Running", containerStatuses=[*others, *terminated(0, "Completed", seconds=90)]))
    assert ended.stage == "ended"
    assert ended.ended == (0, "Completed", "", 90)


def test_a_pod_that_its_node_refused_has_no_container() -> None:
    for status in ({}, {"containerStatuses": None}, {"containerStatuses": []}):
        assert look_at(a_pod(phase="Failed", reason="OutOfcpu", **status)).stage == "failed"


def test_anything_may_be_missing() -> None:
    assert look_at({"metadata": {"name": "x"}}).stage == "scheduling"
    odd = a_pod(containerStatuses=[container_status(terminated={"exitCode": None, "startedAt": "yesterday"})])
    assert look_at(odd).ended == (1, "", "", None)


# The status, what the runner said, and the failure with a part of its message.
ENDS: list[tuple[dict[str, Any], str, str, str]] = [
    ({"containerStatuses": terminated(137, "OOMKilled")}, "", "out_of_memory", "at the limit of 4 GiB; raise memory"),
    ({"containerStatuses": terminated(5)}, "no memory left", "out_of_memory", "raise memory: no memory left"),
    ({"phase": "Failed", "reason": "DeadlineExceeded"}, "", "timed_out", "did not end within 600 s after 3 of 50"),
    (
        {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."},
        "",
        "evicted",
        "ended by the cluster after 3 of 50 (Evicted: The node was low on resource: memory.); run again",
    ),
    (disrupted("PreemptionByScheduler"), "", "preempted", "PreemptionByScheduler: words of the cluster"),
    (disrupted("EvictionByEvictionAPI"), "", "evicted", "words of the cluster"),
    (disrupted("DeletionByTaintManager"), "", "node_lost", "words of the cluster"),
    (disrupted("TerminationByKubelet"), "", "evicted", "words of the cluster"),
    ({"phase": "Failed", "reason": "NodeShutdown", "message": "going down"}, "", "evicted", "NodeShutdown: going down"),
    (
        {
            "phase": "Failed",
            "reason": "SMTAlignmentError",
            "message": "requested 1 cpus not multiple cpus per core = 2",
        },
        "",
        "node_refused",
        "whole cores only, so ask for 2 CPUs with 1 thread",
    ),
    (
        {"phase": "Failed", "reason": "OutOfcpu", "message": "Node didn't have enough resource: cpu"},
        "",
        "node_refused",
        "free some of it or select other nodes",
    ),
    ({"phase": "Failed", "reason": "NodeAffinity"}, "", "node_refused", "select other nodes"),
    (
        {"containerStatuses": terminated(128, "StartError", 'exec: "python3": exec format error')},
        "",
        "wrong_architecture",
        "node node-1 cannot run the programs of image",
    ),
    ({"containerStatuses": terminated(1)}, "standard_init_linux.go: exec format error", "wrong_architecture", "node-1"),
    (
        {"containerStatuses": terminated(127, "ContainerCannotRun", 'exec: "python3": executable file not found')},
        "",
        "container_error",
        "executable file not found",
    ),
    ({"containerStatuses": terminated(137)}, "", "pod_killed", "stopped from outside after 3 of 50 (exit code 137)"),
    ({"containerStatuses": terminated(6)}, "interrupted", "pod_killed", "exit code 6"),
    ({"containerStatuses": terminated(6, seconds=601)}, "the deadline", "timed_out", "raise timeout"),
    ({"containerStatuses": terminated(3)}, "the audio is empty", "audio", "the audio is empty"),
    ({"containerStatuses": terminated(4)}, "wrong hash", "checkpoint", "wrong hash"),
    ({"containerStatuses": terminated(2)}, "no such model", "bad_usage", "no such model"),
    ({"containerStatuses": terminated(1)}, "the end of a traceback", "runner_error", "the end of a traceback"),
    ({"containerStatuses": terminated(99)}, "", "runner_error", "ended with code 99 (Error)"),
]


@pytest.mark.parametrize(("status", "said", "kind", "words"), ENDS)
def test_why_there_is_no_result(status: dict[str, Any], said: str, kind: str, words: str) -> None:
    pod = a_pod(**status)
    ended = look_at(pod).ended
    error = why_no_result(a_request(), pod, said, " after 3 of 50", (ended.seconds if ended else 0) or 0)
    assert error.kind == kind
    assert words in str(error)
    assert "\n" not in str(error)
