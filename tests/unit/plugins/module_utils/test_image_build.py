# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.rightsize.whisper.plugins.module_utils import _image_build as building
from ansible_collections.rightsize.whisper.plugins.module_utils._caller import Caller
from ansible_collections.rightsize.whisper.plugins.module_utils._image import LABEL, Wanted, image_name, make_plan
from ansible_collections.rightsize.whisper.plugins.module_utils._image_checkpoint import Checkpoint
from ansible_collections.rightsize.whisper.plugins.module_utils._image_tools import ImageError
from docker.errors import APIError, StreamParseError
from requests.exceptions import ConnectionError as RequestsConnectionError
from urllib3.exceptions import ProtocolError

from tests.unit.fake_engine import FakeEngine

FILES = {"Dockerfile": b"FROM x", "requirements.lock": b"# none", "models.json": b"{}", "cli.py": b"pass"}


@pytest.fixture
def caller() -> Iterator[Caller]:
    with Caller("[image] base:") as waiting:
        yield waiting


@pytest.fixture
def wanted(tmp_path: Path) -> Wanted:
    weights = tmp_path / "mine.pt"
    weights.write_bytes(b"weights")
    checkpoint = Checkpoint(weights, "file", "12" * 32)
    return Wanted(FILES, "base", "python:3", "amd64", False, checkpoint, tmp_path / "cache", "")


@pytest.fixture(autouse=True)
def without_wheels_and_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels/small.whl").write_bytes(b"wheel")
    monkeypatch.setattr(building, "collect_wheels", lambda *arguments: tmp_path / "wheels")
    monkeypatch.setattr(building, "EngineTurn", lambda *arguments: nullcontext())


class NamingEngine(FakeEngine):
    """A name that is given to an image is taken from the one that had it."""

    def add(self, name: str, architecture: str = "amd64", **labels: str) -> Any:
        image = super().add(name, architecture, **labels)
        image.tag = lambda *words: self._give(":".join(words), image)
        return image

    def _give(self, name: str, image: Any) -> None:
        if name in self.known:
            self.known[name].tags.remove(name)
        self.known[name] = image
        image.tags.append(name)


def engine_that_says(*events: dict[str, Any]) -> NamingEngine:
    engine = NamingEngine(*events)
    engine.add("python:3")
    return engine


DONE = {"aux": {"ID": "sha256:12"}}
STEPS = (
    {"stream": "Step 1/3 : FROM python:3"},
    {"stream": " ---> 0123456789ab\n"},
    {"stream": "Step 2/3 : RUN  python3 /slim.py /opt/packages && echo a command that is longer than sixty characters"},
    {"stream": "\x1b[91mTraceback (most recent call last):\n\x1b[0m"},
    {"stream": "\x1b[91mOSError: no space left on device\n\x1b[0m"},
    {"stream": "Removing intermediate container 0123456789ab\n"},
)


def test_a_build_gives_the_image_all_that_it_was_made_of(wanted: Wanted, caller: Caller) -> None:
    engine = engine_that_says(*STEPS, DONE)
    plan, changed = building.build(engine, "engine", wanted, caller)
    assert changed
    name = image_name(wanted, plan)
    assert plan.image.tags == [name, "rightsize-whisper-runner:base"]
    asked = engine.asked
    assert asked["network_mode"] == "none"
    assert "platform" not in asked
    assert asked["buildargs"] == {"BASE": "id of python:3", "MODEL": "base", "CHECKPOINT_SHA256": "12" * 32}
    labels = {key.removeprefix(LABEL): value for key, value in asked["labels"].items()}
    assert labels.pop("input-hashes").startswith("{")
    assert labels == {
        "inputs": plan.sha256,
        "model": "base",
        "checkpoint-sha256": "12" * 32,
        "checkpoint-source": "file",
        "base": "python:3",
        "base-source": "engine",
    }
    with tarfile.open(fileobj=io.BytesIO(asked["context"])) as tar:
        assert {member.mode for member in tar} == {0o644}
        assert set(tar.getnames()) == {
            "Dockerfile", *(f"bench_runner/{name}" for name in FILES), "wheels/small.whl", "checkpoint/model.pt",
        }  # fmt: skip


def test_a_conversion_is_named_as_one(wanted: Wanted, tmp_path: Path) -> None:
    context = io.BytesIO()
    assert wanted.checkpoint is not None
    building.write_context(context, FILES, tmp_path / "wheels", wanted.checkpoint._replace(is_conversion=True))
    with tarfile.open(fileobj=context) as tar:
        assert "checkpoint/model.bin" in tar.getnames()


def test_an_image_that_is_there_is_not_built(wanted: Wanted, caller: Caller) -> None:
    engine = engine_that_says()
    made = engine.add(image_name(wanted, make_plan(engine, wanted)))
    made.tag("rightsize-whisper-runner", "base")
    plan, changed = building.build(engine, "engine", wanted, caller)
    assert (plan.image, changed) == (made, False)
    assert not engine.asked


def test_the_models_name_means_the_image_that_was_asked_for_last(wanted: Wanted, caller: Caller) -> None:
    engine = engine_that_says(DONE)
    assert wanted.checkpoint is not None
    other = wanted._replace(checkpoint=wanted.checkpoint._replace(sha256="34" * 32))
    for asked, was_built in ((wanted, True), (other, True), (wanted, False), (other, False)):
        engine.asked = {}
        plan, changed = building.build(engine, "engine", asked, caller)
        assert changed
        assert bool(engine.asked) == was_built
        assert engine.get("rightsize-whisper-runner:base") is plan.image
        assert building.build(engine, "engine", asked, caller) == (plan, False)


def test_a_base_that_is_not_there_is_provided(wanted: Wanted, caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = FakeEngine(DONE)
    monkeypatch.setattr(building, "provide_base", lambda client, reference, *_: client.add(reference))
    plan, changed = building.build(engine, "engine", wanted, caller)
    assert changed
    assert plan.inputs["base"] == "python:3, id of python:3"


def test_a_foreign_platform_is_asked_for(wanted: Wanted, caller: Caller) -> None:
    engine = FakeEngine(DONE)
    engine.add("python:3", architecture="arm64")
    building.build(engine, "engine", wanted._replace(platform="arm64", is_foreign=True), caller)
    assert engine.asked["platform"] == "linux/arm64"


def failure(engine: FakeEngine, wanted: Wanted, caller: Caller) -> str:
    with pytest.raises(ImageError) as caught:
        building.build(engine, "engine", wanted, caller)
    assert caught.value.kind == "build"
    return str(caught.value)


def test_a_step_that_fails_is_named_with_its_last_words(wanted: Wanted, caller: Caller) -> None:
    engine = engine_that_says(*STEPS, {"error": "The command '/bin/sh -c …' returned a non-zero code: 1"})
    assert failure(engine, wanted, caller) == (
        "the image's build failed at step 2 of 3 (RUN  python3 /slim.py /opt/packages && echo a command that i): "
        "OSError: no space left on device"
    )


def test_the_words_of_an_earlier_step_are_not_the_reason(wanted: Wanted, caller: Caller) -> None:
    engine = engine_that_says(*STEPS, {"stream": "Step 3/3 : COPY a b"}, {"error": "COPY failed: file not found"})
    assert failure(engine, wanted, caller).endswith("step 3 of 3 (COPY a b): COPY failed: file not found")


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (APIError("500", None, "driver failed"), "engine_error", "the engine refused: driver failed"),
        (RequestsConnectionError("refused"), "engine_lost", "the engine stopped answering (refused); start it"),
        (ProtocolError("broken"), "engine_lost", "the engine stopped answering (broken); start it"),
        (StreamParseError("half"), "engine_lost", "the engine stopped answering (half); start it"),
        (OSError(28, "No space left on device", "/tmp/x"), "storage", "this host: No space left on device (/tmp/x)"),
    ],
    ids=["refused", "stopped", "broken off", "half a message", "disk full"],
)
def test_a_fault_of_the_engine_or_the_disk_is_told_as_one(error: Exception, kind: str, words: str) -> None:
    with pytest.raises(ImageError) as caught, building.image_faults():
        raise error
    assert caught.value.kind == kind
    assert words in str(caught.value)
