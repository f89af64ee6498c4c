# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.rightsize.whisper.plugins.module_utils import _history
from ansible_collections.rightsize.whisper.plugins.module_utils._history import open_history
from ansible_collections.rightsize.whisper.plugins.module_utils._history_record import accept, parse_line, read_schema

from tests.integration.history_tasks import appending, ask, probing, reading
from tests.integration.playbooks import PlaybookRun
from tests.unit.factories import SCHEMA_FILE, mac_m4, xeon_pool

Play = Callable[..., PlaybookRun]

WRITERS = 64
RECORDS_PER_WRITER = 6
# Some are killed at any time, some at the worst: in the middle of a write.
KILLED = 16
KILLED_WHILE_WRITING = 8

HOSTILE = "\x1b]0;owned\x07\x1b[2J\u202e\r\n| {{ lookup('pipe', 'touch PWNED') }} {% for x in y %} <script>`'\" é😀"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "results").mkdir()
    return tmp_path / "results" / "history.jsonl"


def test_results_are_appended_once_and_read_back(path: Path, tmp_path: Path, play: Play) -> None:
    mac, xeon, given = mac_m4(), xeon_pool(), tmp_path / "given"
    first, again, second, conflict, read, chosen, lacking = ask(
        play,
        tmp_path / "answers",
        appending(path, mac, given, diff=True),
        appending(path, mac, given),
        appending(path, xeon, given),
        appending(path, {**xeon, "target": "another"}, given),
        reading(path, run_ids=[xeon["run_id"], mac["run_id"]], newest=1),
        reading(path, target="mac_m4", model="base"),
        reading(path, run_ids=["run-00000000"]),
    )
    assert (first["changed"], first["appended"], first["records"], first["damaged_lines"]) == (True, True, 1, [])
    assert json.loads(first["diff"]["after"])["run_id"] == mac["run_id"]
    assert (again["changed"], again["appended"], again["records"]) == (False, False, 1)
    assert (second["changed"], second["records"]) == (True, 2)
    assert conflict["failed"]
    assert "already has the run 20261123t121500-58656f6e with another result" in conflict["msg"]
    saved = Path(conflict["saved_aside"])
    assert json.loads(saved.read_text()) == {**xeon, "target": "another"}
    saved.unlink()
    assert read["results"] == [xeon, mac]
    assert [summary["run_id"] for summary in read["summaries"]] == [xeon["run_id"]]
    assert [summary["run_id"] for summary in chosen["summaries"]] == [mac["run_id"]]
    assert lacking["failed"]
    assert "has no run run-00000000" in lacking["msg"]
    assert [parse_line(line) for line in path.read_bytes().splitlines()] == [mac, xeon]


def test_in_check_mode_nothing_is_written(path: Path, tmp_path: Path, play: Play) -> None:
    mac, given = mac_m4(), tmp_path / "given"
    new, _kept, known, newer, bad = ask(
        play,
        tmp_path / "answers",
        appending(path, mac, given, check_mode=True),
        appending(path.with_name("other.jsonl"), mac, given),
        appending(path.with_name("other.jsonl"), mac, given, check_mode=True),
        appending(path.with_name("other.jsonl"), xeon_pool(), given, check_mode=True, diff=True),
        appending(path, mac_m4(schema_version="2.0"), given, check_mode=True),
    )
    assert (new["changed"], new["records"]) == (True, 1)
    assert (known["changed"], known["records"]) == (False, 1)
    assert (newer["changed"], newer["records"]) == (True, 2)
    assert "xeon_pool" in newer["diff"]["after"]
    assert bad["failed"]
    assert not path.exists()
    assert len(path.with_name("other.jsonl").read_bytes().splitlines()) == 1


def test_before_there_is_a_result_it_is_looked_whether_it_could_be_kept(path: Path, tmp_path: Path, play: Play) -> None:
    without_result = probing(path.with_name("other.jsonl"))
    without_result["rightsize.whisper.result_history"]["probe"] = False
    missing, _kept, there, in_check_mode, forgotten = ask(
        play,
        tmp_path / "answers",
        probing(path.with_name("other.jsonl")),
        appending(path, mac_m4(), tmp_path / "given"),
        probing(path),
        probing(path.parent / "missing" / "history.jsonl", check_mode=True),
        without_result,
    )
    for answer in (missing, there, in_check_mode):
        assert not answer.get("failed")
        assert (answer["changed"], answer["appended"]) == (False, False)
    assert (missing["records"], there["records"]) == (0, 1)
    assert "probe is False but all of the following are missing: result" in forgotten["msg"]
    assert [parse_line(line) for line in path.read_bytes().splitlines()] == [mac_m4()]
    assert not path.with_name("other.jsonl").exists()


def test_texts_from_a_target_are_data(path: Path, tmp_path: Path, play: Play) -> None:
    hostile = mac_m4(
        target=HOSTILE, cpu_model=HOSTILE, labels={"note": HOSTILE}, warnings=[{"code": "noisy", "message": HOSTILE}]
    )
    store = {
        "rightsize.whisper.normalization_store": {
            "path": str(path.with_name("normalization.yml")),
            "normalization": "{{ answer_2.results[0] | rightsize.whisper.normalization_ratio(answer_2.results[1]) }}",
        },
    }
    appended, _other, read, stored = ask(
        play,
        tmp_path / "answers",
        appending(path, hostile, tmp_path / "given", diff=True),
        appending(path, xeon_pool(), tmp_path / "given"),
        reading(path, run_ids=[hostile["run_id"], xeon_pool()["run_id"]]),
        {**store, "diff": True},
    )
    assert appended["changed"]
    assert appended["diff"]["after"].replace("\n", "").isascii()
    assert read["results"][0] == hostile
    assert stored["entry"]["target_cpu_model"] == HOSTILE
    assert stored["entry"]["warnings"][0]["message"] == f"target {HOSTILE}: {HOSTILE}"
    assert not list(tmp_path.rglob("PWNED"))


def test_damage_is_told_and_left(path: Path, tmp_path: Path, play: Play) -> None:
    damaged = b"garbage\n" + json.dumps(mac_m4()).encode()[:2000]
    path.write_bytes(damaged)
    answers = ask(play, tmp_path / "answers", appending(path, xeon_pool(), tmp_path / "given"), reading(path))
    for answer in answers:
        assert answer["damaged"] == 2
        garbage, torn = answer["damaged_lines"]
        assert garbage == {"line": 1, "offset": 0, "length": 8, "reason": "not JSON, perhaps cut short"}
        assert (torn["line"], torn["offset"], torn["length"]) == (2, 8, 2001)
        assert answer["records"] == 1
    assert "2 lines that hold no result" in " ".join(answers.output.split())
    assert path.read_bytes().startswith(damaged + b"\n{")


class Writer:
    """A process that appends records, and notes each that it was told is safe."""

    def __init__(self, path: Path, number: int, dies_writing: bool) -> None:
        self.run_ids = [f"run-{number:04d}-{record:04d}" for record in range(RECORDS_PER_WRITER)]
        self.notes = path.with_name(f"notes-{number}")
        self.pid = os.fork()
        if self.pid == 0:
            try:
                self._write(path, dies_writing)
            finally:
                os._exit(0)

    def _write(self, path: Path, dies_writing: bool) -> None:
        schema = read_schema(str(SCHEMA_FILE))
        notes = os.open(self.notes, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for number, run_id in enumerate(self.run_ids):
            record = accept(xeon_pool(run_id=run_id), schema)
            if dies_writing and number == 2:
                _history.write_fully = die_writing  # type: ignore[attr-defined]
            with open_history(str(path), create=True) as history:
                if not history.holds(record):
                    history.append(record)
            os.write(notes, run_id.encode() + b"\n")

    @property
    def noted(self) -> list[str]:
        return self.notes.read_text().split() if self.notes.exists() else []


def die_writing(descriptor: int, data: bytes) -> None:
    os.write(descriptor, data[: random.randrange(1, len(data) - 1)])
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture
def writers(path: Path) -> Iterator[list[Writer]]:
    started = [Writer(path, number, dies_writing=number < KILLED_WHILE_WRITING) for number in range(WRITERS)]
    yield started
    for writer in started:
        try:
            os.kill(writer.pid, signal.SIGKILL)
            os.waitpid(writer.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            continue


def test_64_writers_lose_nothing_though_some_are_killed(path: Path, writers: list[Writer]) -> None:
    generator = random.Random(64)
    for writer in generator.sample(writers[KILLED_WHILE_WRITING:], KILLED):
        time.sleep(generator.uniform(0, 0.1))
        os.kill(writer.pid, signal.SIGKILL)
    for writer in writers:
        os.waitpid(writer.pid, 0)

    noted = {run_id for writer in writers for run_id in writer.noted}
    whole, torn = Counter[str](), []
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            whole[parse_line(line)["run_id"]] += 1
        except ValueError:
            torn.append(number)
    assert set(whole.values()) == {1}
    assert noted <= whole.keys()
    # A kill may come between the write and the note, once for each who was killed.
    assert len(whole.keys() - noted) <= KILLED
    assert len(noted) >= (WRITERS - KILLED - KILLED_WHILE_WRITING) * RECORDS_PER_WRITER
    assert len(torn) >= KILLED_WHILE_WRITING

    def seen() -> tuple[list[str], int, set[int]]:
        with open_history(str(path)) as history:
            lines = {line.line for line in history.damaged_lines()}
            return [summary["run_id"] for summary in history.newest(10_000)], history.damaged, lines

    followed = seen()
    path.with_name(".history.jsonl.index").unlink()
    assert followed == seen()
    assert set(followed[0]) == whole.keys()
    assert followed[1] == len(torn)
    assert followed[2] == set(torn[-20:])


def bytes_read(work: Callable[[], Any]) -> int:
    """What this process reads while it works, by the kernel's count."""

    def count() -> int:
        return int(dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())["rchar"])

    before = count()
    work()
    return count() - before


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="only Linux counts what a process reads")
def test_what_is_read_does_not_grow_with_the_history(path: Path) -> None:
    schema = read_schema(str(SCHEMA_FILE))

    def append(run_id: str) -> None:
        record = accept(xeon_pool(run_id=run_id), schema)
        with open_history(str(path), create=True) as history:
            assert not history.holds(record)
            history.append(record)

    def look() -> None:
        with open_history(str(path)) as history:
            history.read("run-00000001")
            assert len(history.newest(20, target="xeon_pool")) == 20

    template = accept(xeon_pool(run_id="run-00000000"), schema).line
    read: list[list[int]] = []
    for first, last in ((0, 100), (100, 6000)):
        with path.open("ab") as file:
            for number in range(first, last):
                file.write(template.replace(b"run-00000000", b"run-%08d" % number, 1))
        look()
        read.append([bytes_read(lambda last=last: append(f"new-{last:08d}")), bytes_read(look)])
    (append_few, look_few), (append_many, look_many) = read
    assert path.stat().st_size > 30_000_000
    # A few more pages of the index, and no more of the history.
    assert append_many < append_few + 100_000
    assert look_many < look_few + 100_000
