# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Removing the containers that killed runs have left, and no others."""

from __future__ import annotations

import json
import platform
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.errors import NotFound

from tests.integration import images
from tests.integration.playbooks import PlaybookRun, inventory

pytestmark = [pytest.mark.engine]
Play = Callable[..., PlaybookRun]
LABEL = "io.rightsize.whisper."


@pytest.fixture
def left_behind(engine: docker.DockerClient) -> Iterator[Callable[..., str]]:
    """Makes containers as runs on other machines leave them; gives the name of each."""
    image = f"rightsize-test-clean:{secrets.token_hex(4)}"
    architecture = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
    engine.images.load(images.image_of(image, {"/file": b"nothing"}, architecture, {"Cmd": ["/file"]}))
    names: list[str] = []

    def make(deadline: float) -> str:
        names.append(f"rightsize-test-{secrets.token_hex(4)}")
        labels = {"run-id": names[-1], "owner": "elsewhere:1:1", "deadline": f"{deadline:.0f}"}
        engine.containers.create(image, name=names[-1], labels={LABEL + key: value for key, value in labels.items()})
        return names[-1]

    yield make
    for name in names:
        try:
            engine.containers.get(name).remove(force=True)
        except NotFound:
            continue
    engine.images.remove(image, force=True)


@pytest.fixture
def clean(play: Play, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """The answer of the module."""

    def run(check: bool = False, **arguments: Any) -> dict[str, Any]:
        task = {"rightsize.whisper.clean_containers": arguments, "register": "answer", "check_mode": check}
        keep = {
            "ansible.builtin.copy": {"content": "{{ answer | to_json }}", "dest": f"{tmp_path}/answer", "mode": "0644"}
        }
        done = play([{"hosts": "all", "gather_facts": False, "tasks": [task, keep]}], inventory("here"))
        assert done.wait() == 0, done.output
        return dict(json.loads((tmp_path / "answer").read_text()))

    return run


def test_only_what_nobody_waits_for_is_removed(
    clean: Callable[..., dict[str, Any]], left_behind: Callable[..., str], engine: docker.DockerClient
) -> None:
    old, recent = left_behind(time.time() - 1), left_behind(time.time() + 3600)
    rehearsed = clean(check=True)
    assert rehearsed["changed"]
    assert old in rehearsed["removed"]
    assert recent not in rehearsed["removed"]
    assert engine.containers.get(old)
    assert old in clean()["removed"]
    with pytest.raises(NotFound):
        engine.containers.get(old)
    assert engine.containers.get(recent)
    # Only rehearsed, since others may measure on this engine now.
    assert recent in clean(check=True, all=True)["removed"]
