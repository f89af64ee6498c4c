# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.rightsize.whisper.plugins.module_utils import _engine_turn
from ansible_collections.rightsize.whisper.plugins.module_utils._image import Wanted, image_name, make_plan
from ansible_collections.rightsize.whisper.plugins.modules import runner_image

from tests.unit.fake_engine import FakeEngine

Ask = Callable[..., dict[str, Any]]
NAME = "rightsize-whisper-runner:base"


@pytest.fixture
def wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Wanted:
    """What every call of the module asks for."""
    wanted = Wanted({"Dockerfile": b"FROM x"}, "base", "python:3", "amd64", False, None, tmp_path, "")
    monkeypatch.setattr(runner_image, "wanted_image", lambda *_options: wanted)
    return wanted


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    engine = FakeEngine()
    engine.add("python:3")
    known = {"id": "ID", "architecture": "x86_64"}
    monkeypatch.setattr(runner_image, "connect", lambda *_how: (engine, known))
    return engine


def test_a_lock_that_cannot_be_had_is_told(
    ask: Ask, engine: FakeEngine, wanted: Wanted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_engine_turn, "FOLDER", str(tmp_path / "nowhere"))
    Path(f"{tmp_path}/nowhere").symlink_to(tmp_path / "nowhere")
    told = ask(runner_image)
    assert told["failure"] == "no_lock"
    assert told["msg"].startswith(f"cannot open {tmp_path}/nowhere/")
    assert (told["changed"], told["engine"]["id"]) == (False, "ID")


def test_an_image_that_lost_the_models_name_gets_it_back(ask: Ask, engine: FakeEngine, wanted: Wanted) -> None:
    made = engine.add(image_name(wanted, make_plan(engine, wanted)))
    engine.add(NAME)
    own_name = list(made.tags)
    rehearsed = ask(runner_image, check=True)
    assert (rehearsed["changed"], rehearsed["image"]["tags"]) == (True, own_name)
    told = ask(runner_image)
    assert (told["changed"], told["image"]["tags"]) == (True, [*own_name, NAME])
    engine.known[NAME] = made
    for check in (True, False):
        told = ask(runner_image, check=check)
        assert (told["changed"], "diff" in told) == (False, False)
    assert made.tags == [*own_name, NAME]
