# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the base image comes from, with a registry that answers, one that refuses, and none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from ansible_collections.rightsize.whisper.plugins.module_utils import _image_base

from tests.integration.playbooks import PlaybookRun
from tests.integration.registry import Registry
from tests.integration.runner_images import answer, building

pytestmark = [pytest.mark.engine, pytest.mark.image]

Play = Callable[..., PlaybookRun]


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with Registry(tmp_path_factory.mktemp("registry")) as registry:
        yield registry


@pytest.fixture(scope="module")
def published_base(engine: docker.DockerClient, registry: Registry, tiny_image: str) -> Iterator[str]:
    """The base of the small image, pushed, and known to the engine under no such name."""
    image = engine.images.get(tiny_image)
    lowest = engine.api.history(image.id)[-1]
    [base] = [found for found in engine.images.list() if is_below(engine, found, image) and layers(found) == 1]
    assert lowest["Size"] == base.attrs["Size"]
    name = f"{registry.address}/python"
    base.tag(name, "3.11")
    pushed = [event for event in engine.api.push(name, "3.11", stream=True, decode=True) if "aux" in event]
    engine.images.remove(f"{name}:3.11")
    yield f"{name}:3.11@{pushed[-1]['aux']['Digest']}"
    names = [reference for image in engine.images.list(name) for reference in image.attrs["RepoDigests"]]
    for reference in [reference for reference in names if reference.startswith(name)]:
        engine.images.remove(reference)


def layers(image: Any) -> int:
    return len(image.attrs["RootFS"]["Layers"])


def is_below(engine: docker.DockerClient, lower: Any, upper: Any) -> bool:
    return bool(upper.attrs["RootFS"]["Layers"][: layers(lower)] == lower.attrs["RootFS"]["Layers"])


@pytest.mark.slow
def test_a_base_of_a_registry_is_pulled_by_its_digest(
    play: Play, tmp_path: Path, engine: docker.DockerClient, published_base: str, tiny_checkpoint: Path
) -> None:
    options = {
        "runner_image_model": "tiny.en",
        "runner_image_checkpoint": str(tiny_checkpoint),
        "runner_image_base": published_base,
    }
    run = play(building(tmp_path, **options))
    assert run.wait(400) == 0, run.output
    told = answer(tmp_path)
    assert told["image"]["base"] == {"name": published_base, "source": "registry"}
    assert "base: registry" in run.output
    again = play(building(tmp_path, **options))
    assert again.wait(400) == 0, again.output
    assert answer(tmp_path)["changed"] is False
    assert answer(tmp_path)["image"]["id"] == told["image"]["id"]


def test_a_base_that_its_registry_does_not_have_has_no_stand_in(
    play: Play, tmp_path: Path, engine: docker.DockerClient, registry: Registry
) -> None:
    reference = f"{registry.address}/pyhton:3.11"
    run = play(building(tmp_path, runner_image_base=reference))
    assert run.wait() == 2, run.output
    told = answer(tmp_path)
    assert told["failure"] == "base"
    assert told["msg"].startswith(f"cannot pull the base image {reference}: ")
    assert "unknown" in told["msg"]
    assert not engine.images.list(_image_base.stand_in_name(reference, "amd64"))
