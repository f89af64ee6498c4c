# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.rightsize.whisper.plugins.module_utils._caller import Caller
from ansible_collections.rightsize.whisper.plugins.module_utils._container import RunError
from ansible_collections.rightsize.whisper.plugins.module_utils._pod_owner import (
    NotKept,
    idle_target,
    keep,
    state_folder,
    target_turn,
    unrecorded,
)

from tests.unit.factories import xeon_pool

WHERE = ("https://cluster.example.com", "whisper", "xeon_pool")


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path


class Impatient(Caller):
    """Waits for nobody."""

    def pause(self, seconds: float) -> None:
        raise InterruptedError


def owner_of(server: str, namespace: str, target: str) -> str | None:
    with idle_target(server, namespace, target) as owner:
        return owner


def test_a_target_keeps_its_word_and_others_have_another() -> None:
    assert owner_of(*WHERE) == owner_of(*WHERE)
    others = [owner_of("https://other.example.com", *WHERE[1:]), owner_of(WHERE[0], "other", WHERE[2])]
    assert len({owner_of(*WHERE), *others, owner_of(*WHERE[:2], "other")}) == 4


def test_one_run_of_a_target_at_a_time() -> None:
    with target_turn(*WHERE, Impatient("")) as owner:
        assert owner
        assert owner_of(*WHERE) is None
        assert owner_of(*WHERE[:2], "other")
        with pytest.raises(InterruptedError), target_turn(*WHERE, Impatient("")):
            pass
    with target_turn(*WHERE, Impatient("")) as again:
        assert again == owner


@pytest.mark.parametrize("torn", [b"", b"0123", b"\x00" * 32])
def test_a_torn_word_is_replaced(torn: bytes) -> None:
    owner_of(*WHERE)
    [path] = state_folder().iterdir()
    path.write_bytes(torn)
    owner = owner_of(*WHERE)
    assert owner == owner_of(*WHERE)
    assert len(owner or "") == 32


def test_a_place_that_cannot_be_written_is_told(home: Path) -> None:
    (home / "state").touch()
    with pytest.raises(RunError, match="XDG_STATE_HOME") as caught:
        owner_of(*WHERE)
    assert caught.value.kind == "no_state"


def test_a_link_is_not_followed(home: Path) -> None:
    owner_of(*WHERE)
    [path] = state_folder().iterdir()
    path.unlink()
    path.symlink_to(home / "victim")
    with pytest.raises(RunError):
        owner_of(*WHERE)
    assert not (home / "victim").exists()


def test_a_result_is_kept_whole_and_privately(home: Path) -> None:
    folder = home / "results" / "unrecorded"
    path = Path(keep(str(folder), xeon_pool()))
    assert json.loads(path.read_text()) == xeon_pool()
    assert (path.name, path.stat().st_mode & 0o777) == (f"{xeon_pool()['run_id']}.json", 0o600)
    keep(str(folder), xeon_pool(cpu_model="again"))
    assert json.loads(path.read_text())["cpu_model"] == "again"
    assert list(folder.iterdir()) == [path]


def test_a_result_that_cannot_be_kept_is_told_and_leaves_nothing(home: Path) -> None:
    (home / "results").mkdir()
    (home / "results" / f"{xeon_pool()['run_id']}.json").mkdir()
    with pytest.raises(NotKept, match="cannot keep the result in") as caught:
        keep(str(home / "results"), xeon_pool())
    assert caught.value.kind == "not_kept"
    assert [path.name for path in (home / "results").iterdir()] == [f"{xeon_pool()['run_id']}.json"]


def test_what_nobody_recorded_is_found_for_its_target(home: Path) -> None:
    keep(str(home), xeon_pool(run_id="run-of-target-1", target="mine"))
    keep(str(home), xeon_pool(run_id="run-of-target-2", target="another's"))
    (home / "damaged.json").write_text('{"half')
    (home / "no-result.json").write_text("{}")
    (home / "other.txt").write_text("not looked at")
    found = {Path(path).name: result for path, result in unrecorded(str(home), "mine")}
    assert found.keys() == {"damaged.json", "no-result.json", "run-of-target-1.json"}
    assert found["run-of-target-1.json"] == xeon_pool(run_id="run-of-target-1", target="mine")
    assert "not one JSON document" in str(found["damaged.json"])
    assert list(unrecorded(str(home / "nowhere"), "mine")) == []
