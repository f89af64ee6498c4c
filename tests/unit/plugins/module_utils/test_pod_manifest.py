# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import re
from fractions import Fraction
from typing import Any

import pytest
from ansible_collections.rightsize.whisper.plugins.module_utils._container import RunError
from ansible_collections.rightsize.whisper.plugins.module_utils._pod_manifest import (
    audio_config_map,
    check_created,
    digest,
    manifest,
    object_name,
    parse_quantity,
)
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.pods import IMAGE_ID, OWNER, RUN_ID, a_pod, a_request

LABEL_VALUE = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?")
# The volumes that Pod Security "restricted" allows.
RESTRICTED_VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}


def a_manifest(**changes: Any) -> dict[str, Any]:
    return manifest(a_request(**changes), 1, OWNER, 2_000_000_000)


def test_requests_equal_limits_and_are_whole() -> None:
    [container] = a_manifest()["spec"]["containers"]
    assert container["resources"] == {
        "requests": {"cpu": "1", "memory": "4Gi"},
        "limits": {"cpu": "1", "memory": "4Gi"},
    }
    assert a_manifest(cpus=2)["spec"]["containers"][0]["resources"]["limits"]["cpu"] == "2"


@pytest.mark.parametrize("changes", [{}, {"audio": ("a.ogg", b"")}, {"pods": 3}])
def test_a_pod_is_what_pod_security_restricted_admits(changes: dict[str, Any]) -> None:
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/"""
    spec = a_manifest(**changes)["spec"]
    assert not spec.keys() & {"hostNetwork", "hostPID", "hostIPC", "initContainers", "ephemeralContainers"}
    assert spec["securityContext"]["runAsNonRoot"]
    assert spec["securityContext"]["runAsUser"] > 0
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["securityContext"].keys() <= {"runAsNonRoot", "runAsUser", "runAsGroup", "seccompProfile"}
    for volume in spec["volumes"]:
        assert volume.keys() - {"name"} <= RESTRICTED_VOLUMES
    for container in spec["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert "ports" not in container


def test_a_pod_ends_by_itself_and_asks_for_nothing() -> None:
    spec = a_manifest(timeout_seconds=600, start_seconds=100)["spec"]
    assert 700 < spec["activeDeadlineSeconds"] < 800
    assert spec["restartPolicy"] == "Never"
    assert spec["automountServiceAccountToken"] is spec["enableServiceLinks"] is False


def test_the_command_line_is_that_of_the_run() -> None:
    [container] = a_manifest(labels={"a": "b"})["spec"]["containers"]
    assert container["command"] == ["python3", "-m", "bench_runner.pod"]
    for argument in (
        f"--run-id={RUN_ID}",
        "--target=xeon pool",
        "--expect-cpus=1",
        f"--image-id={IMAGE_ID}",
        "--label=a=b",
    ):
        assert argument in container["args"]


def test_where_a_pod_may_go() -> None:
    spec = a_manifest(
        architecture="x86_64",
        node_selector={"pool": "xeon"},
        tolerations=({"key": "dedicated", "operator": "Exists"},),
        priority_class="high",
        pull_secrets=("registry",),
    )["spec"]
    assert spec["nodeSelector"] == {"kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64", "pool": "xeon"}
    assert spec["tolerations"] == [{"key": "dedicated", "operator": "Exists"}]
    assert spec["priorityClassName"] == "high"
    assert spec["imagePullSecrets"] == [{"name": "registry"}]
    assert not a_manifest()["spec"].keys() & {"tolerations", "priorityClassName", "imagePullSecrets"}


def test_several_pods_keep_apart_and_are_runs_of_their_own() -> None:
    first, second = (manifest(a_request(pods=2), number, OWNER, 0) for number in (1, 2))
    [term] = first["spec"]["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert term["labelSelector"] == {"matchLabels": {"whisper.rightsize.io/run": RUN_ID}}
    assert first["metadata"]["name"] != second["metadata"]["name"]
    assert f"--run-id={RUN_ID}-p2" in second["spec"]["containers"][0]["args"]
    together = a_manifest(pods=2, distinct_nodes=False)["spec"]["affinity"]["podAntiAffinity"]
    assert together.keys() == {"preferredDuringSchedulingIgnoredDuringExecution"}


@given(st.from_regex(r"[a-z0-9][a-z0-9-]{6,61}[a-z0-9]", fullmatch=True), st.integers(1, 100))
def test_names_and_labels_are_what_a_cluster_takes(run_id: str, number: int) -> None:
    made = manifest(a_request(run_id=run_id, pods=100), number, OWNER, 0)
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", made["metadata"]["name"])
    assert len(made["metadata"]["name"]) <= 63
    for value in made["metadata"]["labels"].values():
        assert LABEL_VALUE.fullmatch(value)
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]{6,61}[a-z0-9]", a_request(run_id=run_id, pods=100).run_of(number).run_id)


def test_long_run_ids_stay_apart() -> None:
    one, other = "a" * 62 + "1", "a" * 62 + "2"
    assert object_name(one) != object_name(other)


def test_the_digest_tells_requests_apart_but_not_runs() -> None:
    same = {digest(a_request()), digest(a_request(run_id="another-run-0001"))}
    assert len(same) == 1
    others = [
        a_request(iterations=51),
        a_request(image="another"),
        a_request(image_ids=()),
        a_request(memory="5Gi"),
        a_request(pods=2),
        a_request(node_selector={"a": "b"}),
        a_request(audio=("a.ogg", b"one")),
        a_request(audio=("a.ogg", b"two")),
    ]
    assert len({digest(request) for request in others} - same) == len(others)


def test_audio_is_mounted_from_a_config_map_that_the_pods_own() -> None:
    request = a_request(audio=("speech.ogg", b"\x00\xff"), pods=2)
    pods = [a_pod(request, number) for number in (1, 2)]
    made = audio_config_map(request, pods)
    assert base64.b64decode(made["binaryData"]["audio"]) == b"\x00\xff"
    assert [owner["uid"] for owner in made["metadata"]["ownerReferences"]] == ["uid-1", "uid-2"]
    for pod in pods:
        [container] = pod["spec"]["containers"]
        assert "--audio=/audio/speech.ogg" in container["args"]
        [volume] = [volume for volume in pod["spec"]["volumes"] if volume["name"] == "audio"]
        assert volume["configMap"]["name"] == made["metadata"]["name"]


def test_what_was_asked_for_is_accepted() -> None:
    pod = a_pod()
    pod["spec"]["containers"][0]["resources"]["limits"] = {
        "cpu": "1000m",
        "memory": "4096Mi",
        "ephemeral-storage": "1Gi",
    }
    assert check_created(a_manifest(), pod) == []


def test_changed_resources_are_refused() -> None:
    for kind in ("requests", "limits"):
        for resource, amount in (("cpu", "500m"), ("memory", "1Gi"), ("cpu", None)):
            pod = a_pod()
            amounts = pod["spec"]["containers"][0]["resources"][kind]
            amounts.update({resource: amount}) if amount else amounts.pop(resource)
            with pytest.raises(
                RunError, match=rf"changed {kind}\.{resource} of Pod .* to {amount}; look for"
            ) as caught:
                check_created(a_manifest(), pod)
            assert caught.value.kind == "resources_changed"


@pytest.mark.parametrize("key", ["command", "args"])
def test_another_command_is_refused(key: str) -> None:
    pod = a_pod()
    pod["spec"]["containers"][0][key] = ["sh"]
    with pytest.raises(RunError, match=f"changed {key}") as caught:
        check_created(a_manifest(), pod)
    assert caught.value.kind == "manifest_changed"


def test_a_pod_without_our_container_is_refused() -> None:
    pod = a_pod()
    pod["spec"]["containers"][0]["name"] = "another"
    with pytest.raises(RunError, match="removed the container benchmark"):
        check_created(a_manifest(), pod)


def test_another_class_is_refused_and_what_was_added_is_named() -> None:
    pod = a_pod(qosClass="Burstable")
    pod["spec"]["containers"].insert(0, {"name": "istio-proxy"})
    pod["spec"]["initContainers"] = [{"name": "istio-init"}]
    with pytest.raises(
        RunError, match="Burstable, not Guaranteed: the containers istio-init, istio-proxy were"
    ) as caught:
        check_created(a_manifest(), pod)
    assert caught.value.kind == "not_guaranteed"


def test_what_need_not_spoil_the_measurement_is_told() -> None:
    pod = a_pod()
    pod["spec"]["containers"].append({"name": "proxy"})
    pod["spec"]["containers"][0].update(image="mirror.example.com/whisper", env=[{"name": "LD_PRELOAD", "value": "x"}])
    added, changed = check_created(a_manifest(), pod)
    assert (added["code"], changed["code"]) == ("containers_added", "manifest_changed")
    assert "proxy" in added["message"]
    assert "mirror.example.com/whisper" in changed["message"]
    assert "LD_PRELOAD" in changed["message"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("1000m", 1),
        ("0.5", Fraction(1, 2)),
        (".5", Fraction(1, 2)),
        ("250m", Fraction(1, 4)),
        ("4Gi", 2**32),
        ("4096Mi", 2**32),
        ("4G", 4 * 10**9),
        ("1e3", 1000),
        ("1E3", 1000),
        ("1E", 10**18),
        ("2Ei", 2**61),
        ("100n", Fraction(1, 10**7)),
        ("one", None),
        ("", None),
        (None, None),
        ("1 Gi", None),
        ("1KB", None),
    ],
)
def test_quantities(text: object, value: object) -> None:
    assert parse_quantity(text) == value
