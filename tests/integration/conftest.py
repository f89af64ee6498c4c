# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.errors import DockerException, ImageNotFound, NotFound

from tests.integration import images, runner_images
from tests.integration.images import ENDLESS_RUNNER, stand_in_context
from tests.integration.playbooks import PlaybookRun, inventory
from tests.integration.private_engine import PrivateEngine
from tests.integration.runner_images import built_image


@pytest.fixture(scope="session")
def engine() -> docker.DockerClient:
    """The Docker engine of this machine."""
    try:
        client = docker.from_env()
        client.ping()
    except DockerException as error:
        pytest.skip(f"no Docker engine answers: {error}")
    return client


@pytest.fixture
def private_engine() -> Iterator[PrivateEngine]:
    """An engine that nobody else uses, without any image."""
    if shutil.which("dockerd") is None or os.geteuid() != 0:
        pytest.skip("an engine of the test's own needs dockerd and root")
    # The name of a socket has 107 characters at most, and the folder of a test may be long.
    with tempfile.TemporaryDirectory() as folder, PrivateEngine(Path(folder)) as engine:
        yield engine


@pytest.fixture(scope="session")
def runner_image(engine: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The real image with the model base, built where its inputs changed; `RIGHTSIZE_RUNNER_IMAGE` names another one."""
    name = os.environ.get("RIGHTSIZE_RUNNER_IMAGE")
    if name is None:
        return built_image(tmp_path_factory.mktemp("base"))
    try:
        engine.images.get(name)
    except ImageNotFound:
        pytest.skip(f"the engine has no image {name}")
    return name


@pytest.fixture(scope="session")
def tiny_checkpoint(engine: docker.DockerClient) -> Path:
    """A checkpoint of tiny.en, for images that are quick to make and to run."""
    return runner_images.tiny_checkpoint()


@pytest.fixture(scope="session")
def tiny_image(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The image with the model tiny.en, which shares the packages of the other."""
    return built_image(
        tmp_path_factory.mktemp("tiny"), runner_image_model="tiny.en", runner_image_checkpoint=str(tiny_checkpoint)
    )


@pytest.fixture(scope="session")
def stand_in(engine: docker.DockerClient, runner_image: str) -> Iterator[str]:
    """An image whose runner misbehaves as the label `behaviour` says."""
    name = f"rightsize-test-stand-in:{secrets.token_hex(4)}"
    engine.images.build(fileobj=stand_in_context(runner_image), custom_context=True, tag=name, rm=True)
    yield name
    engine.images.remove(name, force=True)


@pytest.fixture
def load_tiny_image(engine: docker.DockerClient) -> Iterator[Callable[[str], str]]:
    """Loads a tiny image labelled as the architecture given."""
    names: list[str] = []

    def load(architecture: str) -> str:
        names.append(f"rightsize-test-tiny:{secrets.token_hex(4)}")
        engine.images.load(images.tiny_image(names[-1], ENDLESS_RUNNER, architecture))
        return names[-1]

    yield load
    for name in names:
        engine.images.remove(name, force=True)


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Callable[..., PlaybookRun]]:
    """Starts ansible-playbook; whatever still runs at the end of the test is killed."""
    started: list[PlaybookRun] = []

    def start(plays: list[dict[str, Any]], hosts: dict[str, Any] | None = None, **environment: str) -> PlaybookRun:
        folder = tmp_path / f"playbook-{len(started)}"
        folder.mkdir()
        started.append(PlaybookRun(folder, plays, hosts or inventory("here"), **environment))
        return started[-1]

    yield start
    for run in started:
        run.stop()


class Containers:
    """The containers of test runs, by the image that they came from."""

    def __init__(self, client: docker.DockerClient, image: str) -> None:
        self._client = client
        self._image = image

    def all(self) -> list[Any]:
        return list(self._client.containers.list(all=True, filters={"ancestor": self._image}, ignore_removed=True))

    def wait_for_one(self, timeout: float = 180) -> Any:
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            running = [container for container in self.all() if container.status == "running"]
            if running:
                return running[0]
            time.sleep(0.1)
        raise AssertionError(f"no container of {self._image} runs after {timeout} s")

    def seconds_until_gone(self, timeout: float = 60) -> float:
        begun = time.monotonic()
        while self.all():
            if time.monotonic() - begun > timeout:
                raise AssertionError(f"a container of {self._image} is still there after {timeout} s")
            time.sleep(0.1)
        return time.monotonic() - begun


@pytest.fixture
def containers(engine: docker.DockerClient, stand_in: str) -> Iterator[Containers]:
    """The stand-in's containers; a test must not leave one."""
    mine = Containers(engine, stand_in)
    yield mine
    left = mine.all()
    for container in left:
        try:
            container.remove(force=True)
        except NotFound:
            continue
    assert not left
