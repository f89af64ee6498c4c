# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role docker_engine, where an engine answers, where none does, and where one does not start."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docker
import pytest
import yaml

from tests.integration.playbooks import ANSIBLE_PLAYBOOK, CHECKOUT, PlaybookRun, inventory

pytestmark = pytest.mark.engine

Play = Callable[..., PlaybookRun]


def providing(**variables: Any) -> list[dict[str, Any]]:
    """A play that provides an engine, without the facts of the machine at first."""
    role = {"role": "rightsize.whisper.docker_engine", **variables}
    return [{"name": "Provide an engine", "hosts": "all", "gather_facts": False, "roles": [role]}]


def test_an_engine_that_answers_is_named_and_left_alone(play: Play, engine: docker.DockerClient) -> None:
    run = play(providing())
    assert run.wait() == 0, run.output
    assert "changed=0" in run.output
    assert f"Docker {engine.version()['Version']} at " in run.output


def test_an_engine_that_was_named_has_none_installed_in_its_place(play: Play, tmp_path: Path) -> None:
    url = f"unix://{tmp_path}/engine.sock"
    run = play(providing(docker_engine_url=url))
    assert run.wait() == 2, run.output
    assert re.search(rf"no Docker engine answers on \S+; tried {url} ", " ".join(run.output.split()))
    assert "changed=0" in run.output


# A machine within this one: nothing runs in it, no engine listens, and what is started in it ends with it.
MACHINE = ["unshare", "--mount", "--net", "--pid", "--fork", "--mount-proc", "sh", "-c"]
EMPTY = "mount -t tmpfs run /run && mount -t tmpfs docker /var/lib/docker && mkdir /run/lock && ip link set lo up"


@pytest.fixture
def on_a_machine_without_engine(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a script on such a machine, beside a playbook play.yml."""
    if os.geteuid() != 0 or shutil.which("dockerd") is None or shutil.which("start-stop-daemon") is None:
        pytest.skip("a machine of the test's own takes root, and an engine to start on it")

    def run(script: str, **variables: Any) -> subprocess.CompletedProcess[str]:
        (tmp_path / "play.yml").write_text(yaml.safe_dump(providing(docker_engine_log=f"{tmp_path}/log", **variables)))
        (tmp_path / "inventory.yml").write_text(yaml.safe_dump(inventory("here")))
        (tmp_path / "ansible.cfg").touch()
        environment = {name: value for name, value in os.environ.items() if not name.startswith("DOCKER_")} | {
            "ANSIBLE_CONFIG": str(tmp_path / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / ".ansible/collections"),
            "ANSIBLE_NOCOLOR": "1",
            "HOME": str(tmp_path),
            "PLAY": f"{ANSIBLE_PLAYBOOK} -i inventory.yml play.yml",
        }
        command = [*MACHINE, f"{EMPTY} && {script}"]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False
        )

    return run


def test_an_engine_is_started_once_where_none_answers(
    on_a_machine_without_engine: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    done = on_a_machine_without_engine("$PLAY && echo AGAIN && $PLAY && docker info --format '{{.ID}}'")
    assert done.returncode == 0, done.stdout + done.stderr
    first, again = done.stdout.split("AGAIN")
    assert "changed=1" in first
    assert "changed=0" in again
    assert "at unix:///var/run/docker.sock (known socket)" in again


def test_an_engine_that_does_not_start_is_told_in_its_own_words(
    on_a_machine_without_engine: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    settings = tmp_path / "daemon.json"
    settings.write_text('{"none-such": true}')
    script = f"mkdir -p /run/etc && cp {settings} /run/etc/ && mount --bind /run/etc /etc/docker && $PLAY"
    done = on_a_machine_without_engine(script, docker_engine_timeout_seconds=5)
    assert done.returncode == 2, done.stdout + done.stderr
    told = " ".join(done.stdout.split())
    assert "Docker was started but does not answer within 5 s; its last words: " in told
    assert "none-such" in told
