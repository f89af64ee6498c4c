# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docker
import pytest
import yaml

from tests.integration.playbooks import ANSIBLE_PLAYBOOK, CHECKOUT, PlaybookRun, inventory

pytestmark = pytest.mark.engine

Play = Callable[..., PlaybookRun]
ROLE = {"name": "rightsize.whisper.docker_engine"}
DEBIAN = {"os_family": "Debian", "user_id": "root", "service_mgr": "service"}


def providing(facts: dict[str, str], **variables: Any) -> list[dict[str, Any]]:
    """A play that provides an engine on a machine of which these facts hold."""
    tasks = [
        {"name": "Pretend", "ansible.builtin.set_fact": {**facts, "cacheable": True}},
        {"name": "Provide an engine", "ansible.builtin.include_role": ROLE, "vars": variables},
    ]
    return [{"name": "Provide", "hosts": "all", "gather_facts": False, "tasks": tasks}]


def test_an_engine_that_answers_is_used_as_it_is(play: Play, engine: docker.DockerClient) -> None:
    run = play(providing(DEBIAN))
    assert run.wait() == 0, run.output
    assert f"Docker {engine.version()['Version']} at " in run.output
    assert " changed=0 " in run.output
    assert "Install Docker" not in run.output


def refused(play: Play, facts: dict[str, str], **environment: str) -> str:
    run = play(providing(facts), **environment)
    assert run.wait() == 2, run.output
    assert " changed=0 " in run.output
    assert "TASK [rightsize.whisper.docker_engine : Install Docker]" not in run.output
    return " ".join(run.output.split())


def test_no_engine_is_installed_in_place_of_the_one_that_is_named(play: Play, tmp_path: Path) -> None:
    url = f"unix://{tmp_path}/engine.sock"
    assert f"tried {url} (DOCKER_HOST: No such file or directory); start it" in refused(play, DEBIAN, DOCKER_HOST=url)


@pytest.mark.parametrize(
    "facts", [{"os_family": "Darwin", "user_id": "root"}, {"os_family": "Debian", "user_id": "somebody"}]
)
def test_where_none_can_be_installed_one_line_says_what_to_do(
    play: Play, tmp_path: Path, facts: dict[str, str]
) -> None:
    url = f"unix://{tmp_path}/engine.sock"
    assert "no Docker engine answers on " in refused(play, {**DEBIAN, **facts}, DOCKER_HOST=url)


@pytest.mark.slow
def test_an_engine_is_started_without_an_init_system(tmp_path: Path) -> None:
    """In namespaces of its own, where neither this machine's engine nor its network is seen; all ends with the playbook."""
    if os.geteuid() != 0 or not all(map(shutil.which, ("unshare", "dockerd", "start-stop-daemon"))):
        pytest.skip("only root can make namespaces, and dockerd and start-stop-daemon have to be there")
    start = {"name": "Start one", "ansible.builtin.include_role": {**ROLE, "tasks_from": "start"}}
    tasks = [
        start,
        {"name": "Say which", "ansible.builtin.debug": {"msg": "engine {{ docker_engine_found.engine.url }}"}},
    ]
    facts = {"ansible.builtin.set_fact": {**DEBIAN, "cacheable": True}}
    plays = [{"hosts": "all", "gather_facts": False, "tasks": [facts, *tasks]}]
    (tmp_path / "play.yml").write_text(yaml.safe_dump(plays))
    (tmp_path / "ansible.cfg").touch()
    (tmp_path / "inventory.yml").write_text(yaml.safe_dump(inventory("here", docker_engine_log=f"{tmp_path}/log")))
    # What an engine that was killed leaves: a socket on which nobody listens.
    stale = "import socket; socket.socket(socket.AF_UNIX).bind('/run/docker.sock')"
    mounts = "mount -t tmpfs tmpfs /run && mkdir -p /var/lib/docker && mount -t tmpfs tmpfs /var/lib/docker"
    script = f'{mounts} && python3 -c "{stale}" && {ANSIBLE_PLAYBOOK} -i inventory.yml play.yml'
    namespaces = ["--mount", "--net", "--pid", "--fork", "--mount-proc", "--kill-child"]
    begun = time.monotonic()
    done = subprocess.run(
        ["unshare", *namespaces, "sh", "-c", script],
        cwd=tmp_path,
        env={
            **{name: value for name, value in os.environ.items() if name != "DOCKER_HOST"},
            "ANSIBLE_CONFIG": str(tmp_path / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / ".ansible" / "collections"),
            "ANSIBLE_NOCOLOR": "1",
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "engine unix:///var/run/docker.sock" in done.stdout
    assert time.monotonic() - begun < 90
