# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.rightsize.whisper.plugins.module_utils._container import RunError
from ansible_collections.rightsize.whisper.plugins.module_utils._kubernetes import ClusterError
from ansible_collections.rightsize.whisper.plugins.module_utils._pod_proof import (
    check_image,
    complete,
    taints,
    where_measured,
)

from tests.unit.factories import xeon_pool
from tests.unit.pods import IMAGE_ID, a_pod, a_request

OTHER_ID = "sha256:" + "cd" * 32
NODE = {
    "metadata": {
        "labels": {
            "node.kubernetes.io/instance-type": "m7i.4xlarge",
            "topology.kubernetes.io/zone": "eu-1a",
            "feature.node.kubernetes.io/cpu-model.family": "6",
            "feature.node.kubernetes.io/cpu-hardware_multithreading": "true",
            "something.else/secret": "not ours",
        }
    },
    "status": {
        "capacity": {"cpu": "16"},
        "nodeInfo": {
            "architecture": "amd64",
            "kubeletVersion": "v1.37.0",
            "containerRuntimeVersion": "containerd://2.1.0",
            "osImage": "Bottlerocket",
            "kernelVersion": "6.12",
        },
    },
}


class StandInCluster:
    """Answers to where a Pod ran."""

    def __init__(self, node: dict[str, Any] | None) -> None:
        self._node = node

    def get(self, path: str) -> dict[str, Any]:
        if path == "/version":
            return {"gitVersion": "v1.37.0"}
        if self._node is None:
            raise ClusterError("forbidden", 'nodes "node-1" is forbidden', 403)
        assert path == "/api/v1/nodes/node-1"
        return self._node


def running(image_id: str) -> dict[str, Any]:
    return a_pod(containerStatuses=[{"name": "benchmark", "imageID": image_id, "state": {"running": {}}}])


@pytest.mark.parametrize(
    "image_id",
    [
        f"docker://{IMAGE_ID}",
        f"docker-pullable://registry.example.com/whisper@{IMAGE_ID}",
        f"registry.example.com/whisper@{IMAGE_ID}",
        IMAGE_ID,
        IMAGE_ID.removeprefix("sha256:"),
    ],
)
def test_the_built_image_is_known_by_every_runtime(image_id: str) -> None:
    assert check_image(a_request(image_ids=(OTHER_ID, IMAGE_ID)), running(image_id)) == []


def test_another_image_is_refused() -> None:
    with pytest.raises(RunError, match="not the image that was built") as caught:
        check_image(a_request(image_ids=(IMAGE_ID,)), running(f"docker://{OTHER_ID}"))
    assert caught.value.kind == "wrong_image"
    assert OTHER_ID in str(caught.value)
    assert IMAGE_ID in str(caught.value)


@pytest.mark.parametrize(
    ("ids", "image_id"), [((), f"docker://{IMAGE_ID}"), ((IMAGE_ID,), "image-7"), ((IMAGE_ID,), "")]
)
def test_what_cannot_be_told_is_said(ids: tuple[str, ...], image_id: str) -> None:
    [warning] = check_image(a_request(image_ids=ids), running(image_id))
    assert warning["code"] == "image_unproven"


def test_the_node_is_told_where_it_may_be_read() -> None:
    where = where_measured(StandInCluster(NODE), running(IMAGE_ID))  # type: ignore[arg-type]
    assert where["kubelet_version"] == "v1.37.0"
    assert (where["instance_type"], where["zone"], where["region"]) == ("m7i.4xlarge", "eu-1a", None)
    assert (where["node"], where["qos_class"], where["cpus"]) == ("node-1", "Guaranteed", "16")
    assert where["features"].keys() == {name for name in NODE["metadata"]["labels"] if "cpu-" in name}
    assert where["absent"] == []


def test_what_may_not_be_read_is_noted() -> None:
    where = where_measured(StandInCluster(None), running(IMAGE_ID))  # type: ignore[arg-type]
    assert where["absent"] == ["details of the node: forbidden"]
    assert where["server_version"] == "v1.37.0"


def where(**changes: Any) -> dict[str, Any]:
    return {"node": "node-1", "architecture": "amd64", "image_id": IMAGE_ID, **changes}


def codes(result: dict[str, Any], **changes: Any) -> list[str]:
    return [warning["code"] for warning in taints(a_request(**changes), result, where())]


def test_a_result_of_one_cpu_is_accepted() -> None:
    assert codes(xeon_pool()) == []
    assert codes(xeon_pool(), architecture="x86_64") == []
    # Exclusive CPUs may come without a quota (Kubernetes 1.33): the cpuset is the limit then.
    assert codes(xeon_pool(isolation={"mode": "cpuset", "quota_cpus": None, "cpuset_cpus": 1})) == []


def test_another_cpu_limit_taints() -> None:
    [warning] = taints(a_request(), xeon_pool(cpu_limit=None, isolated=False), where())
    assert warning["code"] == "cpu_limit_mismatch"
    assert "the kubelet of node-1 does not enforce it" in warning["message"]
    assert codes(xeon_pool(cpu_limit=2.0)) == ["cpu_limit_mismatch"]
    assert codes(xeon_pool(isolated=False)) == ["not_isolated"]
    assert codes(xeon_pool(isolation={"emulated": True})) == ["emulated"]


@pytest.mark.parametrize(
    ("result", "asked", "node"),
    [("arm64", None, "amd64"), ("x86_64", None, "arm64"), ("x86_64", "arm64", None), ("riscv64", None, "amd64")],
)
def test_another_architecture_is_refused(result: str, asked: str | None, node: str | None) -> None:
    with pytest.raises(RunError, match=f"measured on {result}") as caught:
        taints(a_request(architecture=asked), xeon_pool(architecture=result), where(architecture=node))
    assert caught.value.kind == "wrong_architecture"


def test_a_warning_that_the_result_has_is_not_repeated() -> None:
    known = {"code": "cpu_limit_mismatch", "message": "the runner's words"}
    new = [{"code": "cpu_limit_mismatch", "message": "ours"}, {"code": "no_summary", "message": "ours"}]
    result = complete(xeon_pool(warnings=[known]), a_request().run, where(), new)  # type: ignore[arg-type]
    assert result["warnings"] == [known, new[1]]


@pytest.mark.parametrize(
    ("mode", "manager"), [("quota", "shared"), ("none", "shared"), ("cpuset", "exclusive"), ("both", "exclusive")]
)
def test_the_way_in_which_cpus_are_given_out_is_recorded(mode: str, manager: str) -> None:
    result = complete(xeon_pool(isolation={"mode": mode}), a_request().run, where(), [])
    assert result["kubernetes"]["cpu_manager"] == manager
    assert result["image"]["node_image_id"] == IMAGE_ID
