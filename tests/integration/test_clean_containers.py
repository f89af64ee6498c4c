# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Removing the containers that killed runs have left, and no others."""

from __future__ import annotations

import json
import platform
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.errors import NotFound

from tests.integration import images
from tests.integration.playbooks import PlaybookRun, inventory
from tests.integration.private_engine import PrivateEngine

pytestmark = [pytest.mark.engine]
Play = Callable[..., PlaybookRun]
LABEL = "io.rightsize.whisper."


@pytest.fixture
def engine_alone(private_engine: PrivateEngine) -> docker.DockerClient:
    """An engine on which nobody else measures, since whoever does removes what is left behind."""
    return private_engine.client()


@pytest.fixture
def left_behind(engine_alone: docker.DockerClient) -> Callable[..., str]:
    """Makes containers as runs on other machines leave them; gives the name of each."""
    image = f"rightsize-test-clean:{secrets.token_hex(4)}"
    architecture = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
    engine_alone.images.load(images.image_of(image, {"/file": b"nothing"}, architecture, {"Cmd": ["/file"]}))

    def make(deadline: float) -> str:
        name = f"rightsize-test-{secrets.token_hex(4)}"
        labels = {"run-id": name, "owner": "elsewhere:1:1", "deadline": f"{deadline:.0f}"}
        engine_alone.containers.create(image, name=name, labels={LABEL + key: value for key, value in labels.items()})
        return name

    return make


@pytest.fixture
def clean(play: Play, tmp_path: Path, private_engine: PrivateEngine) -> Callable[..., dict[str, Any]]:
    """The answer of the module."""

    def run(check: bool = False, **arguments: Any) -> dict[str, Any]:
        options = {"engine_url": private_engine.url, **arguments}
        task = {"rightsize.whisper.clean_containers": options, "register": "answer", "check_mode": check}
        keep = {
            "ansible.builtin.copy": {"content": "{{ answer | to_json }}", "dest": f"{tmp_path}/answer", "mode": "0644"}
        }
        done = play([{"hosts": "all", "gather_facts": False, "tasks": [task, keep]}], inventory("here"))
        assert done.wait() == 0, done.output
        return dict(json.loads((tmp_path / "answer").read_text()))

    return run


def test_only_what_nobody_waits_for_is_removed(
    clean: Callable[..., dict[str, Any]], left_behind: Callable[..., str], engine_alone: docker.DockerClient
) -> None:
    old, recent = left_behind(time.time() - 1), left_behind(time.time() + 3600)
    rehearsed = clean(check=True)
    assert rehearsed["changed"]
    assert rehearsed["removed"] == [old]
    assert engine_alone.containers.get(old)
    assert clean()["removed"] == [old]
    with pytest.raises(NotFound):
        engine_alone.containers.get(old)
    assert engine_alone.containers.get(recent)
    assert not clean()["changed"]
    assert clean(all=True)["removed"] == [recent]
    assert not engine_alone.containers.list(all=True)
