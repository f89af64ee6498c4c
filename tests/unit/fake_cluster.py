# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""As much of a cluster as a run asks for, to be brought into states that the tests' real one does not know."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

from bench_runner import pod as runner
from tests.unit.factories import xeon_pool
from tests.unit.fake_api import Answer, Asked, refused
from tests.unit.pods import container_status, terminated

Object = dict[str, Any]


class FakeCluster:
    """Pods, each on a node of its own, that end with a result at the second look; `status_of` may say otherwise."""

    def __init__(self) -> None:
        self.pods: dict[str, Object] = {}
        self.config_maps: dict[str, Object] = {}
        self.deleted: list[str] = []
        self.looks: dict[str, int] = {}
        self.statuses: dict[int, Object] = {}
        self.wall_ms = 2000.0
        # Answers to creates, before they are done as asked; `None` loses the answer but not the Pod.
        self.creates: list[Answer | None] = []

    def __call__(self, asked: Asked) -> Answer:
        path, query = urlsplit(asked.path).path, parse_qs(urlsplit(asked.path).query)
        if path == "/version":
            return Answer({"gitVersion": "v1.37.0"})
        if path.endswith("/selfsubjectaccessreviews"):
            return Answer({"status": {"allowed": True}}, 201)
        if path.startswith("/api/v1/nodes/"):
            return Answer({"metadata": {"labels": {}}, "status": {"nodeInfo": {"architecture": "amd64"}}})
        if path.endswith("/configmaps"):
            return self._create_config_map(asked.body)
        match = re.fullmatch(r"/api/v1/namespaces/whisper/pods(?:/([^/]+))?(/log)?", path)
        assert match, path
        name, log = match.groups()
        if asked.method == "POST":
            return self._create(asked.body, is_rehearsal="dryRun" in query)
        if name is None:
            owner = query["labelSelector"][0].rpartition("=")[2]
            labelled = [
                pod
                for pod in self.pods.values()
                if pod["metadata"]["labels"].get("whisper.rightsize.io/owner") == owner
            ]
            return Answer({"items": labelled})
        if name not in self.pods:
            return refused(404, f'pods "{name}" not found')
        if log:
            return Answer(self._log(self.pods[name]))
        if asked.method == "DELETE":
            self.deleted.append(name)
            return Answer(self.pods.pop(name))
        return Answer(self._look(self.pods[name]))

    def _create(self, pod: Object, is_rehearsal: bool) -> Answer:
        answer = self.creates.pop(0) if self.creates else Answer(status=201)
        if answer is not None and answer.status != 201:
            return answer
        name = pod["metadata"]["name"]
        if name in self.pods:
            return refused(409, f'pods "{name}" already exists')
        pod["metadata"]["uid"] = f"uid-of-{name}"
        pod["status"] = {"phase": "Pending", "qosClass": "Guaranteed"}
        if not is_rehearsal:
            self.pods[name] = pod
        return Answer(status=None) if answer is None else Answer(pod, 201)

    def _create_config_map(self, made: Object) -> Answer:
        name = made["metadata"]["name"]
        if name in self.config_maps:
            return refused(409, f'configmaps "{name}" already exists')
        self.config_maps[name] = made
        return Answer(made, 201)

    def _look(self, pod: Object) -> Object:
        number = int(pod["metadata"]["labels"]["whisper.rightsize.io/pod"])
        looks = self.looks[pod["metadata"]["name"]] = self.looks.get(pod["metadata"]["name"], 0) + 1
        pod["spec"]["nodeName"] = f"node-{number}"
        if looks == 1:
            pod["status"].update(phase="Running", containerStatuses=[container_status(running={})])
        else:
            message = runner.termination_message(self.document(pod))
            statuses = terminated(0, "Completed", message, seconds=3000)
            pod["status"].update(phase="Succeeded", containerStatuses=statuses)
            pod["status"].update(self.statuses.get(number, {}))
        return pod

    def document(self, pod: Object) -> bytes:
        """What the runner in the Pod has measured."""
        [container] = pod["spec"]["containers"]
        options = dict(argument.removeprefix("--").split("=", 1) for argument in container["args"])
        result = xeon_pool(
            wall_ms=[[self.wall_ms] * 10] * 5,
            run_id=options["run-id"],
            target=options["target"],
            model_size=options["model-size"],
            kubernetes=None,
        )
        return json.dumps(result).encode()

    def _log(self, pod: Object) -> bytes:
        return "".join(f"{line}\n" for line in runner.frame(self.document(pod))).encode()
