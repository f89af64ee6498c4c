# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Pod of a run: its manifest, and whether the cluster made of it what it says.

Requests equal limits, the CPUs are whole and so is the memory: that makes the class Guaranteed, and where the kubelet's
CPU manager is static, the CPU exclusive. Nothing here talks to a cluster.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import typing as t
from dataclasses import dataclass, field, replace
from fractions import Fraction

from ._container import GRACE_SECONDS, Request, RunError, Warned, runner_arguments

if t.TYPE_CHECKING:
    from collections.abc import Mapping

Object = t.Dict[str, t.Any]

CONTAINER = "benchmark"
APPLICATION = "whisper-benchmark"
PREFIX = "whisper.rightsize.io/"
SELECTOR = f"app.kubernetes.io/name={APPLICATION},app.kubernetes.io/managed-by=rightsize.whisper"
# The user that the image is built for; Pod Security "restricted" wants it said as a number.
USER = 65532
# How long a Pod that is deleted may take to end its run; the runner needs a second.
STOP_SECONDS = 10
HOSTNAME_LABEL = "kubernetes.io/hostname"
NODE_ARCHITECTURES = {"x86_64": "amd64", "arm64": "arm64"}
AUDIO_FOLDER = "/audio"
RESUME_FLAG = "--resume-packed="
# A ConfigMap holds 1 MiB, its keys included.
MAX_AUDIO_BYTES = 1024 * 1024 - 4096
# The longest name that is also a host name.
MAX_NAME = 63
QUANTITY = re.compile(r"([+-]?\d+(?:\.\d*)?|[+-]?\.\d+)([numkMGTPE]|[KMGTPE]i|[eE][+-]?\d{1,3})?")
SUFFIXES = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
BINARY_SUFFIXES = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}


@dataclass(frozen=True)
class PodRequest:
    """What is asked of the cluster: a run, in each of so many Pods."""

    run: Request
    namespace: str
    memory: str
    image_ids: t.Tuple[str, ...] = ()
    pull_policy: str = "IfNotPresent"
    pull_secrets: t.Tuple[str, ...] = ()
    architecture: t.Optional[str] = None
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: t.Tuple[Object, ...] = ()
    priority_class: t.Optional[str] = None
    pods: int = 1
    distinct_nodes: bool = True
    schedule_seconds: int = 300
    start_seconds: int = 900
    grace_seconds: int = 45
    audio: t.Optional[t.Tuple[str, bytes]] = None
    # What an interrupted run had finished, packed for the runner; of the only Pod.
    earlier: t.Optional[str] = None

    @property
    def active_seconds(self) -> int:
        """After which time on its node the cluster ends a Pod by itself, should nobody look after it any more."""
        return self.start_seconds + self.run.timeout_seconds + GRACE_SECONDS

    @property
    def total_seconds(self) -> int:
        """After which time nobody waits for its result."""
        return self.schedule_seconds + self.active_seconds + 4 * GRACE_SECONDS

    def run_of(self, number: int) -> Request:
        """What is asked of the Pod of this number; several are runs of their own, combined afterwards."""
        if self.pods == 1:
            return self.run
        return replace(self.run, run_id=f"{self.run.run_id[:58].rstrip('-')}-p{number}")


def digest(request: PodRequest) -> str:
    """What tells requests apart that would give different Pods; equal for runs that differ in their id alone."""
    anonymous = replace(request, earlier=None, run=replace(request.run, run_id="any-run-id"))
    asked = [render(anonymous, number, "", 0) for number in range(1, request.pods + 1)]
    audio = hashlib.sha256(request.audio[1]).hexdigest() if request.audio else None
    return hashlib.sha256(json.dumps([asked, request.image_ids, audio], sort_keys=True).encode()).hexdigest()


def object_name(run_id: str, ending: str = "") -> str:
    """The name of an object of the run; an id that is too long is cut and told apart by its hash."""
    name = f"{APPLICATION}-{run_id}{ending}"
    if len(name) <= MAX_NAME:
        return name
    hashed = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{name[: MAX_NAME - 9].rstrip('-')}-{hashed}"


def manifest(request: PodRequest, number: int, owner: str, deadline: float) -> Object:
    """The Pod as it is sent, marked with what makes it known again."""
    made = render(request, number, owner, deadline)
    made["metadata"]["annotations"][f"{PREFIX}request"] = digest(request)
    return made


def render(request: PodRequest, number: int, owner: str, deadline: float) -> Object:
    run = request.run_of(number)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": object_name(run.run_id),
            "namespace": request.namespace,
            "labels": {
                "app.kubernetes.io/name": APPLICATION,
                "app.kubernetes.io/managed-by": "rightsize.whisper",
                f"{PREFIX}run": request.run.run_id,
                f"{PREFIX}pod": str(number),
                f"{PREFIX}owner": owner,
                # A second container would take CPU time, and end the class Guaranteed.
                "sidecar.istio.io/inject": "false",
                "kuma.io/sidecar-injection": "disabled",
            },
            "annotations": {
                f"{PREFIX}target": run.target,
                f"{PREFIX}run-id": run.run_id,
                f"{PREFIX}deadline": f"{deadline:.0f}",
                "linkerd.io/inject": "disabled",
                "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
                "karpenter.sh/do-not-disrupt": "true",
            },
        },
        "spec": {
            "restartPolicy": "Never",
            "activeDeadlineSeconds": request.active_seconds,
            "terminationGracePeriodSeconds": STOP_SECONDS,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            # It asks for no address, so it does not depend on the cluster's name service.
            "dnsPolicy": "Default",
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": USER,
                "runAsGroup": USER,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            **_placement(request),
            **({"imagePullSecrets": [{"name": name} for name in request.pull_secrets]} if request.pull_secrets else {}),
            "containers": [_container(request, run)],
            "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "256Mi"}}, *_audio_volumes(request)],
        },
    }


def earlier_of(pod: Object) -> t.Optional[str]:
    """What the Pod was given of an interrupted run."""
    arguments = (_named(pod, CONTAINER) or {}).get("args") or []
    given = [argument[len(RESUME_FLAG) :] for argument in arguments if argument.startswith(RESUME_FLAG)]
    return given[0] if given else None


def audio_config_map(request: PodRequest, pods: t.Sequence[Object]) -> Object:
    """The user's audio, owned by the Pods that mount it: the cluster removes it with the last of them."""
    _name, content = request.audio or ("", b"")
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": object_name(request.run.run_id, "-audio"),
            "namespace": request.namespace,
            "labels": {"app.kubernetes.io/name": APPLICATION, f"{PREFIX}run": request.run.run_id},
            "ownerReferences": [
                {"apiVersion": "v1", "kind": "Pod", "name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"]}
                for pod in pods
            ],
        },
        "binaryData": {"audio": base64.b64encode(content).decode()},
    }


def check_created(asked: Object, created: Object) -> t.List[Warned]:
    """Hold the object that the cluster made against the manifest: webhooks and a LimitRange may have changed it."""
    name = created["metadata"]["name"]
    ours = _named(created, CONTAINER)
    if ours is None:
        raise RunError("manifest_changed", f"the cluster removed the container {CONTAINER} from Pod {name}")
    wanted = asked["spec"]["containers"][0]
    for kind in ("requests", "limits"):
        for resource, quantity in wanted["resources"][kind].items():
            got = ((ours.get("resources") or {}).get(kind) or {}).get(resource)
            if parse_quantity(got) != parse_quantity(quantity):
                raise RunError(
                    "resources_changed",
                    f"the cluster changed {kind}.{resource} of Pod {name} from {quantity} to {got}; look for a "
                    "LimitRange or an admission webhook that does, and except the benchmark from it",
                )
    for key in ("command", "args"):
        if ours.get(key) != wanted[key]:
            raise RunError(
                "manifest_changed", f"an admission webhook of the cluster changed {key} of the benchmark in Pod {name}"
            )
    added = sorted(set(_container_names(created)) - {CONTAINER})
    quality = (created.get("status") or {}).get("qosClass")
    if quality != "Guaranteed":
        because = f": the containers {', '.join(added)} were added to it" if added else ""
        raise RunError(
            "not_guaranteed",
            f"Pod {name} is of QoS class {quality}, not Guaranteed{because}; except the namespace from what adds or "
            "changes containers",
        )
    return [*_warn_of_added(added), *_warn_of_changed(wanted, ours)]


def parse_quantity(text: object) -> t.Optional[Fraction]:
    """The value of a Kubernetes quantity such as 1, 500m, 4Gi or 1e3; None if it is none."""
    match = QUANTITY.fullmatch(str(text))
    if match is None:
        return None
    number, suffix = Fraction(match.group(1)), match.group(2) or ""
    if suffix in BINARY_SUFFIXES:
        return number * Fraction(2) ** BINARY_SUFFIXES[suffix]
    exponent = SUFFIXES[suffix] if suffix in SUFFIXES else int(suffix[1:] or 0)
    return number * Fraction(10) ** exponent


def _container(request: PodRequest, run: Request) -> Object:
    amounts = {"cpu": f"{run.cpus:g}", "memory": request.memory}
    arguments = runner_arguments(run, request.image_ids[0] if request.image_ids else run.image)
    if request.earlier:
        arguments.append(f"{RESUME_FLAG}{request.earlier}")
    mounts = [{"name": "tmp", "mountPath": "/tmp"}]
    if request.audio:
        arguments.append(f"--audio={AUDIO_FOLDER}/{request.audio[0]}")
        mounts.append({"name": "audio", "mountPath": AUDIO_FOLDER})
    return {
        "name": CONTAINER,
        "image": run.image,
        "imagePullPolicy": request.pull_policy,
        "command": ["python3", "-m", "bench_runner.pod"],
        "args": arguments,
        "resources": {"requests": dict(amounts), "limits": dict(amounts)},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": mounts,
        "terminationMessagePath": "/dev/termination-log",
        # A run that fails says why in the last line of its log.
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }


def _placement(request: PodRequest) -> Object:
    """Where the Pod may run: one benchmark disturbs another, so they keep apart where that can be had."""
    selector = {"kubernetes.io/os": "linux"}
    if request.architecture:
        selector["kubernetes.io/arch"] = NODE_ARCHITECTURES.get(request.architecture, request.architecture)
    apart: Object = {
        "preferredDuringSchedulingIgnoredDuringExecution": [
            {"weight": 100, "podAffinityTerm": _same_node({"app.kubernetes.io/name": APPLICATION})}
        ]
    }
    if request.pods > 1 and request.distinct_nodes:
        term = _same_node({f"{PREFIX}run": request.run.run_id})
        apart = {"requiredDuringSchedulingIgnoredDuringExecution": [term]}
    placement: Object = {
        "nodeSelector": {**selector, **request.node_selector},
        "affinity": {"podAntiAffinity": apart},
    }
    if request.tolerations:
        placement["tolerations"] = list(request.tolerations)
    if request.priority_class:
        placement["priorityClassName"] = request.priority_class
    return placement


def _same_node(labels: t.Dict[str, str]) -> Object:
    return {"topologyKey": HOSTNAME_LABEL, "labelSelector": {"matchLabels": labels}}


def _audio_volumes(request: PodRequest) -> t.List[Object]:
    if not request.audio:
        return []
    items = [{"key": "audio", "path": request.audio[0]}]
    return [
        {"name": "audio", "configMap": {"name": object_name(request.run.run_id, "-audio"), "items": items}},
    ]


def _named(pod: Object, name: str) -> t.Optional[Object]:
    containers = (pod.get("spec") or {}).get("containers") or []
    return next((container for container in containers if container.get("name") == name), None)


def _container_names(pod: Object) -> t.List[str]:
    spec = pod.get("spec") or {}
    return [
        str(container.get("name"))
        for kind in ("initContainers", "containers", "ephemeralContainers")
        for container in spec.get(kind) or []
    ]


def _warn_of_added(added: t.List[str]) -> t.List[Warned]:
    if not added:
        return []
    message = (
        f"the cluster added {', '.join(added)} to the Pod, which may disturb the measurement on its node; except the "
        "benchmark from what adds containers"
    )
    return [Warned(code="containers_added", message=message)]


def _warn_of_changed(wanted: Object, ours: Object) -> t.List[Warned]:
    """Changes that need not spoil the measurement, but that its reader should know of."""
    changes = []
    if ours.get("image") != wanted["image"]:
        changes.append(f"its image to {ours.get('image')}")
    if ours.get("env") or ours.get("envFrom"):
        names = [str(entry.get("name")) for entry in ours.get("env") or []] or ["from a ConfigMap or Secret"]
        changes.append(f"its environment ({', '.join(names)})")
    if not changes:
        return []
    message = f"an admission webhook of the cluster changed {' and '.join(changes)}; compare it with care"
    return [Warned(code="manifest_changed", message=message)]
