# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The life of a run in a cluster: what an earlier run left is taken up, Pods are made, watched, read out and removed.

A Pod is removed only after its result is on the disk. Where the cluster cannot be reached or the disk cannot be
written, it stays, and the next run of the target takes it up.
"""

from __future__ import annotations

import contextlib
import time
import typing as t
from dataclasses import replace

from ._caller import Caller
from ._combine import combine
from ._container import RunError, Warned
from ._kept_journal import KeptJournal
from ._kubernetes import Cluster, ClusterError
from ._pod_manifest import (
    PREFIX,
    SELECTOR,
    Object,
    PodRequest,
    audio_config_map,
    check_created,
    digest,
    earlier_of,
    manifest,
)
from ._pod_owner import NotKept, keep, target_turn
from ._pod_proof import check_image, complete, taints, where_measured
from ._pod_rescue import Rescue
from ._pod_watch import WatchedPod
from ._result import ResultError, check_result, read_result

if t.TYPE_CHECKING:
    from collections.abc import Iterator

TICK_SECONDS = 2.0
# What creates may fail for a moment, such as a webhook; longer, its message is worth more than the wait.
CREATE_PATIENCE_SECONDS = 20.0
RIGHTS = (("create", "pods"), ("get", "pods"), ("list", "pods"), ("delete", "pods"), ("get", "pods/log"))
AUDIO_RIGHT = ("create", "configmaps")
# The cluster cannot be asked to remove anything either.
OUT_OF_REACH = ("api_unreachable", "unauthorized")
Result = t.Dict[str, t.Any]


class GuaranteedRun:
    """One run; afterwards its attributes tell of it, however it ended."""

    def __init__(self, cluster: Cluster, request: PodRequest, caller: Caller, keep_folder: str) -> None:
        self.manifests: t.List[Object] = []
        self.result_file: t.Optional[str] = None
        self.adopted = False
        self._cluster = cluster
        self._request = request
        self._caller = caller
        self._keep_folder = keep_folder
        # Several Pods would need one each; those that still run are taken up in any case.
        self._kept = KeptJournal(request.run.journal if request.pods == 1 else None)
        self._rescue = Rescue(cluster, keep_folder)
        self._warnings: t.List[Warned] = []
        self._pods: t.List[WatchedPod] = []

    @property
    def warnings(self) -> t.List[Warned]:
        """What is to be said beside the warnings that the result carries."""
        return [*self._warnings, *self._rescue.warnings]

    @property
    def told(self) -> t.Dict[str, t.Any]:
        """What is to be told beside the result."""
        told: t.Dict[str, t.Any] = {
            "adopted": self.adopted,
            "rescued": self._rescue.rescued,
            "pods": [pod.facts for pod in self._pods],
        }
        if self.manifests:
            told["manifests"] = self.manifests
        if self.result_file:
            told["result_file"] = self.result_file
        else:
            furthest = max(self._pods, key=lambda pod: pod.journal.iterations, default=None)
            if furthest and furthest.journal.iterations:
                told["partial_journal"] = furthest.journal.text
        return told

    def rehearse(self) -> t.Tuple[t.List[Object], t.List[Object]]:
        """The manifests, and what the cluster would make of them by a dry run; it must be what a run needs."""
        self._check_rights()
        self.manifests = self._render("0" * 32)
        made = []
        for asked in self.manifests:
            created = self._create(asked, dryRun="All")
            self._warnings += check_created(asked, created)
            made.append(created)
        return self.manifests, made

    def execute(self) -> Result:
        """The result of the run, verified and on the disk; or an error of this layer or below."""
        self._check_rights()
        run = self._request.run
        with target_turn(self._cluster.server, self._request.namespace, run.target, self._caller) as owner:
            self._rescue.find_files(run.target)
            with self._cleaning_up():
                if not self._adopt(owner):
                    self._go_on()
                    self._make(owner)
                self._provide_audio()
                self._watch()
                result = self._conclude()
                self.result_file = keep(self._keep_folder, result)
                self._caller.say("finished, removing the Pod")
        return result

    @contextlib.contextmanager
    def _cleaning_up(self) -> Iterator[None]:
        """Remove the Pods in every outcome but those in which they hold what is wanted and cannot be had now."""
        try:
            yield
        except NotKept as error:
            self._leave(str(error))
            raise
        except ClusterError as error:
            if error.kind in OUT_OF_REACH and self._pods:
                self._leave(error.kind)
            else:
                self._give_up()
            raise
        except BaseException:
            self._give_up()
            raise
        self._rescue.remove(self._pods)

    def _check_rights(self) -> None:
        """Before anything is created."""
        self._cluster.require([*RIGHTS, AUDIO_RIGHT] if self._request.audio else RIGHTS, self._request.namespace)

    def _adopt(self, owner: str) -> bool:
        """Take up the Pods of a killed run that asked for the same; save what others have finished, and remove them."""
        left: t.Dict[str, t.List[WatchedPod]] = {}
        selector = f"{SELECTOR},{PREFIX}owner={owner}"
        for pod in self._cluster.get(self._pods_path, labelSelector=selector).get("items") or []:
            run_id = pod["metadata"]["labels"].get(f"{PREFIX}run", "")
            request = replace(self._request, run=replace(self._request.run, run_id=run_id))
            left.setdefault(run_id, []).append(WatchedPod(self._cluster, request, pod))
        chosen = next((run_id for run_id, pods in left.items() if self._can_adopt(pods)), None)
        for run_id, pods in left.items():
            if run_id != chosen:
                self._caller.say("removing what an earlier run has left")
                self._rescue.save_finished(pods)
                self._rescue.remove(pods)
        if chosen is None:
            return False
        self._request = replace(self._request, run=replace(self._request.run, run_id=chosen))
        self._pods = sorted(left[chosen], key=lambda pod: pod.number)
        self._request = replace(self._request, earlier=earlier_of(self._pods[0].pod))
        self.manifests = self._render(owner)
        self.adopted = True
        for asked, pod in zip(self.manifests, self._pods):
            pod.warnings += check_created(asked, pod.pod)
        return True

    def _can_adopt(self, pods: t.List[WatchedPod]) -> bool:
        wanted = digest(self._request)
        return sorted(pod.number for pod in pods) == list(range(1, self._request.pods + 1)) and all(
            pod.pod["metadata"]["annotations"].get(f"{PREFIX}request") == wanted
            and not self._rescue.has_result_of(pod)
            and not pod.pod["metadata"].get("deletionTimestamp")
            and (pod.has_result or not pod.is_over)
            for pod in pods
        )

    def _go_on(self) -> None:
        """Hand on what an interrupted run had finished, if that was asked for; else begin anew."""
        if not self._request.run.resume:
            self._kept.forget()
        elif self._request.pods > 1:
            self._warn("not_resumed", f"{self._request.pods} Pods that are gone cannot be gone on from: measured anew")
        else:
            self._request = replace(self._request, earlier=self._kept.packed())

    def _make(self, owner: str) -> None:
        self.manifests = self._render(owner)
        for asked in self.manifests:
            created = self._create(asked)
            self._pods.append(WatchedPod(self._cluster, self._request, created))
            self._pods[-1].warnings += check_created(asked, created)

    def _provide_audio(self) -> None:
        """After the Pods, which own it; they wait for it to be there."""
        if not self._request.audio:
            return
        body = audio_config_map(self._request, [pod.pod for pod in self._pods])
        try:
            self._cluster.post(f"/api/v1/namespaces/{self._request.namespace}/configmaps", body)
        except ClusterError as error:
            # Made by an attempt whose answer was lost, or by a run that was killed.
            if error.status != 409:
                raise

    def _render(self, owner: str) -> t.List[Object]:
        deadline = time.time() + self._request.total_seconds
        return [manifest(self._request, number, owner, deadline) for number in range(1, self._request.pods + 1)]

    def _create(self, asked: Object, **query: str) -> Object:
        """The Pod as the cluster made it; that of an earlier attempt whose answer was lost is as good."""
        patience = self._cluster.patience_seconds
        self._cluster.patience_seconds = CREATE_PATIENCE_SECONDS
        try:
            return self._cluster.post(self._pods_path, asked, **query)
        except ClusterError as error:
            if error.status != 409:
                raise
            name = asked["metadata"]["name"]
            there = self._cluster.get(f"{self._pods_path}/{name}")
            if (
                there["metadata"].get("labels", {}).get(f"{PREFIX}owner")
                != asked["metadata"]["labels"][f"{PREFIX}owner"]
            ):
                raise RunError(
                    "run_id_taken", f"there is a Pod {name} of somebody else; give another run_id"
                ) from error
            return there
        finally:
            self._cluster.patience_seconds = patience

    def _watch(self) -> None:
        while True:
            for pod in self._pods:
                with self._naming(pod):
                    pod.refresh()
                    self._warnings += self._kept.keep(pod.journal)
                    if pod.is_over and not pod.has_result:
                        pod.collect()
            self._caller.say(" | ".join(f"{self._title(pod)}{pod.words}" for pod in self._pods))
            if all(pod.is_over for pod in self._pods):
                return
            self._caller.pause(TICK_SECONDS)

    def _title(self, pod: WatchedPod) -> str:
        return f"Pod {pod.number}: " if self._request.pods > 1 else ""

    @contextlib.contextmanager
    def _naming(self, pod: WatchedPod) -> Iterator[None]:
        """Say of which Pod an error is, where there are several."""
        try:
            yield
        except RunError as error:
            pod.is_refused = True
            if self._request.pods == 1:
                raise
            raise RunError(error.kind, f"Pod {pod.number} of {self._request.pods}: {error}") from error

    def _conclude(self) -> Result:
        results = []
        for pod in self._pods:
            with self._naming(pod):
                results.append(self._read_result(pod))
        if len(results) == 1:
            return results[0]
        try:
            combined = combine(self._request.run.run_id, results)
            check_result(combined, {"partial": False})
        except ResultError as error:
            raise RunError(error.kind, str(error)) from error
        return combined

    def _read_result(self, pod: WatchedPod) -> Result:
        try:
            document, warnings = pod.collect()
            # What it has from an earlier run took none of its time.
            elapsed = pod.look.ended.seconds if pod.look.ended and not self._request.earlier else None
            # Both ends of the container's life are told in whole seconds.
            result = read_result(document, pod.run.expected_result, None if elapsed is None else elapsed + 1)
        except ResultError as error:
            raise RunError(
                error.kind,
                f"{error}; it came from Pod {pod.name} with image {pod.run.image}: rebuild that, or run again",
            ) from error
        where = where_measured(self._cluster, pod.pod)
        tainted = taints(self._request, result, where)
        if tainted:
            result["isolated"] = False
        unproven = check_image(self._request, pod.pod)
        return complete(result, pod.run, where, [*pod.warnings, *warnings, *tainted, *unproven])

    def _give_up(self) -> None:
        """Leave nothing behind but what cannot be saved now."""
        try:
            self._rescue.save_finished(self._pods)
        except (ClusterError, NotKept) as error:
            self._leave(str(error))
        else:
            self._rescue.remove(self._pods)

    def _leave(self, reason: str) -> None:
        names = ", ".join(pod.name for pod in self._pods)
        self._warn("pod_left", f"Pod {names} stays ({reason}); the next run of this target takes it up")

    def _warn(self, code: str, message: str) -> None:
        self._warnings.append(Warned(code=code, message=message))

    @property
    def _pods_path(self) -> str:
        return f"/api/v1/namespaces/{self._request.namespace}/pods"
