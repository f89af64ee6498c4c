# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.integration.playbooks import CHECKOUT, PlaybookRun
from tests.integration.runner_images import building

pytestmark = [pytest.mark.engine, pytest.mark.image]


@pytest.mark.usefixtures("tiny_image")
@pytest.mark.slow
def test_a_build_that_is_interrupted_goes_on_nowhere(
    play: Callable[..., PlaybookRun], tmp_path: Path, tiny_checkpoint: Path, engine: docker.DockerClient
) -> None:
    source = tmp_path / "bench_runner"
    shutil.copytree(CHECKOUT / "bench_runner", source, ignore=shutil.ignore_patterns("__pycache__"))
    (source / "bake.py").write_text(f"import time\n\ntime.sleep(600)  # {secrets.token_hex()}\n")

    def builds() -> list[Any]:
        found = engine.containers.list(ignore_removed=True)
        return [container for container in found if "bench_runner.bake" in str(container.attrs["Args"])]

    options = {"runner_image_model": "tiny.en", "runner_image_checkpoint": str(tiny_checkpoint)}
    run = play(building(tmp_path, source, **options))
    run.wait_for("(RUN python3 -m bench_runner.bake", timeout=180)
    assert builds()
    run.interrupt()
    assert run.wait() != 0
    deadline = time.monotonic() + 30
    while builds():
        assert time.monotonic() < deadline, "the build goes on though nobody waits for it"
        time.sleep(0.5)
