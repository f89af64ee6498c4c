# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.rightsize.whisper.plugins.modules import image_delivery
from docker import APIClient

Ask = Callable[..., dict[str, Any]]


def test_a_repository_that_is_none_is_told_in_one_line(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    api = APIClient("unix:///nowhere", version="1.44")
    image = SimpleNamespace(attrs={"Architecture": "amd64"}, client=SimpleNamespace(api=api))
    client = SimpleNamespace(images=SimpleNamespace(get=lambda name: image))
    monkeypatch.setattr(image_delivery, "connect", lambda *_how: (client, {}))
    told = ask(image_delivery, method="push", image="runner:base", repository="https://registry.example.com/team/x")
    assert told["failure"] == "bad_usage"
    assert "Repository name cannot contain a scheme (https://registry.example.com/team/x:base)" in told["msg"]
    lost = ask(image_delivery, method="push", image="runner:base", repository="registry.example.com/team/x")
    assert lost["failure"] == "engine_lost"
    assert "\n" not in told["msg"] + lost["msg"]
