# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.rightsize.whisper.plugins.module_utils import _image as image
from ansible_collections.rightsize.whisper.plugins.module_utils._caller import Caller
from ansible_collections.rightsize.whisper.plugins.module_utils._image import Plan, Wanted
from ansible_collections.rightsize.whisper.plugins.module_utils._image_parts import Found, ImageError
from docker.errors import ImageNotFound

PACKAGE = Path(__file__).resolve().parents[4] / "bench_runner"


class Engine:
    """A client of an engine that has the images it is told of, and builds as it is told."""

    def __init__(self, *events: dict[str, Any], architecture: str = "x86_64") -> None:
        self.images = self
        self.api = self
        self.known: dict[str, Any] = {}
        self.asked: dict[str, Any] = {}
        self._events = events
        self._architecture = architecture

    def add(self, name: str, **labels: str) -> Any:
        attributes = {"Architecture": "amd64", "Size": 1000}
        self.known[name] = type("Image", (), {"id": f"id of {name}", "labels": labels, "attrs": attributes})
        return self.known[name]

    def get(self, name: str) -> Any:
        try:
            return self.known[name]
        except KeyError:
            raise ImageNotFound(name) from None

    def info(self) -> dict[str, str]:
        return {"Architecture": self._architecture}

    def build(self, **asked: Any) -> Iterator[dict[str, Any]]:
        self.asked = asked
        yield from self._events


@pytest.fixture
def engine() -> Engine:
    engine = Engine()
    engine.add("python:3")
    return engine


@pytest.fixture
def wanted(tmp_path: Path) -> Wanted:
    package = tmp_path / "bench_runner"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    return Wanted(package, "base", "python:3", "amd64", None, None, tmp_path / "cache", "")


@pytest.fixture
def caller() -> Iterator[Caller]:
    with Caller("[image] base:") as waiting:
        yield waiting


# What it would be made of


def test_the_same_inputs_have_the_same_name_wherever_they_lie(engine: Engine, wanted: Wanted, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(wanted.package, elsewhere)
    (elsewhere / ".cache").write_text("not an input")
    (elsewhere / "__pycache__").mkdir()
    first, second = image.make_plan(engine, wanted), image.make_plan(engine, wanted._replace(package=elsewhere))
    assert image.tag(wanted, first) == image.tag(wanted, second) == f"rightsize-whisper-runner:base-{first.sha256[:12]}"


@pytest.mark.parametrize("name", sorted(path.name for path in PACKAGE.iterdir() if path.is_file()))
def test_every_file_is_an_input(engine: Engine, wanted: Wanted, name: str) -> None:
    before = image.make_plan(engine, wanted)
    (wanted.package / name).write_bytes((wanted.package / name).read_bytes() + b"\n")
    assert image.make_plan(engine, wanted).sha256 != before.sha256
    (wanted.package / name).rename(wanted.package / f"renamed-{name}")
    if name not in image.NEEDED_FILES:
        assert image.make_plan(engine, wanted).sha256 != before.sha256


def other_checkpoint(wanted: Wanted) -> Wanted:
    path = wanted.package.parent / "mine.pt"
    path.write_bytes(b"weights")
    return wanted._replace(checkpoint=path, checkpoint_sha256=hashlib.sha256(b"weights").hexdigest())


@pytest.mark.parametrize(
    "change",
    [
        lambda wanted: wanted._replace(model="small"),
        lambda wanted: wanted._replace(platform="arm64"),
        lambda wanted: wanted._replace(base="python:4"),
        lambda wanted: wanted._replace(base="not there yet"),
        other_checkpoint,
    ],
    ids=["model", "platform", "base", "base to come", "checkpoint"],
)
def test_everything_else_is_an_input_too(engine: Engine, wanted: Wanted, change: Callable[[Wanted], Wanted]) -> None:
    engine.add("python:4")
    assert image.make_plan(engine, change(wanted)).sha256 != image.make_plan(engine, wanted).sha256


def test_another_checkpoint_of_the_user_is_another_input(engine: Engine, wanted: Wanted) -> None:
    mine = other_checkpoint(wanted)._replace(checkpoint_sha256=None)
    before = image.make_plan(engine, mine).sha256
    assert mine.checkpoint is not None
    mine.checkpoint.write_bytes(b"other weights")
    assert image.make_plan(engine, mine).sha256 != before


def test_where_wheels_come_from_is_no_input(engine: Engine, wanted: Wanted) -> None:
    moved = wanted._replace(extra_index="https://example.org/simple", cache=Path("/elsewhere"))
    assert image.make_plan(engine, moved).sha256 == image.make_plan(engine, wanted).sha256


def refused(engine: Engine, wanted: Wanted) -> tuple[str, str]:
    with pytest.raises(ImageError) as caught:
        image.make_plan(engine, wanted)
    assert "\n" not in str(caught.value)
    return caught.value.kind, str(caught.value)


def test_an_unknown_model(engine: Engine, wanted: Wanted) -> None:
    kind, message = refused(engine, wanted._replace(model="huge"))
    assert kind == "model"
    assert message.startswith("openai-whisper has no model 'huge'; it has base, base.en, large")


def test_a_source_that_is_none(engine: Engine, wanted: Wanted, tmp_path: Path) -> None:
    kind, message = refused(engine, wanted._replace(package=tmp_path / "nowhere"))
    assert (kind, message) == (
        "source",
        f"cannot read the runner's source in {tmp_path}/nowhere: No such file or directory",
    )
    (wanted.package / "models.json").write_text("{")
    kind, message = refused(engine, wanted)
    assert kind == "source"
    assert message.startswith(f"{wanted.package}/models.json is damaged: ")


@pytest.mark.parametrize("name", image.NEEDED_FILES)
def test_a_source_that_lacks_what_the_build_reads(engine: Engine, wanted: Wanted, name: str) -> None:
    (wanted.package / name).unlink()
    assert refused(engine, wanted) == (
        "source",
        f"no {name} in {wanted.package}, which should be the collection's bench_runner",
    )


def test_an_image_that_was_made_of_the_inputs_is_found(engine: Engine, wanted: Wanted) -> None:
    plan = image.make_plan(engine, wanted)
    assert plan.image is None
    label = image.LABEL
    made = engine.add(image.tag(wanted, plan), **{f"{label}checkpoint-source": "file", f"{label}base": "debootstrap"})
    plan = image.make_plan(engine, wanted)
    assert plan.image is made
    assert image.describe(wanted, plan) == {
        "id": made.id,
        "name": image.tag(wanted, plan),
        "architecture": "x86_64",
        "size_bytes": 1000,
        "model": "base",
        "inputs_sha256": plan.sha256,
        "checkpoint_source": "file",
        "base_source": "debootstrap",
    }


def test_an_image_that_is_there_is_not_built(
    engine: Engine, wanted: Wanted, caller: Caller, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(image.tempfile, "gettempdir", lambda: str(tmp_path))
    made = engine.add(image.tag(wanted, image.make_plan(engine, wanted)))
    plan, changed = image.build(engine, "id", wanted, caller)
    assert (plan.image, changed) == (made, False)
    assert not engine.asked


def test_the_difference_names_what_changed(engine: Engine, wanted: Wanted) -> None:
    old = image.make_plan(engine, wanted)
    assert image.changed_inputs(engine, wanted, old) == {"before": {}, "after": old.inputs}
    engine.add("rightsize-whisper-runner:base", **{f"{image.LABEL}input-hashes": json.dumps(old.inputs)})
    assert image.changed_inputs(engine, wanted, old) == {"before": {}, "after": {}}
    (wanted.package / "audio.py").unlink()
    (wanted.package / "cli.py").write_text("pass\n")
    (wanted.package / "new.py").write_text("pass\n")
    assert image.changed_inputs(engine, wanted, image.make_plan(engine, wanted)) == {
        "before": {name: old.inputs[name] for name in ("bench_runner/audio.py", "bench_runner/cli.py")},
        "after": dict.fromkeys(("bench_runner/cli.py", "bench_runner/new.py"), hashlib.sha256(b"pass\n").hexdigest()),
    }


# The build


@pytest.mark.parametrize(
    ("name", "source", "inside"),
    [
        ("anything", "file", "model.pt"),
        ("base.pt", "OpenAI's host", "model.pt"),
        ("base.model.bin", "conversion from the package index", "model.bin"),
    ],
)
def test_the_context_holds_what_the_dockerfile_copies(
    engine: Engine, wanted: Wanted, tmp_path: Path, name: str, source: str, inside: str
) -> None:
    (tmp_path / name).write_bytes(b"weights")
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels/small.whl").touch()
    context = tmp_path / "context"
    context.mkdir()
    image.fill_context(
        context, wanted, image.make_plan(engine, wanted), tmp_path / "wheels", Found(tmp_path / name, source)
    )
    assert {path.name for path in context.iterdir()} == {"Dockerfile", "bench_runner", "checkpoint", "wheels"}
    assert (context / "checkpoint" / inside).read_bytes() == b"weights"
    assert image.package_files(context / "bench_runner") == image.package_files(wanted.package)


def test_a_source_that_changes_under_the_build_is_not_built(engine: Engine, wanted: Wanted, tmp_path: Path) -> None:
    plan = image.make_plan(engine, wanted)
    (wanted.package / "cli.py").write_text("pass\n")
    context = tmp_path / "context"
    context.mkdir()
    with pytest.raises(ImageError, match="changed while it was read; run it again") as caught:
        image.fill_context(context, wanted, plan, tmp_path / "wheels", Found(tmp_path / "base.pt", "file"))
    assert caught.value.kind == "source"


def built(engine: Engine, wanted: Wanted, caller: Caller, tmp_path: Path) -> str:
    plan = Plan({"model": wanted.model}, None, ("id of the base", "registry"))
    return image.build_context(engine, tmp_path, wanted, plan, Found(tmp_path / "model.pt", "file"), caller)


STEPS = (
    {"stream": "Step 1/3 : FROM python:3"},
    {"stream": " ---> 0123456789ab\n"},
    {"stream": "Step 2/3 : RUN  python3 /slim.py /opt/packages && echo a command that is longer than sixty characters"},
    {"stream": "\x1b[91mTraceback (most recent call last):\n\x1b[0m"},
    {"stream": "\x1b[91mOSError: no space left on device\n\x1b[0m"},
    {"stream": "Removing intermediate container 0123456789ab\n"},
)


def test_a_step_that_fails_is_named_with_its_last_words(wanted: Wanted, caller: Caller, tmp_path: Path) -> None:
    engine = Engine(*STEPS, {"error": "The command '/bin/sh -c …' returned a non-zero code: 1"})
    with pytest.raises(ImageError) as caught:
        built(engine, wanted, caller, tmp_path)
    assert caught.value.kind == "build"
    assert str(caught.value) == (
        "the image's build failed at step 2 of 3 (RUN  python3 /slim.py /opt/packages && echo a command that i): "
        "OSError: no space left on device"
    )


def test_words_of_an_earlier_step_are_not_the_reason(wanted: Wanted, caller: Caller, tmp_path: Path) -> None:
    engine = Engine(*STEPS, {"stream": "Step 3/3 : COPY a b"}, {"error": "COPY failed: file not found"})
    with pytest.raises(ImageError, match=r"step 3 of 3 \(COPY a b\): COPY failed: file not found$"):
        built(engine, wanted, caller, tmp_path)


def test_a_build_that_ends_early(wanted: Wanted, caller: Caller, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"the engine ended the build after step 2 of 3 .* without an image"):
        built(Engine(*STEPS), wanted, caller, tmp_path)


@pytest.mark.parametrize(
    ("architecture", "platform", "asked"),
    [("x86_64", "amd64", None), ("aarch64", "arm64", None), ("x86_64", "arm64", "linux/arm64")],
)
def test_the_platform_is_asked_for_where_it_is_foreign(
    wanted: Wanted, caller: Caller, tmp_path: Path, architecture: str, platform: str, asked: str | None
) -> None:
    engine = Engine({"aux": {"ID": "sha256:12"}}, architecture=architecture)
    assert built(engine, wanted._replace(platform=platform), caller, tmp_path) == "sha256:12"
    assert engine.asked["platform"] == asked
    assert engine.asked["network_mode"] == "none"
    assert engine.asked["labels"][f"{image.LABEL}base"] == "registry"
    assert engine.asked["labels"][f"{image.LABEL}checkpoint-source"] == "file"
