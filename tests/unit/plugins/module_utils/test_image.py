# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.rightsize.whisper.plugins.module_utils import _image as image
from ansible_collections.rightsize.whisper.plugins.module_utils._image import Wanted
from ansible_collections.rightsize.whisper.plugins.module_utils._image_tools import ImageError

from tests.unit.fake_engine import FakeEngine

PACKAGE = Path(__file__).resolve().parents[4] / "bench_runner"
FILES = {path.name: path.read_bytes() for path in PACKAGE.iterdir() if path.is_file()}
OPTIONS = {
    "model": "base",
    "base": "python:3",
    "checkpoint": None,
    "checkpoint_sha256": None,
    "platform": None,
    "cache_dir": "/cache",
    "extra_index_url": "",
}


def pack(folder: Path, files: dict[str, bytes]) -> str:
    with tarfile.open(folder / "source.tar", "w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return str(folder / "source.tar")


Want = Callable[..., Wanted]


@pytest.fixture
def want(tmp_path: Path) -> Want:
    """What the module's options ask for, of the runner's source with changes."""

    def make(changes: dict[str, bytes] | None = None, architecture: str = "x86_64", **options: Any) -> Wanted:
        source = pack(tmp_path, {**FILES, **(changes or {})})
        return image.wanted_image({**OPTIONS, "source": source, **options}, architecture)

    return make


@pytest.fixture
def engine() -> FakeEngine:
    engine = FakeEngine()
    engine.add("python:3")
    engine.add("python:4")
    return engine


def digest_of(engine: FakeEngine, wanted: Wanted) -> str:
    return image.make_plan(engine, wanted).sha256


def test_the_same_inputs_have_the_same_name(engine: FakeEngine, want: Want) -> None:
    first, second = want(), want(cache_dir="/elsewhere", extra_index_url="https://example.org/simple")
    plan = image.make_plan(engine, first)
    name = image.image_name(first, plan)
    assert name == image.image_name(second, image.make_plan(engine, second))
    assert name == f"rightsize-whisper-runner:base-{plan.sha256[:12]}"


@pytest.mark.parametrize("name", sorted(FILES))
def test_every_file_is_an_input(engine: FakeEngine, want: Want, name: str) -> None:
    assert digest_of(engine, want({name: FILES[name] + b"\n"})) != digest_of(engine, want())


def test_a_new_file_and_a_file_with_another_name_are_inputs(engine: FakeEngine, want: Want) -> None:
    added = want({"new.py": b""})
    renamed = added._replace(files={{"new.py": "other.py"}.get(name, name): data for name, data in added.files.items()})
    assert len({digest_of(engine, wanted) for wanted in (want(), added, renamed)}) == 3


@pytest.mark.parametrize(
    "options",
    [
        {"model": "small"},
        {"base": "python:4"},
        {"base": "not there yet"},
        {"architecture": "arm64"},
        {"platform": "arm64"},
    ],
    ids=lambda options: " ".join(map(str, *options.items())),
)
def test_everything_else_is_an_input_too(engine: FakeEngine, want: Want, options: dict[str, Any]) -> None:
    assert digest_of(engine, want(**options)) != digest_of(engine, want())


def test_another_base_that_is_not_there_yet_is_another_input(engine: FakeEngine, want: Want) -> None:
    assert digest_of(engine, want(base="python:5")) != digest_of(engine, want(base="python:6"))


def test_the_weights_of_the_user_are_an_input(engine: FakeEngine, want: Want, tmp_path: Path) -> None:
    mine = tmp_path / "mine.pt"
    digests = {digest_of(engine, want())}
    for content in (b"weights", b"other weights"):
        mine.write_bytes(content)
        wanted = want(checkpoint=str(mine), checkpoint_sha256=hashlib.sha256(content).hexdigest())
        assert digest_of(engine, wanted) == digest_of(engine, want(checkpoint=str(mine)))
        digests.add(digest_of(engine, wanted))
    assert len(digests) == 3


@pytest.mark.parametrize(
    ("architecture", "asked", "platform", "is_foreign"),
    [
        ("x86_64", None, "amd64", False),
        ("arm64", None, "arm64", False),
        ("x86_64", "arm64", "arm64", True),
        ("arm64", "arm64", "arm64", False),
        ("riscv64", "amd64", "amd64", True),
    ],
)
def test_the_platform_is_the_engines_unless_another_is_asked_for(
    want: Want, architecture: str, asked: str | None, platform: str, is_foreign: bool
) -> None:
    wanted = want(architecture=architecture, platform=asked)
    assert (wanted.platform, wanted.is_foreign) == (platform, is_foreign)


def refused(want: Want, *arguments: Any, **options: Any) -> tuple[str, str]:
    with pytest.raises(ImageError) as caught:
        want(*arguments, **options)
    assert "\n" not in str(caught.value)
    return caught.value.kind, str(caught.value)


def test_an_unknown_model(want: Want) -> None:
    kind, message = refused(want, model="huge")
    assert kind == "model"
    assert message.startswith("openai-whisper has no model 'huge'; it has base, base.en, large")


def test_an_engine_that_no_wheels_fit(want: Want) -> None:
    message = "the engine runs on riscv64, for which no wheels are locked"
    assert refused(want, architecture="riscv64") == ("platform", message)


def test_a_source_that_is_none(want: Want, tmp_path: Path) -> None:
    assert refused(want, source=f"{tmp_path}/nowhere")[1].endswith(
        "No such file or directory: '" + f"{tmp_path}/nowhere'"
    )
    (tmp_path / "garbled").write_bytes(b"garbled")
    assert refused(want, source=f"{tmp_path}/garbled")[0] == "source"
    (tmp_path / "other").mkdir()
    few = pack(tmp_path / "other", {"models.json": b"{}"})
    assert refused(want, source=few) == ("source", "the runner's source has no Dockerfile and no requirements.lock")
    kind, message = refused(want, {"models.json": b"{"})
    assert kind == "source"
    assert message.startswith("the runner's models.json is damaged: ")


def test_an_image_that_was_made_of_the_same_is_found(engine: FakeEngine, want: Want) -> None:
    wanted = want()
    plan = image.make_plan(engine, wanted)
    assert plan.image is None
    label = image.LABEL
    labels = {"checkpoint-source": "file", "checkpoint-sha256": "12", "base": "python:3", "base-source": "engine"}
    name = image.image_name(wanted, plan)
    made = engine.add(name, **{label + key: value for key, value in labels.items()})
    plan = image.make_plan(engine, wanted)
    assert plan.image is made
    assert image.describe(wanted, plan) == {
        "id": made.id,
        "name": name,
        "tags": [name],
        "architecture": "x86_64",
        "size_bytes": 1000,
        "model": "base",
        "inputs_sha256": plan.sha256,
        "checkpoint": {"sha256": "12", "source": "file"},
        "base": {"name": "python:3", "source": "engine"},
    }


def test_the_difference_names_what_changed(engine: FakeEngine, want: Want) -> None:
    wanted = want()
    old = image.make_plan(engine, wanted)
    assert image.changed_inputs(engine, wanted, old) == {"before": {}, "after": old.inputs}
    engine.add("rightsize-whisper-runner:base", **{f"{image.LABEL}input-hashes": json.dumps(old.inputs)})
    assert image.changed_inputs(engine, wanted, old) == {"before": {}, "after": {}}
    changed = want({"cli.py": b"pass", "new.py": b"pass"})
    changed = changed._replace(files={name: data for name, data in changed.files.items() if name != "audio.py"})
    assert image.changed_inputs(engine, changed, image.make_plan(engine, changed)) == {
        "before": {name: old.inputs[name] for name in ("bench_runner/audio.py", "bench_runner/cli.py")},
        "after": dict.fromkeys(("bench_runner/cli.py", "bench_runner/new.py"), hashlib.sha256(b"pass").hexdigest()),
    }
