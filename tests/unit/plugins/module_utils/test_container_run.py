# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
import requests
from ansible_collections.rightsize.whisper.plugins.module_utils import _container_run, _load_run
from ansible_collections.rightsize.whisper.plugins.module_utils._container import RunError
from ansible_collections.rightsize.whisper.plugins.module_utils._container_run import ContainerRun
from ansible_collections.rightsize.whisper.plugins.module_utils._load import LoadPlan
from ansible_collections.rightsize.whisper.plugins.module_utils._load_run import LoadRun
from docker.errors import APIError

from tests.unit.containers import REQUEST

CALLER: Any = None
PLAN = LoadPlan(workers=1, rate_rps=1.0, requests=10, duration_seconds=60, dispatch="random", seed=0, max_workers=None)


def podman() -> Any:
    """As much of a client as it takes to come to the turn; the id is a new one in every answer."""
    image = SimpleNamespace(id="sha256:0", attrs={"Architecture": "amd64"})
    machine = {"Name": "vm", "DockerRootDir": "/storage", "Architecture": "x86_64", "NCPU": 2, "MemTotal": 2**33}
    return SimpleNamespace(
        images=SimpleNamespace(get=lambda name: image),
        info=lambda: {"ID": str(uuid4()), **machine},
        version=lambda: {"Components": [{"Name": "Podman Engine"}]},
    )


@pytest.mark.parametrize(
    "start",
    [
        lambda: ContainerRun(podman(), "podman", REQUEST, CALLER),
        lambda: LoadRun(podman(), "podman", REQUEST, PLAN, CALLER),
    ],
    ids=["a run", "a load test"],
)
def test_runs_on_podman_take_the_same_turn(start: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    engines: list[str] = []

    def turn(client: Any, engine_id: str, *_rest: object) -> None:
        engines.append(engine_id)
        raise RunError("no_lock", "as far as this test goes")

    for part in (_container_run, _load_run):
        monkeypatch.setattr(part, "EngineTurn", turn)
    for _run in range(2):
        with pytest.raises(RunError, match="as far as this test goes"):
            start().execute()
    assert len(engines) == 2
    assert len(set(engines)) == 1


@pytest.mark.parametrize(
    ("status", "words"),
    [(409, "can not get logs from container which is dead or marked for removal"), (404, "No such container: run")],
)
def test_a_container_that_is_removed_before_it_was_read_is_told_as_removed(
    status: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process was killed first, which a look at the container saw."""

    def logs(*_which: object, **_options: object) -> bytes:
        response = requests.Response()
        response.status_code = status
        raise APIError(words, response, words)

    client = podman()
    client.api = SimpleNamespace(
        start=lambda container_id: None,
        logs=logs,
        inspect_container=lambda container_id: {"State": {"Running": False, "ExitCode": 137, "OOMKilled": False}},
        remove_container=lambda name, **options: None,
    )
    caller: Any = SimpleNamespace(say=lambda words: None, pause=lambda seconds: None)

    def create(_client: object, _image: object, _request: object, facts: dict[str, Any], **_rest: object) -> list[Any]:
        facts["id"] = "run"
        return []

    monkeypatch.setattr(_container_run, "create", create)
    monkeypatch.setattr(_container_run, "EngineTurn", lambda *_: nullcontext(SimpleNamespace(owner="me")))
    with pytest.raises(RunError, match="the container was removed from outside after 0 of 50 iterations") as failure:
        ContainerRun(client, "podman", REQUEST, caller).execute()
    assert failure.value.kind == "container_killed"
