# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.rightsize.whisper.plugins.module_utils import _engine_turn
from ansible_collections.rightsize.whisper.plugins.module_utils._container import RunError
from ansible_collections.rightsize.whisper.plugins.module_utils._engine_turn import (
    LABEL,
    EngineTurn,
    containers_of_killed_runs,
)
from docker.errors import APIError
from requests import Response


class Engine:
    """As much of docker's client as taking turns needs, in the engine's own words."""

    def __init__(self, *containers: dict[str, Any]) -> None:
        self.containers_left = list(containers)
        self.api = self

    def containers(self, **_filters: object) -> list[dict[str, Any]]:
        return list(self.containers_left)

    def remove_container(self, container_id: str, **_how: bool) -> None:
        self.containers_left = [each for each in self.containers_left if each["Id"] != container_id]


def a_container(owner: str, seconds_left: float | None, run_id: str = "a-dead-run") -> dict[str, Any]:
    labels = {LABEL + "owner": owner, LABEL + "run-id": run_id}
    if seconds_left is not None:
        labels[LABEL + "deadline"] = f"{time.time() + seconds_left:.0f}"
    return {"Id": owner, "Labels": labels, "State": "running"}


class Listener:
    """A caller that keeps what was said, and does something while it waits."""

    def __init__(self, meanwhile: Any = lambda: None) -> None:
        self.said: list[str] = []
        self._meanwhile = meanwhile

    def say(self, words: str) -> None:
        self.said.append(words)

    def pause(self, seconds: float) -> None:
        self._meanwhile()


class Hurried(Listener):
    """Waits as long as it is asked to in proportion, only shorter: who passes a turn on waits longer than who looks for one."""

    def pause(self, seconds: float) -> None:
        time.sleep(0.01 if seconds < _engine_turn.PASS_ON_SECONDS else 0.5)


@pytest.fixture(autouse=True)
def lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(_engine_turn, "FOLDER", str(tmp_path))
    return Path(_engine_turn._lock_path("ID"))


@pytest.fixture
def another_holder(lock: Path) -> Iterator[int]:
    descriptor = os.open(lock, os.O_CREAT | os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    yield descriptor
    os.close(descriptor)


def take_turn(caller: Listener, engine: Engine | None = None) -> str:
    with EngineTurn(engine or Engine(), "ID", caller) as turn:  # type: ignore[arg-type]
        return turn.owner


def test_a_free_engine_is_taken_at_once() -> None:
    caller = Listener()
    take_turn(caller)
    assert caller.said == []


def test_another_run_on_this_machine_is_waited_for(another_holder: int) -> None:
    caller = Listener(lambda: fcntl.flock(another_holder, fcntl.LOCK_UN))
    take_turn(caller)
    assert caller.said == ["waiting for the engine, on which another run measures"]


def test_a_lock_file_that_was_cleaned_away_is_not_trusted(another_holder: int, lock: Path) -> None:
    def clean_and_unlock() -> None:
        lock.unlink(missing_ok=True)
        fcntl.flock(another_holder, fcntl.LOCK_UN)

    take_turn(Listener(clean_and_unlock))
    assert lock.stat().st_ino != os.fstat(another_holder).st_ino


def test_the_turn_ends_with_the_run(lock: Path) -> None:
    take_turn(Listener())
    with lock.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_the_lock_file_serves_every_user(lock: Path) -> None:
    take_turn(Listener())
    assert lock.stat().st_mode & 0o777 == 0o444


def test_a_link_in_place_of_the_lock_is_not_followed(lock: Path, tmp_path: Path) -> None:
    lock.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RunError, match="symbolic links") as caught:
        take_turn(Listener())
    assert caught.value.kind == "no_lock"
    assert not (tmp_path / "elsewhere").exists()


def test_what_this_machine_left_behind_is_removed() -> None:
    engine = Engine(a_container(take_turn(Listener()), 3600))
    take_turn(Listener(), engine)
    assert engine.containers_left == []


@pytest.mark.parametrize("seconds_left", [-1.5, None])
def test_what_another_machine_left_behind_is_removed_after_its_deadline(seconds_left: float | None) -> None:
    engine = Engine(a_container("elsewhere:1:2", seconds_left))
    take_turn(Listener(), engine)
    assert engine.containers_left == []


def test_what_another_machine_removes_at_this_moment_is_left_to_it() -> None:
    class Busy(Engine):
        def remove_container(self, container_id: str, **_how: bool) -> None:
            response = Response()
            response.status_code = 409
            raise APIError("409", response, f"removal of container {container_id} is already in progress")

    caller = Listener()
    take_turn(caller, Busy(a_container("elsewhere:1:2", -1)))
    assert caller.said == []


def test_a_live_run_of_another_machine_is_waited_for_and_left_alone() -> None:
    theirs = a_container("elsewhere:1:2", 3600)
    engine = Engine(theirs)
    caller = Listener(lambda: theirs.update(State="exited"))
    take_turn(caller, engine)
    assert caller.said == ["waiting for the engine, on which a run from another machine measures"]
    assert engine.containers_left == [theirs]


def names(engine: Engine, *, everything: bool = False) -> list[str]:
    with containers_of_killed_runs(engine, "ID", everything) as found:
        return [each["Id"] for each in found]


def test_what_killed_runs_left_is_told_from_what_is_under_way() -> None:
    with a_run("alive-run") as turn:
        engine = Engine(
            a_container(turn.owner, -1, "alive-run"),
            a_container("other", 60),
            a_container("late", -1),
            a_container("odd", None),
        )
        assert names(engine) == ["late", "odd"]
        assert names(engine, everything=True) == [turn.owner, "other", "late", "odd"]
    assert names(engine) == [turn.owner, "late", "odd"]
    assert len(engine.containers_left) == 4


def a_run(run_id: str, engine: Engine | None = None, caller: Listener | None = None) -> EngineTurn:
    return EngineTurn(engine or Engine(), "ID", caller or Listener(), run_id)  # type: ignore[arg-type]


def test_a_turn_that_is_passed_on_is_another_runs_until_that_passes_it_on(lock: Path) -> None:
    took: list[str] = []
    passing = threading.Event()

    def run(name: str) -> None:
        with a_run(name, caller=Hurried()) as turn:
            for number in range(3):
                if number:
                    turn.pass_on()
                with lock.open() as file, pytest.raises(BlockingIOError):
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                took.append(name)
                passing.wait(60)

    threads = [threading.Thread(target=run, args=(name,)) for name in ("run-a", "run-b")]
    for thread in threads:
        thread.start()
    time.sleep(0.2)
    passing.set()
    for thread in threads:
        thread.join(60)
    assert sorted(took) == ["run-a"] * 3 + ["run-b"] * 3
    assert took[0] != took[1]


def test_a_container_whose_run_waits_for_its_turn_is_left_alone() -> None:
    with a_run("waiting-run") as turn:
        waiting = a_container(turn.owner, -1, "waiting-run")
        engine = Engine(waiting)
        turn._release()
        caller = Listener()
        take_turn(caller, engine)
        assert engine.containers_left == [waiting]
        assert caller.said == []
        turn._take()


def test_a_run_has_its_id_to_itself() -> None:
    with a_run("one-run"), pytest.raises(RunError, match="a run one-run is under way"), a_run("one-run"):
        pass


def test_a_run_leaves_no_file(lock: Path) -> None:
    with a_run("one-run"):
        assert len(list(lock.parent.iterdir())) == 2
    assert list(lock.parent.iterdir()) == [lock]


def test_what_a_killed_run_left_is_removed_by_the_next_and_what_a_live_one_needs_is_not(lock: Path) -> None:
    (lock.parent / Path(_engine_turn._life_path("ID", "killed-run")).name).touch()
    (lock.parent / Path(_engine_turn._life_path("another engine", "its-run")).name).touch()
    with a_run("live-run") as live:
        live._release()
        with a_run("next-run"):
            left = {file.name for file in lock.parent.iterdir()}
        live._take()
    wanted = [_engine_turn._life_path("ID", run) for run in ("live-run", "next-run")]
    assert left == {Path(path).name for path in (*wanted, _engine_turn._life_path("another engine", "its-run"), lock)}


def test_a_life_that_was_removed_before_it_was_locked_is_begun_again(
    lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = _engine_turn._opened
    life = Path(_engine_turn._life_path("ID", "one-run"))

    def opened_and_removed(path: str) -> int:
        descriptor = opened(path)
        if path == str(life):
            life.unlink()
            monkeypatch.setattr(_engine_turn, "_opened", opened)
        return descriptor

    monkeypatch.setattr(_engine_turn, "_opened", opened_and_removed)
    with a_run("one-run"):
        assert life.exists()
        assert names(Engine(a_container("elsewhere:1:2", -1, "one-run"))) == []
