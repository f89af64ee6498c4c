# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a result was measured, and whether that is what was asked for: the Pod's node, its image, its one CPU."""

from __future__ import annotations

import re
import typing as t

from ._container import Request, RunError, Warned, architecture
from ._kubernetes import Cluster, ClusterError
from ._pod_manifest import Object, PodRequest
from ._pod_state import image_id

# Labels of a node that say what machine it is.
NODE_LABELS = {
    "node.kubernetes.io/instance-type": "instance_type",
    "topology.kubernetes.io/region": "region",
    "topology.kubernetes.io/zone": "zone",
}
# What Node Feature Discovery says of the CPU.
FEATURE_PREFIX = "feature.node.kubernetes.io/cpu-"
MAX_FEATURES = 100
HASH = re.compile(r"[0-9a-f]{64}")

Result = t.Dict[str, t.Any]


def check_image(request: PodRequest, pod: Object) -> t.List[Warned]:
    """Refuse what is not the image that was built; warn where that cannot be told."""
    running = image_id(pod)
    wanted = {image.rpartition(":")[2] for image in request.image_ids}
    found = HASH.findall(running)
    if wanted and found and not wanted.intersection(found):
        raise RunError(
            "wrong_image",
            f"node {pod['spec'].get('nodeName')} runs {running} as {request.run.image}, not the image that was built "
            f"({', '.join(request.image_ids)}); deliver it again, under a name of its own",
        )
    if wanted and found:
        return []
    why = f"the node calls it {running!r}" if wanted else "it is not known which was built"
    return [Warned(code="image_unproven", message=f"that the Pod ran the image that was built is not proven: {why}")]


def where_measured(cluster: Cluster, pod: Object) -> Object:
    """The Pod and its node; what may not be read is said to be absent."""
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    where: Object = {
        "namespace": pod["metadata"].get("namespace"),
        "pod": pod["metadata"]["name"],
        "node": spec.get("nodeName"),
        "qos_class": status.get("qosClass"),
        "runtime_class": spec.get("runtimeClassName"),
        "image_id": image_id(pod),
        "absent": [],
    }
    try:
        where["server_version"] = cluster.get("/version").get("gitVersion")
    except ClusterError as error:
        where["absent"].append(f"server_version: {error.kind}")
    try:
        where.update(_node_facts(cluster.get(f"/api/v1/nodes/{where['node']}")))
    except ClusterError as error:
        where["absent"].append(f"details of the node: {error.kind}")
    return where


def complete(result: Result, run: Request, where: Object, warnings: t.List[Warned]) -> Result:
    """The result with where it was measured, and with what is to be said about that."""
    mode = (result.get("isolation") or {}).get("mode")
    result["kubernetes"] = {**where, "cpu_manager": "exclusive" if mode in ("cpuset", "both") else "shared"}
    result["image"] = {**(result.get("image") or {}), "name": run.image, "node_image_id": where["image_id"]}
    known = {warning.get("code") for warning in result.get("warnings") or []}
    result["warnings"] = [
        *(result.get("warnings") or []),
        *(warning for warning in warnings if warning["code"] not in known),
    ]
    return result


def taints(request: PodRequest, result: Result, where: Object) -> t.List[Warned]:
    """What the result says of where it was measured, against what was asked for."""
    found: t.List[Warned] = []
    isolation = result.get("isolation") or {}
    measured_on = architecture(str(result.get("architecture")))
    for wanted, whose in ((where.get("architecture"), "its node has"), (request.architecture, "was asked for")):
        if wanted and architecture(wanted) != measured_on:
            raise RunError(
                "wrong_architecture",
                f"the result was measured on {measured_on} where {whose} {architecture(wanted)}: the container was "
                "emulated, so build the image for the node",
            )
    if isolation.get("emulated"):
        found.append(Warned(code="emulated", message=f"{measured_on} was emulated; the figures say nothing about it"))
    if result.get("cpu_limit") != request.run.cpus:
        found.append(
            Warned(
                code="cpu_limit_mismatch",
                message=f"the container found a CPU limit of {result.get('cpu_limit')} where {request.run.cpus:g} was "
                f"set: the kubelet of {where.get('node')} does not enforce it (cpuCFSQuota), so select nodes that do",
            )
        )
    elif not result.get("isolated"):
        found.append(Warned(code="not_isolated", message="the runner found itself not isolated; distrust the figures"))
    return found


def _node_facts(node: Object) -> Object:
    info = (node.get("status") or {}).get("nodeInfo") or {}
    labels = (node.get("metadata") or {}).get("labels") or {}
    features = {name: labels[name] for name in sorted(labels) if name.startswith(FEATURE_PREFIX)}
    return {
        "kubelet_version": info.get("kubeletVersion"),
        "container_runtime": info.get("containerRuntimeVersion"),
        "operating_system": info.get("osImage"),
        "kernel": info.get("kernelVersion"),
        "architecture": info.get("architecture"),
        "cpus": ((node.get("status") or {}).get("capacity") or {}).get("cpu"),
        **{short: labels.get(name) for name, short in NODE_LABELS.items()},
        "features": dict(list(features.items())[:MAX_FEATURES]),
    }
