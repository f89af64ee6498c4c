# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Docker engine of the test's own, to be stopped under a run."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType

import docker
from docker.errors import DockerException


class PrivateEngine:
    """A context: an engine that knows no image and has no network."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.url = f"unix://{folder}/engine.sock"
        self._log = (folder / "engine.log").open("wb")
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> PrivateEngine:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is None or self._process.poll() is not None:
            # Started once more it takes charge of the containers that it left behind, so that they can be removed.
            self.start()
        for container in self.client().containers.list(all=True):
            container.remove(force=True)
        self.stop()
        self._log.close()
        self._unmount()
        shutil.rmtree(self._folder / "data")

    def start(self) -> None:
        self._process = subprocess.Popen(
            [
                # In a network of its own: an engine without a bridge deletes docker0, which is another engine's.
                "unshare",
                "--net",
                "dockerd",
                f"--host={self.url}",
                f"--data-root={self._folder}/data",
                f"--exec-root={self._folder}/run",
                f"--pidfile={self._folder}/engine.pid",
                "--bridge=none",
                "--iptables=false",
            ],
            stdout=self._log,
            stderr=self._log,
        )
        for _attempt in range(300):
            try:
                self.client().ping()
                return
            except DockerException:
                time.sleep(0.1)
        raise AssertionError((self._folder / "engine.log").read_text())

    def _unmount(self) -> None:
        """An engine mounts its data onto itself, and one that was killed does not undo that."""
        mounted = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for path in reversed([path for path in mounted if path.startswith(f"{self._folder}/")]):
            subprocess.run(["umount", "--lazy", path], check=True)

    def client(self) -> docker.DockerClient:
        return docker.DockerClient(base_url=self.url)

    def stop(self) -> None:
        """As a service is stopped: it stops its containers first."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(60)

    def kill(self) -> None:
        """As a virtual machine dies: the containers are left as they are."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(60)
