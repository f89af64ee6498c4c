# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The checkout's bench_runner in a container of the runner image, confined as a measurement is."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
from docker.models.containers import Container

PACKAGE = Path(__file__).parents[2] / "bench_runner"
CONFINEMENT: dict[str, Any] = {
    "nano_cpus": 10**9,
    "mem_limit": "1536m",
    "memswap_limit": "1536m",
    "network_mode": "none",
    "read_only": True,
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges"],
    "user": "65532:65532",
}


@dataclass(frozen=True)
class Ended:
    """What is left of a container."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def result(self) -> dict[str, Any]:
        """Standard output as the one JSON document that it must be."""
        document: dict[str, Any] = json.loads(self.stdout)
        return document

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stderr.splitlines()]

    @property
    def error(self) -> dict[str, Any]:
        """The one error, which must be the last word."""
        assert self.stdout == ""
        assert [event["event"] for event in self.events].count("error") == 1
        return self.events[-1]


class Started:
    """A running container."""

    def __init__(self, container: Container) -> None:
        self.container = container

    def wait_for(self, is_it: Callable[[dict[str, Any]], bool], timeout: float = 120) -> dict[str, Any]:
        """The first event of that kind."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            whole_lines = self.container.logs(stdout=False).decode().split("\n")[:-1]
            for event in map(json.loads, whole_lines):
                if is_it(event):
                    return dict(event)
            self.container.reload()
            assert self.container.status == "running", whole_lines[-3:]
            time.sleep(0.2)
        raise AssertionError(f"not seen in {timeout} s")

    def wait_for_iteration(self, number: int) -> dict[str, Any]:
        return self.wait_for(lambda event: event["event"] == "iteration" and event["number"] == number)

    def end(self, timeout: float = 300) -> Ended:
        status = self.container.wait(timeout=timeout)["StatusCode"]
        logs = [self.container.logs(stdout=out, stderr=not out).decode() for out in (True, False)]
        return Ended(status, *logs)


@contextmanager
def started(engine: docker.DockerClient, image: str, *arguments: str, **changes: Any) -> Iterator[Started]:
    """`python -m bench_runner` with these arguments; `changes` are those of `containers.run`. Removed in the end."""
    volumes = {str(PACKAGE): {"bind": "/opt/bench_runner", "mode": "ro"}, **changes.pop("volumes", {})}
    tmpfs = {"/tmp": changes.pop("tmpfs", "size=256m,mode=1777")}
    options = {**CONFINEMENT, **changes}
    container = engine.containers.run(image, list(arguments), detach=True, volumes=volumes, tmpfs=tmpfs, **options)
    try:
        yield Started(container)
    finally:
        container.remove(force=True)


def run(engine: docker.DockerClient, image: str, *arguments: str, **changes: Any) -> Ended:
    """The same to its end."""
    with started(engine, image, *arguments, **changes) as container:
        return container.end()


@contextmanager
def neighbour(engine: docker.DockerClient, image: str, cpu: str) -> Iterator[None]:
    """A busy loop in another container, on this CPU."""
    busy = engine.containers.run(
        image, ["-c", "while True: pass"], entrypoint="python3", cpuset_cpus=cpu, network_mode="none", detach=True
    )
    try:
        yield
    finally:
        busy.remove(force=True)
