# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pods that killed runs have left: what they have finished is written down, then they are removed."""

from __future__ import annotations

import contextlib
import re
import time
import typing as t

from ._container import RUN_ID_PATTERN, Request, RunError, Warned
from ._kubernetes import Cluster, one_line
from ._pod_manifest import PREFIX, SELECTOR, Object, PodRequest
from ._pod_owner import keep, unrecorded
from ._pod_proof import complete, where_measured
from ._pod_watch import WatchedPod
from ._result import ResultError, read_result

if t.TYPE_CHECKING:
    from collections.abc import Iterator

# Removing must not take long, also where nobody waits any more.
PATIENCE_SECONDS = 20.0

Rescued = t.Dict[str, t.Any]


class Rescue:
    """Saves what Pods have finished, and removes them; what was done is in `rescued`, `removed` and `warnings`."""

    def __init__(self, cluster: Cluster, folder: str) -> None:
        self.rescued: t.List[Rescued] = []
        self.removed: t.List[str] = []
        self.warnings: t.List[Warned] = []
        self._cluster = cluster
        self._folder = folder

    def find_files(self, target: str) -> None:
        """Results of the target that an earlier run wrote down, and that nobody recorded before it was killed."""
        for path, found in unrecorded(self._folder, target):
            if isinstance(found, str):
                self.warnings.append(Warned(code="damaged_file", message=f"{path} is left alone: {found}"))
            else:
                self.rescued.append({"run_id": found["run_id"], "file": path, "result": found})

    def save_finished(self, pods: t.List[WatchedPod]) -> None:
        """Write down the results of those that have one, and were not refused; NotKept where that cannot be done."""
        with self._unattended():
            for pod in pods:
                with contextlib.suppress(RunError):
                    pod.refresh()
                if pod.has_result and not pod.is_refused and not self.has_result_of(pod):
                    self._save(pod)

    def has_result_of(self, pod: WatchedPod) -> bool:
        """Whether the result of the Pod, or of the run that it was one of several in, was found or written already."""
        return any(known["run_id"] in (pod.run.run_id, pod.run_label) for known in self.rescued)

    def remove(self, pods: t.List[WatchedPod]) -> None:
        with self._unattended():
            for pod in pods:
                left = pod.delete()
                if left is None:
                    self.removed.append(pod.name)
                else:
                    self.warnings.append(left)

    def _save(self, pod: WatchedPod) -> None:
        try:
            if not re.fullmatch(RUN_ID_PATTERN, pod.run.run_id):
                raise ResultError("garbled_result", "its run id is none")
            document, warnings = pod.collect()
            result = read_result(document, {"run_id": pod.run.run_id, "partial": False})
        except (ResultError, RunError) as error:
            message = f"Pod {pod.name} has finished, but its result is lost: {error}"
            self.warnings.append(Warned(code="not_rescued", message=message))
            return
        message = "its run was broken off, so it was not held against what was asked for"
        where = where_measured(self._cluster, pod.pod)
        result = complete(result, pod.run, where, [*warnings, Warned(code="rescued", message=message)])
        path = keep(self._folder, result)
        self.rescued.append({"run_id": result["run_id"], "file": path, "result": result})

    @contextlib.contextmanager
    def _unattended(self) -> Iterator[None]:
        """Whether anybody still waits does not matter here."""
        cluster = self._cluster
        before = cluster.pause, cluster.patience_seconds
        cluster.pause, cluster.patience_seconds = time.sleep, PATIENCE_SECONDS
        try:
            yield
        finally:
            cluster.pause, cluster.patience_seconds = before


def pods_of_killed_runs(
    cluster: Cluster, namespace: str, owner: t.Optional[str], everything: bool
) -> t.List[WatchedPod]:
    """The benchmark's Pods in the namespace that nobody waits for.

    Those are the ones of `owner`, whose lock the caller holds, and of anybody once their deadline has passed; or all.
    """
    listed = cluster.get(f"/api/v1/namespaces/{namespace}/pods", labelSelector=SELECTOR).get("items") or []
    return [
        WatchedPod(cluster, request_of(pod, namespace), pod) for pod in listed if everything or _is_orphan(pod, owner)
    ]


def request_of(pod: Object, namespace: str) -> PodRequest:
    """What is known of the request that made a Pod, from the Pod."""
    metadata, spec = pod["metadata"], pod["spec"]
    image = next((container["image"] for container in spec["containers"]), "")
    run = Request(
        image=one_line(image),
        target=one_line(metadata.get("annotations", {}).get(f"{PREFIX}target", "")),
        run_id=metadata["labels"].get(f"{PREFIX}run", ""),
        model="",
        iterations=0,
        processes=0,
        threads=0,
        warmup=0,
        cpus=1,
        memory_bytes=0,
        timeout_seconds=spec.get("activeDeadlineSeconds") or 0,
    )
    return PodRequest(run=run, namespace=namespace, memory="")


def _is_orphan(pod: Object, owner: t.Optional[str]) -> bool:
    if owner is not None and pod["metadata"]["labels"].get(f"{PREFIX}owner") == owner:
        return True
    deadline = pod["metadata"].get("annotations", {}).get(f"{PREFIX}deadline", "")
    return not deadline.isdigit() or time.time() > int(deadline)
