# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs `guaranteed_pod` as a playbook does, and keeps what it answers."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.integration.cluster import Kubectl
from tests.integration.playbooks import PlaybookRun, inventory

Answer = dict[str, Any]
Arguments = dict[str, dict[str, Any]]
Play = Callable[..., PlaybookRun]


class Pods:
    """Runs `guaranteed_pod` in the test's namespace and keeps each answer."""

    def __init__(self, play: Play, kubectl: Kubectl, image: str, folder: Path) -> None:
        self.results = folder / "unrecorded"
        self._play = play
        self._kubectl = kubectl
        self._image = image
        self._folder = folder / "answers"
        self._folder.mkdir()

    def start(self, check: bool = False, kubectl: Kubectl | None = None, **arguments: Any) -> PlaybookRun:
        """ansible-playbook, on its way with one target."""
        return self.start_each({"here": {"kubectl": kubectl, **arguments}}, check)

    def start_each(self, targets: Arguments, check: bool = False) -> PlaybookRun:
        """ansible-playbook, on its way with several targets at once, each with its own arguments."""
        return self._start(
            "guaranteed_pod", {host: self._complete(host, **given) for host, given in targets.items()}, check
        )

    def each(self, targets: Arguments) -> dict[str, Answer]:
        """The answers of several targets that are measured at once, whether they fail or not."""
        run = self.start_each(targets)
        run.wait(300)
        assert "Traceback" not in run.output, run.output
        return {host: self.answer(host) for host in targets}

    def clean(self, check: bool = False, **arguments: Any) -> Answer:
        """The answer of `clean_pods`."""
        defaults = {
            "context": self._kubectl.context,
            "kubeconfig": self._kubectl.kubeconfig,
            "namespace": self._kubectl.namespace,
            "target": "here",
            "result_dir": str(self.results),
        }
        run = self._start("clean_pods", {"here": {**defaults, **arguments}}, check)
        assert run.wait() == 0, run.output
        return self.answer()

    def measured(self, **arguments: Any) -> Answer:
        """The answer of a run that goes well."""
        run = self.start(**arguments)
        assert run.wait() == 0, run.output
        return self.answer()

    def failed(self, **arguments: Any) -> Answer:
        """The answer of a run that fails, and makes the playbook fail."""
        run = self.start(**arguments)
        assert run.wait() == 2, run.output
        return self.answer()

    def answer(self, host: str = "here") -> Answer:
        return dict(json.loads((self._folder / f"{host}.json").read_text()))

    def _complete(self, host: str, kubectl: Kubectl | None = None, **arguments: Any) -> dict[str, Any]:
        """The arguments with the defaults of tests: short deadlines, few iterations, the image that misbehaves."""
        kubectl = kubectl or self._kubectl
        return {
            "context": self._kubectl.context,
            "kubeconfig": kubectl.kubeconfig,
            "namespace": kubectl.namespace,
            "image": self._image,
            "pull_policy": "Never",
            "target": host,
            "run_id": f"test-{secrets.token_hex(6)}",
            "iterations": 2,
            "processes": 1,
            "memory": "256Mi",
            # Those that are measured at once wait for each other's CPUs.
            "schedule_timeout": 240,
            "start_timeout": 60,
            "timeout": 60,
            "grace": 3,
            "api_patience": 60,
            "result_dir": str(self.results),
            **arguments,
        }

    def _start(self, module: str, targets: Arguments, check: bool) -> PlaybookRun:
        task = {
            "name": "Measure",
            f"rightsize.whisper.{module}": "{{ arguments }}",
            "register": "answer",
            "check_mode": check,
        }
        keep = {
            "name": "Keep the answer",
            "ansible.builtin.copy": {
                "content": "{{ answer | to_json }}",
                "dest": f"{self._folder}/{{{{ inventory_hostname }}}}.json",
                "mode": "0644",
            },
        }
        block = {"name": "Measure and keep the answer", "block": [task], "always": [keep]}
        plays = [{"name": "Measure", "hosts": "all", "gather_facts": False, "tasks": [block]}]
        hosts = inventory(*targets)
        hosts["all"]["hosts"] = {host: {"arguments": arguments} for host, arguments in targets.items()}
        return self._play(plays, hosts, ANSIBLE_FORKS="32")
