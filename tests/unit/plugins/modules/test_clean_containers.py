# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.rightsize.whisper.plugins.module_utils import _engine_turn
from ansible_collections.rightsize.whisper.plugins.modules import clean_containers
from docker.errors import APIError
from requests import Response
from requests.exceptions import ConnectionError as RequestsConnectionError

Ask = Callable[..., dict[str, Any]]
LEFT = {"Id": "1", "Names": ["/rightsize-whisper-old"], "Labels": {}, "State": "running"}


def answer(ask: Ask, monkeypatch: pytest.MonkeyPatch, folder: Path, error: Exception) -> dict[str, Any]:
    """What the module answers where the engine answers a removal with this error."""

    def remove(name: str, **how: bool) -> None:
        raise error

    client = SimpleNamespace(api=SimpleNamespace(containers=lambda **_how: [LEFT], remove_container=remove))
    monkeypatch.setattr(_engine_turn, "FOLDER", str(folder))
    monkeypatch.setattr(clean_containers, "connect", lambda *_how: (client, {"id": "ID"}))
    return ask(clean_containers)


def test_what_another_host_removes_at_this_moment_is_removed(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    response = Response()
    response.status_code = 409
    error = APIError("409", response, "removal of container 1 is already in progress")
    assert answer(ask, monkeypatch, tmp_path, error)["removed"] == ["rightsize-whisper-old"]


def test_an_engine_that_is_lost_is_told_in_one_line(ask: Ask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    told = answer(ask, monkeypatch, tmp_path, RequestsConnectionError("connection\nrefused"))
    assert told["failure"] == "engine_lost"
    assert told["msg"] == "the engine stopped answering (connection refused); start it and run again"


def test_an_engine_that_refuses_is_told_in_one_line(ask: Ask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    told = answer(ask, monkeypatch, tmp_path, APIError("500", None, "driver\nfailed"))
    assert (told["failure"], told["msg"]) == ("engine_error", "the engine refused: driver failed")
