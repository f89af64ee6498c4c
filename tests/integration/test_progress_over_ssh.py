# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A target behind SSH: the same progress in the same time, and no container left when the connection breaks."""

from __future__ import annotations

import getpass
import itertools
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import Containers
from tests.integration.playbooks import PlaybookRun, answers, inventory, measuring

pytestmark = [pytest.mark.engine, pytest.mark.image]
Play = Callable[..., PlaybookRun]


class SshServer:
    """A context: an sshd of the test's own on 127.0.0.1, with keys that nobody else has."""

    def __init__(self, folder: Path, program: str) -> None:
        self._folder = folder
        self._program = program
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> SshServer:
        for name in ("host", "user"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self._folder / name], check=True)
        shutil.copy(self._folder / "user.pub", self._folder / "authorized_keys")
        settings = {
            "Port": self.port,
            "ListenAddress": "127.0.0.1",
            "HostKey": self._folder / "host",
            "PidFile": "none",
            "AuthorizedKeysFile": self._folder / "authorized_keys",
            "StrictModes": "no",
            "UsePAM": "no",
            "PasswordAuthentication": "no",
            "Subsystem": "sftp internal-sftp",
        }
        (self._folder / "sshd_config").write_text("".join(f"{key} {value}\n" for key, value in settings.items()))
        if os.geteuid() == 0:
            # Where sshd drops its privileges to; a service's start makes it.
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        log = (self._folder / "sshd.log").open("wb")
        self._process = subprocess.Popen([self._program, "-D", "-e", "-f", self._folder / "sshd_config"], stderr=log)
        for _attempt in range(50):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            time.sleep(0.1)
        raise AssertionError((self._folder / "sshd.log").read_text())

    def __exit__(self, *exception: object) -> None:
        self.break_connections()
        assert self._process is not None
        self._process.terminate()
        self._process.wait(10)

    def break_connections(self) -> None:
        """End the sessions as a lost network does: without a word to either side's programs."""
        assert self._process is not None
        subprocess.run(["pkill", "-KILL", "-P", str(self._process.pid)], check=False)

    def inventory(self, **variables: Any) -> dict[str, Any]:
        return inventory(
            "far",
            ansible_connection="ssh",
            ansible_host="127.0.0.1",
            ansible_port=self.port,
            ansible_user=getpass.getuser(),
            ansible_ssh_private_key_file=str(self._folder / "user"),
            ansible_ssh_common_args="-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null",
            ansible_python_interpreter=sys.executable,
            **variables,
        )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    program = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    if program is None or shutil.which("ssh") is None:
        pytest.skip("needs an SSH server and client (Debian: openssh-server, openssh-client)")
    with SshServer(tmp_path_factory.mktemp("sshd"), program) as running:
        yield running


# With pipelining the module comes through standard input and has no terminal; without, it has one that hangs up.
pipelining = pytest.mark.parametrize("pipelining", [True, False], ids=["pipelining", "terminal"])


@pytest.mark.slow
@pipelining
def test_progress_is_seen_as_it_is_locally(
    play: Play, tmp_path: Path, stand_in: str, server: SshServer, containers: Containers, pipelining: bool
) -> None:
    plays = measuring(tmp_path, {"image": stand_in, "iterations": 50, "labels": {"seconds": "0.5"}})
    run = play(plays, server.inventory(ansible_pipelining=pipelining))
    began = run.wait_for("TASK [Measure]")
    assert run.wait() == 0, run.output
    times = [when for when, _line in run.progress()]
    assert times[0] - began < 10
    assert max(later - earlier for earlier, later in itertools.pairwise([*times, run.lines[-1][0]])) < 15
    assert run.progress("[far] base: iteration ")
    [answer] = answers(tmp_path)
    assert answer["result"]["iterations"] == 50


@pipelining
@pytest.mark.parametrize("how", ["connection", "ctrl_c"])
def test_a_broken_connection_leaves_no_container(
    play: Play, tmp_path: Path, stand_in: str, server: SshServer, containers: Containers, pipelining: bool, how: str
) -> None:
    plays = measuring(tmp_path, {"image": stand_in, "iterations": 300})
    run = play(plays, server.inventory(ansible_pipelining=pipelining))
    containers.wait_for_one()
    run.wait_for("iteration")
    {"connection": server.break_connections, "ctrl_c": run.interrupt}[how]()
    assert containers.seconds_until_gone() < 10
    assert run.wait() not in (0, 2)
    assert ("unreachable=1" in run.output) is (how == "connection")
