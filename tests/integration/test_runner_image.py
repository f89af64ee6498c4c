# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import re
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import docker
import pytest
from jsonschema import Draft202012Validator

from tests.integration.playbooks import CHECKOUT, PlaybookRun, inventory
from tests.integration.runner_images import answer, building

pytestmark = [pytest.mark.engine, pytest.mark.image]

PACKAGE = CHECKOUT / "bench_runner"
MAX_BYTES = 1.1e9
LABEL = "io.rightsize.whisper."

Play = Callable[..., PlaybookRun]


@pytest.fixture
def tiny(tiny_checkpoint: Path) -> dict[str, str]:
    """The role's variables for the small image."""
    return {"runner_image_model": "tiny.en", "runner_image_checkpoint": str(tiny_checkpoint)}


@pytest.fixture
def source(tmp_path: Path, engine: docker.DockerClient, tiny_image: str) -> Iterator[Path]:
    """A copy of the runner's source, to be changed; what is built of it is removed."""
    folder = tmp_path / "bench_runner"
    shutil.copytree(PACKAGE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    name_tiny_image = partial(engine.images.get(tiny_image).tag, "rightsize-whisper-runner", "tiny.en")
    name_tiny_image()
    yield folder
    answers = [json.loads(file.read_text()) for file in tmp_path.glob("*.json")]
    for image in {told["image"]["id"] for told in answers if "image" in told}:
        engine.images.remove(image, force=True)
    # Another build takes the model's own name with it.
    name_tiny_image()


def names_of_images(engine: docker.DockerClient) -> set[str]:
    found = engine.images.list(name="rightsize-whisper-runner")
    return {tag for image in found for tag in image.tags if ":tiny.en" in tag}


def inside(engine: docker.DockerClient, image: str, *command: str, **options: Any) -> str:
    output = engine.containers.run(
        image, command[1:], entrypoint=command[0], remove=True, network_mode="none", **options
    )
    return str(output.decode())


def failed(play: Play, folder: Path, source: Path | None = None, **variables: Any) -> tuple[str, str]:
    """The kind and the message of a build that fails, and nothing else than the message does."""
    run = play(building(folder, source, **variables))
    assert run.wait(300) == 2, run.output
    assert "Traceback" not in run.output
    told = answer(folder)
    assert "\n" not in told["msg"]
    return told["failure"], told["msg"]


# The image


def test_it_is_small(engine: docker.DockerClient, runner_image: str) -> None:
    assert engine.images.get(runner_image).attrs["Size"] <= MAX_BYTES
    counted = inside(engine, runner_image, "du", "-sx", "--block-size=1", "/", user="0")
    assert int(counted.split()[0]) <= MAX_BYTES


LOOK = """
import importlib.util, json, shutil, sys
from pathlib import Path
modules = [name for name in ("triton", "torch._inductor", "sympy") if importlib.util.find_spec(name)]
programs = [name for name in ("gcc", "cc", "g++", "c++", "clang", "make", "nvcc", "protoc") if shutil.which(name)]
packages = sorted(path.name for path in Path("/opt/packages").iterdir())
big = [str(path) for path in Path("/").rglob("*.whl") if path.is_file()]
print(json.dumps({"modules": modules, "programs": programs, "packages": packages, "big": big}))
"""


def test_nothing_is_inside_that_inference_never_touches(engine: docker.DockerClient, runner_image: str) -> None:
    found = json.loads(inside(engine, runner_image, "python3", "-c", LOOK))
    assert found["modules"] == []
    assert found["programs"] == []
    assert found["big"] == []
    assert not {"pip", "setuptools", "triton", "bin"} & set(found["packages"])
    assert not [name for name in found["packages"] if name.startswith(("pip-", "nvidia", "triton-"))]


def test_it_says_what_it_was_made_of(engine: docker.DockerClient, runner_image: str, tiny_image: str) -> None:
    base, small = engine.images.get(runner_image), engine.images.get(tiny_image)
    assert base.labels[f"{LABEL}model"] == "base"
    assert base.labels[f"{LABEL}base-source"] in ("registry", "engine", "debootstrap")
    assert (
        "OpenAI" in base.labels[f"{LABEL}checkpoint-source"] or "conversion" in base.labels[f"{LABEL}checkpoint-source"]
    )
    assert runner_image.endswith(base.labels[f"{LABEL}inputs"][:12])
    assert small.labels[f"{LABEL}checkpoint-source"] == "file"
    assert base.attrs["Config"]["User"] == "65532:65532"
    inputs = json.loads(base.labels[f"{LABEL}input-hashes"])
    assert {"bench_runner/Dockerfile", "bench_runner/requirements.lock", "base", "checkpoint", "model"} <= set(inputs)
    # The packages are one layer, shared by the images of all models.
    assert len(set(base.attrs["RootFS"]["Layers"]) & set(small.attrs["RootFS"]["Layers"])) >= 2


@pytest.mark.parametrize(("image", "model"), [("tiny_image", "tiny.en"), ("runner_image", "base")])
def test_it_measures_with_a_read_only_root_no_network_and_no_rights(
    engine: docker.DockerClient, image: str, model: str, request: pytest.FixtureRequest
) -> None:
    name = request.getfixturevalue(image)
    printed = engine.containers.run(
        name,
        ["--model-size", model, "--iterations", "1", "--warmup", "0", "--processes", "1"],
        remove=True,
        read_only=True,
        network_mode="none",
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        user="65532",
        tmpfs={"/tmp": "size=64m"},
        nano_cpus=10**9,
    )
    result = json.loads(printed)
    Draft202012Validator(json.loads((PACKAGE / "result.schema.json").read_text())).validate(result)
    assert result["isolated"] is True
    assert result["cpu_limit"] == 1
    assert result["model_size"] == model
    baked = inside(engine, name, "cat", f"/models/{model}.pt.sha256")
    assert result["checkpoint"]["sha256"] == baked.split()[0]


# When it is built


@pytest.mark.usefixtures("tiny_image")
def test_it_is_not_built_again(play: Play, tmp_path: Path, tiny: dict[str, str], tiny_image: str) -> None:
    run = play(building(tmp_path, **tiny))
    assert run.wait() == 0, run.output
    told = answer(tmp_path)
    assert told["changed"] is False
    assert told["image"]["name"] == tiny_image
    assert "diff" not in told
    assert not run.progress("building")
    assert run.lines[-1][0] - run.lines[0][0] < 30


def test_check_mode_names_what_changed(
    play: Play, tmp_path: Path, tiny: dict[str, str], tiny_image: str, source: Path, engine: docker.DockerClient
) -> None:
    with (source / "cli.py").open("a") as file:
        file.write("# changed\n")
    before = names_of_images(engine)
    module = {
        "source": str(source),
        "model": "tiny.en",
        "checkpoint": tiny["runner_image_checkpoint"],
    }
    keep = {"content": "{{ told | to_json }}", "dest": f"{tmp_path}/told.json", "mode": "0644"}
    tasks = [
        {"rightsize.whisper.runner_image": module, "register": "told", "check_mode": True, "diff": True},
        {"ansible.builtin.copy": keep},
    ]
    run = play([{"hosts": "all", "gather_facts": False, "tasks": tasks}])
    assert run.wait() == 0, run.output
    told = json.loads((tmp_path / "told.json").read_text())
    assert told["changed"] is True
    assert told["needs_debootstrap"] is False
    assert "image" not in told
    assert set(told["diff"]["before"]) == set(told["diff"]["after"]) == {"bench_runner/cli.py"}
    assert "bench_runner/cli.py" in run.output
    assert names_of_images(engine) == before


@pytest.mark.slow
def test_of_two_builds_at_once_one_waits(
    play: Play, tmp_path: Path, tiny: dict[str, str], tiny_image: str, source: Path
) -> None:
    (source / "sample.txt").write_text(secrets.token_hex())
    hosts = inventory("one", "two")
    run = play(building(tmp_path, **tiny, source=source), hosts)
    assert run.wait(400) == 0, run.output
    one, two = answer(tmp_path, "one"), answer(tmp_path, "two")
    assert sorted([one["changed"], two["changed"]]) == [False, True]
    assert one["image"]["id"] == two["image"]["id"]
    assert run.progress("waiting for the engine")
    # A build from the engine's cache may be over between two looks.
    assert any(run.progress(words) for words in ("collecting the wheels", "sending the parts", "building, step"))


# What goes wrong


def test_an_unknown_model(play: Play, tmp_path: Path) -> None:
    kind, message = failed(play, tmp_path, runner_image_model="huge")
    assert kind == "model"
    assert message.startswith("openai-whisper has no model 'huge'; it has base, base.en")


def test_a_checkpoint_with_another_hash(play: Play, tmp_path: Path, tiny: dict[str, str]) -> None:
    kind, message = failed(play, tmp_path, **tiny, runner_image_checkpoint_sha256="0" * 64)
    assert kind == "checkpoint"
    assert f"the checkpoint {tiny['runner_image_checkpoint']} has SHA-256 " in message
    assert f", not {'0' * 64}: a wrong or damaged file" in message


def test_a_checkpoint_that_is_not_there(play: Play, tmp_path: Path) -> None:
    kind, message = failed(play, tmp_path, runner_image_checkpoint=f"{tmp_path}/missing.pt")
    assert (kind, message) == (
        "checkpoint",
        f"cannot read the checkpoint {tmp_path}/missing.pt: No such file or directory",
    )


def test_no_engine(play: Play, tmp_path: Path) -> None:
    url = f"unix://{tmp_path}/engine.sock"
    kind, message = failed(play, tmp_path, runner_image_engine_url=url)
    assert kind == "no_engine"
    assert f"tried {url} (option: No such file or directory)" in message
    assert "systemctl start docker" in message or sys.platform != "linux"


@pytest.mark.slow
def test_weights_of_another_model(play: Play, tmp_path: Path, tiny: dict[str, str], runner_image: str) -> None:
    kind, message = failed(play, tmp_path, **{**tiny, "runner_image_model": "base"})
    assert kind == "build"
    assert "the image's build failed at step " in message
    assert "base" in message.partition("): ")[2]


def test_a_step_that_fails(play: Play, tmp_path: Path, tiny: dict[str, str], tiny_image: str, source: Path) -> None:
    (source / "bake.py").write_text("raise SystemExit('nothing to bake here')\n")
    kind, message = failed(play, tmp_path, source, **tiny)
    assert kind == "build"
    assert re.fullmatch(
        r"the image's build failed at step \d+ of \d+ \(RUN python3 -m bench_runner\.bake .*\): nothing to bake here",
        message,
    )
