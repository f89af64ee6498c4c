# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading the status of a Pod: how far it is, what keeps it, why it ended.

The container of the benchmark is judged, never the phase: a container that was added to the Pod may never end, and a
Pod that its node refused has no container at all. Nothing here talks to a cluster.
"""

from __future__ import annotations

import datetime
import typing as t

from ._container import FAILURES, RunError, format_memory
from ._kubernetes import one_line
from ._pod_manifest import CONTAINER, Object, PodRequest

Stage = t.Literal["scheduling", "starting", "running", "ended", "failed"]

IMAGE_REASONS = {
    "ErrImagePull",
    "ImagePullBackOff",
    "ErrImageNeverPull",
    "InvalidImageName",
    "ImageInspectError",
    "RegistryUnavailable",
    "SignatureValidationFailed",
}
CONTAINER_REASONS = {
    "CreateContainerConfigError",
    "CreateContainerError",
    "PreCreateHookError",
    "PreStartHookError",
    "RunContainerError",
}
# The reason of a container that ended before its program began.
START_FAILURES = ("ContainerCannotRun", "StartError")
# What a Pod says when it was ended from outside: the reason of the Pod, or of its condition DisruptionTarget.
DISRUPTIONS = {
    "Evicted": "evicted",
    "TerminationByKubelet": "evicted",
    "EvictionByEvictionAPI": "evicted",
    "DeletionByTaintManager": "node_lost",
    "DeletionByPodGC": "node_lost",
    "NodeLost": "node_lost",
    "Preempting": "preempted",
    "PreemptionByScheduler": "preempted",
    "PreemptionByKubeScheduler": "preempted",
    "NodeShutdown": "evicted",
    "Shutdown": "evicted",
    "Terminated": "evicted",
}
# What a shell calls the end by SIGINT, SIGKILL and SIGTERM.
KILLED_CODES = (130, 137, 143)


class Ended(t.NamedTuple):
    """The end of the benchmark's container."""

    exit_code: int
    reason: str
    message: str
    seconds: t.Optional[float]


class Problem(t.NamedTuple):
    """Something that seldom mends itself, in the cluster's words."""

    kind: str
    message: str


class Look(t.NamedTuple):
    """What one look at a Pod tells."""

    stage: Stage
    words: str
    problem: t.Optional[Problem] = None
    ended: t.Optional[Ended] = None


def look_at(pod: Object) -> Look:
    """How far the Pod is."""
    status = pod.get("status") or {}
    container = _container_status(status)
    state = container.get("state") or {}
    if state.get("terminated") is not None:
        return Look("ended", "ended, reading the result", ended=_ended(state["terminated"]))
    if status.get("phase") in ("Failed", "Succeeded"):
        return Look("failed", one_line(status.get("reason") or status["phase"]))
    if state.get("running") is not None:
        return Look("running", "loading")
    if not (pod.get("spec") or {}).get("nodeName"):
        return Look("scheduling", *_scheduling(status))
    return Look("starting", *_starting(container, state, status))


def image_id(pod: Object) -> str:
    """What the kubelet says that it runs: `docker://sha256:…`, `registry/name@sha256:…` or `sha256:…`."""
    return str(_container_status(pod.get("status") or {}).get("imageID") or "")


def why_no_result(request: PodRequest, pod: Object, said: str, how_far: str, elapsed: float) -> RunError:
    """Why a Pod ended without a result: what ended it from outside, else the runner's own words."""
    status = pod.get("status") or {}
    ended = look_at(pod).ended
    name = pod["metadata"]["name"]
    words = one_line(status.get("message") or "")
    if ended and (ended.reason == "OOMKilled" or ended.exit_code == 5):
        limit = format_memory(request.run.memory_bytes)
        return RunError("out_of_memory", f"out of memory{how_far} at the limit of {limit}; raise memory{_after(said)}")
    if status.get("reason") == "DeadlineExceeded":
        return _timed_out(request, how_far)
    disruption = disruption_of(pod)
    if disruption is not None:
        return RunError(
            disruption.kind, f"Pod {name} was ended by the cluster{how_far} ({disruption.message}); run again"
        )
    if ended is None:
        return RunError("node_refused", _refusal(name, str(status.get("reason") or "no reason"), words))
    if "exec format error" in f"{ended.message} {said}":
        node = (pod.get("spec") or {}).get("nodeName")
        return RunError(
            "wrong_architecture",
            f"node {node} cannot run the programs of image {request.run.image}: they are of another architecture; build "
            "the image for it or select other nodes",
        )
    if ended.reason in START_FAILURES:
        return RunError(
            "container_error",
            f"the container of Pod {name} cannot start ({one_line(ended.message)}); check that {request.run.image} is a "
            "runner image",
        )
    if ended.exit_code in KILLED_CODES or (ended.exit_code == 6 and elapsed < request.run.timeout_seconds):
        return RunError(
            "pod_killed", f"the container was stopped from outside{how_far} (exit code {ended.exit_code}); run again"
        )
    if ended.exit_code == 6:
        return _timed_out(request, how_far)
    reason = said or f"the runner ended with code {ended.exit_code} ({ended.reason}){how_far}"
    return RunError(FAILURES.get(ended.exit_code, "runner_error"), reason)


def disruption_of(pod: Object) -> t.Optional[Problem]:
    """Who ended, or is about to end, the Pod from outside."""
    status = pod.get("status") or {}
    target = _condition(status, "DisruptionTarget")
    if target.get("status") == "True":
        kind = DISRUPTIONS.get(str(target.get("reason")), "evicted")
        return Problem(kind, one_line(f"{target.get('reason')}: {target.get('message')}"))
    kind = DISRUPTIONS.get(str(status.get("reason")), "")
    return Problem(kind, one_line(f"{status.get('reason')}: {status.get('message') or ''}")) if kind else None


def is_being_deleted(pod: Object) -> bool:
    return bool(pod["metadata"].get("deletionTimestamp"))


def _timed_out(request: PodRequest, how_far: str) -> RunError:
    return RunError(
        "timed_out",
        f"the run did not end within {request.run.timeout_seconds} s{how_far}; raise timeout or lower iterations",
    )


def _refusal(name: str, reason: str, words: str) -> str:
    remedy = "select other nodes"
    if reason == "SMTAlignmentError":
        remedy = "its kubelet gives out whole cores only, so ask for 2 CPUs with 1 thread"
    elif reason.startswith("OutOf"):
        remedy = "free some of it or select other nodes, and run again"
    return f"the node refused Pod {name} ({reason}: {words}); {remedy}"


def _after(said: str) -> str:
    return f": {said}" if said else ""


def _container_status(status: Object) -> Object:
    found = status.get("containerStatuses") or []
    return next((container for container in found if container.get("name") == CONTAINER), {})


def _condition(status: Object, kind: str) -> Object:
    return next((entry for entry in status.get("conditions") or [] if entry.get("type") == kind), {})


def _ended(terminated: Object) -> Ended:
    started, finished = _time(terminated.get("startedAt")), _time(terminated.get("finishedAt"))
    seconds = None if started is None or finished is None else (finished - started).total_seconds()
    code = terminated.get("exitCode")
    return Ended(
        code if isinstance(code, int) else 1,
        str(terminated.get("reason") or ""),
        str(terminated.get("message") or ""),
        seconds,
    )


def _scheduling(status: Object) -> t.Tuple[str, t.Optional[Problem]]:
    condition = _condition(status, "PodScheduled")
    words = one_line(condition.get("message") or "")
    if condition.get("status") != "False" or not words:
        return "waiting for a node", None
    return f"waiting for a node: {words}", Problem("unschedulable", words)


def _starting(container: Object, state: Object, status: Object) -> t.Tuple[str, t.Optional[Problem]]:
    waiting = state.get("waiting") or {}
    reason = str(waiting.get("reason") or "")
    words = one_line(waiting.get("message") or "")
    for kind, reasons in (("image_pull", IMAGE_REASONS), ("container_error", CONTAINER_REASONS)):
        if reason in reasons:
            return f"starting: {reason}", Problem(kind, f"{reason}: {words}")
    for other in status.get("initContainerStatuses") or []:
        # One that the cluster added, and that may hold ours up.
        if not (other.get("state") or {}).get("terminated"):
            return f"starting, after the added container {one_line(other.get('name'))}", None
    return "fetching the image and starting", None


def _time(text: object) -> t.Optional[datetime.datetime]:
    try:
        return datetime.datetime.strptime(str(text), "%Y-%m-%dT%H:%M:%SZ")
    except ValueError:
        return None
