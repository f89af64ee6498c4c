# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A container registry of the test's own, on this machine, which engines trust without a certificate."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType

import pytest

PACKAGE = "docker-registry"
CACHE = Path("~/.cache/rightsize-whisper/tests").expanduser()


class Registry:
    """A context: a registry that is empty at first, at `address`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"localhost:{free.getsockname()[1]}"
        settings = {"STORAGE_FILESYSTEM_ROOTDIRECTORY": f"{folder}/registry", "HTTP_ADDR": self.address}
        self._environment = os.environ | {f"REGISTRY_{name}": value for name, value in settings.items()}

    def __enter__(self) -> Registry:
        config = self._folder / "registry.yml"
        config.write_text("version: 0.1\nstorage: {filesystem: {}}\nhttp: {}\n")
        with (self._folder / "registry.log").open("wb") as log:
            command = [str(program()), "serve", str(config)]
            self._process = subprocess.Popen(command, env=self._environment, stdout=log, stderr=log)
        for _attempt in range(100):
            try:
                urllib.request.urlopen(f"http://{self.address}/v2/", timeout=5).close()
                return self
            except urllib.error.HTTPError:
                # It answers, if only to ask who we are.
                return self
            except urllib.error.URLError:
                time.sleep(0.1)
        raise AssertionError((self._folder / "registry.log").read_text())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait(30)


def program() -> Path:
    """Debian's registry: installed, or fetched and kept beside other things of the tests."""
    kept = CACHE / PACKAGE
    installed = shutil.which(PACKAGE)
    if installed is None and not kept.exists():
        if shutil.which("dpkg-deb") is None:
            pytest.skip(f"the program {PACKAGE} is not installed")
        CACHE.mkdir(parents=True, exist_ok=True)
        fetched = subprocess.run(
            ["apt-get", "download", PACKAGE], cwd=CACHE, capture_output=True, text=True, check=False
        )
        if fetched.returncode:
            pytest.skip(f"the package {PACKAGE} cannot be fetched: {fetched.stderr.strip().splitlines()[-1]}")
        (package,) = CACHE.glob(f"{PACKAGE}_*.deb")
        unpacked = CACHE / f"{PACKAGE}-{os.getpid()}"
        subprocess.run(["dpkg-deb", "--extract", str(package), str(unpacked)], check=True)
        (unpacked / "usr/bin" / PACKAGE).replace(kept)
        shutil.rmtree(unpacked)
        package.unlink()
    return Path(installed or kept)
