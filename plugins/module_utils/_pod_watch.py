# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One Pod of a run: looked at every few seconds against our own clocks, read out, removed.

While it runs, the end of its log is read too: that shows how far it is, and keeps what it has finished should it vanish.
"""

from __future__ import annotations

import time
import typing as t
from dataclasses import replace

from ._container import GRACE_SECONDS, RunError, Warned
from ._kubernetes import ClusterError, one_line
from ._pod_manifest import CONTAINER, PREFIX, STOP_SECONDS, Object, PodRequest
from ._pod_proof import check_image
from ._pod_result import Carried, receive
from ._pod_state import disruption_of, image_id, is_being_deleted, look_at, why_no_result
from ._progress import Journal

if t.TYPE_CHECKING:
    from ._kubernetes import Cluster

LOG_SECONDS = 4.0
# An API server asks the kubelet for a log, and waits long for one that does not answer.
LOG_PAUSE_SECONDS = 15.0
# More lines than a run writes between two looks.
TAIL_LINES = 200
# The events of 10,000 iterations and the largest result.
MAX_LOG_LINES = 40_000
MAX_LOG_BYTES = 32 * 1024 * 1024
LOG_PATIENCE_SECONDS = 60.0
# Of a Pod that has failed, the log would only tell more about it.
FAILED_LOG_PATIENCE_SECONDS = 10.0
# Above the time that a container may take to stop.
DELETE_PATIENCE_SECONDS = STOP_SECONDS + 50.0
DELETE_LOOK_SECONDS = 0.5
# How long a Pod may be gone-to-be before its node counts as lost.
GONE_SECONDS = STOP_SECONDS + 30.0


class WatchedPod:
    """A Pod that exists; `pod` is the object as it was last seen."""

    def __init__(self, cluster: Cluster, request: PodRequest, pod: Object) -> None:
        self.pod = pod
        self.look = look_at(pod)
        self.number = int(pod["metadata"]["labels"].get(f"{PREFIX}pod", "1"))
        run_id = pod["metadata"]["annotations"].get(f"{PREFIX}run-id", "")
        self.run = replace(request.run, run_id=run_id)
        self.journal = Journal(self.run.run_id)
        self.warnings: t.List[Warned] = []
        self.is_refused = False
        self._cluster = cluster
        self._request = request
        self._last_line = b""
        self._next_log = 0.0
        self._since: t.Dict[str, float] = {}
        self._words: t.Dict[str, str] = {}

    @property
    def name(self) -> str:
        return t.cast(str, self.pod["metadata"]["name"])

    @property
    def run_label(self) -> str:
        """The id of the run; where that has several Pods, each has an id of its own besides."""
        return t.cast(str, self.pod["metadata"]["labels"].get(f"{PREFIX}run", ""))

    @property
    def words(self) -> str:
        """How far it is, in a few words."""
        if self.look.stage == "running" and self.journal.words:
            return self.journal.words
        return self.look.words

    @property
    def is_over(self) -> bool:
        return self.look.stage in ("ended", "failed")

    @property
    def has_result(self) -> bool:
        return self.look.ended is not None and self.look.ended.exit_code == 0

    @property
    def facts(self) -> Object:
        """What is known of the Pod, for whoever looks into a failure."""
        ended = self.look.ended
        return {
            "name": self.name,
            "namespace": self.pod["metadata"].get("namespace"),
            "uid": self.pod["metadata"].get("uid"),
            "node": (self.pod.get("spec") or {}).get("nodeName"),
            "qos_class": (self.pod.get("status") or {}).get("qosClass"),
            "image_id": image_id(self.pod),
            "stage": self.look.stage,
            "exit_code": ended.exit_code if ended else None,
        }

    def refresh(self) -> None:
        """Look at it; a `RunError` says that there will be no result."""
        self._see()
        if self.is_over:
            return
        if self.look.stage == "running":
            check_image(self._request, self.pod)
            self._read_end_of_log()
        self._check_clocks()

    def collect(self) -> Carried:
        """The result that the Pod has left, verified on its way; or a `RunError` or `ResultError`."""
        log = self._whole_log()
        ended = self.look.ended
        if ended is None or ended.exit_code != 0:
            raise self.failure()
        return receive(log, ended.message, self.run.run_id)

    def failure(self) -> RunError:
        """Why it ended without a result."""
        if is_being_deleted(self.pod):
            return self._vanished()
        elapsed = self.look.ended.seconds if self.look.ended else None
        return why_no_result(self._request, self.pod, self._said(), self.how_far(), elapsed or 0.0)

    def _said(self) -> str:
        """The runner's last words: from its log, or from the end of it that the kubelet kept as termination message."""
        kept = self._journal_of(self.look.ended.message.encode() if self.look.ended else b"")
        for journal in (self.journal, kept):
            words = (journal.error or {}).get("message") or journal.last_words
            if words:
                return one_line(words)
        return ""

    def how_far(self) -> str:
        if not self.journal.words:
            return ""
        return f" after {self.journal.iterations} {self.run.iterations_in_words}"

    def delete(self) -> t.Optional[Warned]:
        """Remove it and wait until it is gone; a warning where that cannot be done."""
        try:
            self._delete()
            deadline = time.monotonic() + DELETE_PATIENCE_SECONDS
            while time.monotonic() < deadline:
                if self._get()["metadata"].get("uid") != self.pod["metadata"].get("uid"):
                    return None
                time.sleep(DELETE_LOOK_SECONDS)
        except ClusterError as error:
            if error.status in (404, 409):
                return None
            return self._left(str(error))
        return self._left("its node does not confirm that it ended")

    def _see(self) -> None:
        before = self.pod
        try:
            pod = self._get()
        except ClusterError as error:
            if error.status == 404:
                raise self._vanished() from error
            raise
        if pod["metadata"].get("uid") != before["metadata"].get("uid"):
            raise self._vanished()
        self.pod = pod
        self.look = look_at(pod)

    def _check_clocks(self) -> None:
        """Hold each stage, and each trouble, against its own deadline."""
        stage, problem = self.look.stage, self.look.problem
        if is_being_deleted(self.pod) and self._lasts("deletion", GONE_SECONDS):
            raise RunError(
                "node_lost",
                f"Pod {self.name} was deleted but its node {self.facts['node']} does not confirm that it ended"
                f"{self.how_far()}; look after the node and run again",
            )
        if problem is not None and stage == "starting":
            # "Back-off pulling image" tells less than what came before it.
            words = self._words.setdefault(problem.kind, problem.message)
            if len(problem.message) > len(words):
                self._words[problem.kind] = problem.message
            if self._lasts(problem.kind, self._request.grace_seconds):
                raise self._stuck(problem.kind)
        if stage == "scheduling" and self._lasts(stage, self._request.schedule_seconds):
            raise self._unscheduled()
        if stage == "starting" and self._lasts(stage, self._request.start_seconds):
            raise RunError(
                "start_timed_out",
                f"Pod {self.name} did not start on node {self.facts['node']} within {self._request.start_seconds} s"
                f"{self._last_event()}; mend that or raise start_timeout",
            )
        if stage == "running" and self._lasts(stage, self.run.timeout_seconds + 4 * GRACE_SECONDS):
            raise RunError(
                "timed_out",
                f"Pod {self.name} did not end within {self.run.timeout_seconds} s{self.how_far()}, nor did its node "
                f"{self.facts['node']} end it; look after the node, raise timeout or lower iterations",
            )

    def _lasts(self, what: str, seconds: float) -> bool:
        """Whether `what` was first seen longer ago than that."""
        now = time.monotonic()
        return now - self._since.setdefault(what, now) > seconds

    def _stuck(self, kind: str) -> RunError:
        remedy = {
            "image_pull": f"deliver the image {self.run.image} to the node's registry or runtime "
            "(benchmark_image_delivery), and give pull secrets where the registry asks for them",
            "container_error": "mend that and run again",
        }[kind]
        where = f"node {self.facts['node']} cannot start Pod {self.name}"
        return RunError(kind, f"{where} ({self._words[kind]}); {remedy}")

    def _unscheduled(self) -> RunError:
        words = self.look.problem.message if self.look.problem else "the scheduler has said nothing"
        return RunError(
            "unschedulable",
            f"no node took Pod {self.name} within {self._request.schedule_seconds} s ({words}); check node_selector and "
            "tolerations, ask for less memory, or add a node",
        )

    def _vanished(self) -> RunError:
        disruption = disruption_of(self.pod)
        kind, because = (disruption.kind, disruption.message) if disruption else ("pod_vanished", "")
        return RunError(
            kind,
            f"Pod {self.name} was deleted{self.how_far()}, "
            f"{because or 'by somebody else or because its node was drained'}; run again",
        )

    def _last_event(self) -> str:
        """The last warning among the Pod's events, where they may be read."""
        selector = f"involvedObject.uid={self.pod['metadata']['uid']}"
        path = f"/api/v1/namespaces/{self._request.namespace}/events"
        try:
            events = self._cluster.get(path, fieldSelector=selector, limit=100).get("items") or []
        except ClusterError:
            return " (its events, which may not be read, would tell why)"
        messages = [event.get("message") for event in events if event.get("type") == "Warning"]
        return f" ({one_line(messages[-1])})" if messages else ""

    def _read_end_of_log(self) -> None:
        now = time.monotonic()
        if now < self._next_log:
            return
        try:
            tail = self._log(TAIL_LINES, patience_seconds=0.0)
        except ClusterError:
            # How far the run is can wait; whether there is a cluster is seen by the look at the Pod.
            self._next_log = now + LOG_PAUSE_SECONDS
            return
        self._next_log = now + LOG_SECONDS
        lines = tail.split(b"\n")[:-1]
        if self._last_line in lines:
            lines = lines[len(lines) - lines[::-1].index(self._last_line) :]
        if lines:
            self._last_line = lines[-1]
            self.journal.feed(b"\n".join(lines) + b"\n")

    def _whole_log(self) -> t.Union[bytes, str]:
        """All of the log, and the journal made anew from it; or why it cannot be read."""
        try:
            patience = LOG_PATIENCE_SECONDS if self.has_result else FAILED_LOG_PATIENCE_SECONDS
            log = self._log(MAX_LOG_LINES, patience)
        except ClusterError as error:
            return str(error)
        journal = self._journal_of(log)
        if journal.iterations >= self.journal.iterations:
            self.journal = journal
        return log

    def _journal_of(self, log: bytes) -> Journal:
        journal = Journal(self.run.run_id)
        journal.feed(log)
        journal.finish()
        return journal

    def _log(self, lines: int, patience_seconds: float) -> bytes:
        query = {"container": CONTAINER, "tailLines": lines, "limitBytes": MAX_LOG_BYTES}
        return self._cluster.request("GET", f"{self._path}/log", query, None, MAX_LOG_BYTES, patience_seconds)

    def _get(self) -> Object:
        return self._cluster.get(self._path)

    def _delete(self) -> None:
        options: Object = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {"uid": self.pod["metadata"]["uid"]},
        }
        self._cluster.request("DELETE", self._path, body=options)

    @property
    def _path(self) -> str:
        return f"/api/v1/namespaces/{self._request.namespace}/pods/{self.name}"

    def _left(self, reason: str) -> Warned:
        message = (
            f"Pod {self.name} could not be removed ({reason}); the next run of this target or clean.yml removes it"
        )
        return Warned(code="pod_left", message=message)
