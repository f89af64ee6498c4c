# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.rightsize.whisper.plugins.module_utils._history import History, open_history, save_aside
from ansible_collections.rightsize.whisper.plugins.module_utils._history_index import Index, read_lines
from ansible_collections.rightsize.whisper.plugins.module_utils._history_record import (
    HistoryError,
    Record,
    accept,
    read_schema,
)
from ansible_collections.rightsize.whisper.plugins.module_utils._result import MAX_RESULT_BYTES

from tests.unit.factories import SCHEMA_FILE, mac_m4, xeon_pool

SCHEMA = read_schema(str(SCHEMA_FILE))


def record(number: int, **changes: Any) -> Record:
    return accept(xeon_pool(run_id=f"run-{number:08d}", **changes), SCHEMA)


def append(path: Path, *records: Record) -> None:
    with open_history(str(path), create=True) as history:
        for one in records:
            assert not history.holds(one)
            history.append(one)


def listed(path: Path) -> list[str]:
    """The run ids in the order of the file, as the index has them."""
    with open_history(str(path)) as history:
        return [summary["run_id"] for summary in history.newest(1_000_000)][::-1]


def damaged(path: Path) -> list[tuple[int, str]]:
    with open_history(str(path)) as history:
        return [(line.line, line.reason) for line in history.damaged_lines()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.jsonl"


@pytest.fixture
def index_path(path: Path) -> Path:
    return path.with_name(".history.jsonl.index")


@pytest.fixture
def scanned(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The offsets of the lines that are read to bring an index up to date."""
    offsets: list[int] = []

    def noting(*arguments: Any) -> Iterator[Any]:
        for line in read_lines(*arguments):
            offsets.append(line.offset)
            yield line

    monkeypatch.setattr(Index.catch_up.__module__ + ".read_lines", noting)
    return offsets


def test_what_is_appended_can_be_read(path: Path) -> None:
    append(path, record(1), record(2))
    with open_history(str(path)) as history:
        assert history.records == 2
        assert history.read("run-00000002") == xeon_pool(run_id="run-00000002")
        assert history.find("run-00000003") is None
        assert history.all_warnings() == []
    assert path.read_bytes() == record(1).line + record(2).line


def test_only_this_user_may_read_it(path: Path, index_path: Path) -> None:
    append(path, record(1))
    assert path.stat().st_mode & 0o777 == 0o600
    assert index_path.stat().st_mode & 0o777 == 0o600


def test_a_run_is_held_once(path: Path) -> None:
    append(path, record(1))
    with open_history(str(path), create=True) as history:
        assert history.holds(record(1))
        with pytest.raises(HistoryError, match="already has the run run-00000001 with another result"):
            history.holds(record(1, target="another"))


def test_a_run_that_is_missing_is_named(path: Path) -> None:
    append(path, record(1))
    with open_history(str(path)) as history, pytest.raises(HistoryError, match="has no run run-00000009"):
        history.read("run-00000009")


def test_a_history_that_is_missing_is_named(path: Path) -> None:
    with (
        pytest.raises(HistoryError, match=r"cannot open the history .*history\.jsonl: No such file"),
        open_history(str(path)),
    ):
        pass
    assert not path.exists()


def test_summaries_come_newest_first_and_can_be_chosen(path: Path) -> None:
    append(path, *(record(number, target=f"target {number % 2}") for number in range(10)))
    append(path, accept(mac_m4(model_size="small", isolated=False), SCHEMA))
    with open_history(str(path)) as history:
        assert [summary["run_id"] for summary in history.newest(2)] == ["20261123t120000-4d61634d", "run-00000009"]
        assert [summary["run_id"] for summary in history.newest(2, target="target 0")] == [
            "run-00000008",
            "run-00000006",
        ]
        assert history.newest(5, target="target 0", model_size="small") == []
        assert history.newest(0) == []
        (small,) = history.newest(5, model_size="small")
    expected = mac_m4(model_size="small", isolated=False)
    keys = (
        "run_id timestamp target architecture cpu_model model_size threads iterations avg_latency_ms isolated partial"
    )
    assert small == {**{key: expected[key] for key in keys.split()}, "isolation_mode": "quota", "labels": {}}
    assert small["isolated"] is False


def test_runs_are_chosen_by_their_labels_and_the_newest_of_each_target(path: Path) -> None:
    labels: dict[int, dict[str, str]] = {3: {"clips": "run-00000001"}, 4: {"stress": "s", "a.b/c": "x y"}}
    append(path, *(record(number, target=f"target {number % 2}", labels=labels.get(number, {})) for number in range(5)))
    with open_history(str(path)) as history:

        def found(**options: Any) -> list[str]:
            return [summary["run_id"][-1] for summary in history.newest(9, **options)]

        assert found() == ["4", "3", "2", "1", "0"]
        assert found(labels={"clips": "run-00000001"}) == ["3"]
        assert found(labels={"clips": "another"}) == []
        assert found(labels={"a.b/c": "x y", "stress": "s"}) == ["4"]
        assert found(without_labels=["stress", "clips"]) == ["2", "1", "0"]
        assert found(per_target=True) == ["4", "3"]
        assert found(per_target=True, without_labels=["stress", "clips"]) == ["2", "1"]
        assert found(per_target=True, without_labels=["stress"], target="target 0") == ["2"]
        with pytest.raises(ValueError, match="there is no label 'a\"b'"):
            found(labels={'a"b': "x"})


@pytest.mark.parametrize("torn_bytes", [1, 500, len(record(2).line) - 1])
def test_a_line_cut_short_is_reported_and_kept_and_ended_by_the_next_append(path: Path, torn_bytes: int) -> None:
    torn = record(2).line[:torn_bytes]
    if torn_bytes == len(record(2).line) - 1:
        torn = torn[:-1]  # Without its newline alone, it would be whole.
    append(path, record(1))
    with path.open("ab") as file:
        file.write(torn)
    assert damaged(path) == [(2, "not JSON, perhaps cut short")]
    assert path.read_bytes() == record(1).line + torn
    append(path, record(3))
    assert path.read_bytes() == record(1).line + torn + b"\n" + record(3).line
    assert damaged(path) == [(2, "not JSON, perhaps cut short")]
    assert listed(path) == ["run-00000001", "run-00000003"]
    # The run whose line was cut short can be appended again.
    append(path, record(2))
    assert listed(path) == ["run-00000001", "run-00000003", "run-00000002"]


def test_a_last_line_that_only_lacks_its_end_is_a_record(path: Path) -> None:
    path.write_bytes(record(1).line + record(2).line[:-1])
    with open_history(str(path), create=True) as history:
        assert history.records == 2
        assert history.holds(record(2))
        assert history.read("run-00000002")["run_id"] == "run-00000002"
    append(path, record(3))
    assert path.read_bytes() == record(1).line + record(2).line + record(3).line
    assert listed(path) == ["run-00000001", "run-00000002", "run-00000003"]


def test_damaged_lines_are_skipped_and_told_with_their_place(path: Path) -> None:
    lines = {
        b"\x00" * 4096: "not JSON",
        b"garbage": "not JSON",
        b"\xff\xfe": "not UTF-8",
        b"[]": "no run id",
        b'{"run_id": "run-00000077"}': "schema version None",
        record(8).line[:-1].replace(b'"1.0"', b'"2.0"', 1): "schema version '2.0'",
        record(8).line[:-1].replace(b'"threads":1', b'"threads":"1"', 1): "no result: threads",
        record(8).line[:-1].replace(b'"iterations":50', b'"iterations":1e999', 1): "no result: iterations",
        record(8).line[:-1].replace(b'"xeon_pool"', b'"\\ud800"', 1): "surrogates not allowed",
        record(1).line[:-1]: "repeats the run run-00000001 of line 1",
        b"x" * (MAX_RESULT_BYTES + 1): "longer than",
    }
    path.write_bytes(record(1).line + b"\n" + b"".join(line + b"\n" for line in lines) + record(2).line)
    found = damaged(path)
    assert [number for number, _reason in found] == list(range(3, 3 + len(lines)))
    for (_line, reason), expected in zip(found, lines.values(), strict=True):
        assert expected in reason
    assert listed(path) == ["run-00000001", "run-00000002"]
    content = path.read_bytes()
    with open_history(str(path)) as history:
        for line, expected_line in zip(history.damaged_lines(), lines, strict=True):
            assert content[line.offset : line.offset + line.length] == expected_line + b"\n"
        (warning,) = history.all_warnings()
    assert f"{len(lines)} lines that hold no result" in warning
    assert warning.isprintable()


def test_of_many_damaged_lines_the_last_are_told(path: Path) -> None:
    path.write_bytes(b"garbage\n" * 1000)
    with open_history(str(path)) as history:
        assert history.damaged == 1000
        assert [line.line for line in history.damaged_lines()] == list(range(981, 1001))


def test_the_index_can_be_deleted(path: Path, index_path: Path) -> None:
    append(path, record(1), record(2))
    index_path.unlink()
    assert listed(path) == ["run-00000001", "run-00000002"]


@pytest.mark.parametrize("content", [b"", b"no database", b"SQLite format 3\x00" + b"\xff" * 5000])
def test_a_damaged_index_is_built_anew(path: Path, index_path: Path, content: bytes) -> None:
    append(path, record(1), record(2))
    index_path.write_bytes(content)
    append(path, record(3))
    assert listed(path) == ["run-00000001", "run-00000002", "run-00000003"]


def test_an_index_with_a_damaged_page_is_built_anew(path: Path, index_path: Path) -> None:
    append(path, *map(record, range(200)))
    content = bytearray(index_path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    index_path.write_bytes(content)
    assert len(listed(path)) == 200
    append(path, record(200))
    assert len(listed(path)) == 201


def test_only_the_tail_is_read(path: Path, scanned: list[int]) -> None:
    append(path, *map(record, range(50)))
    end = path.stat().st_size
    scanned.clear()
    append(path, record(50))
    listed(path)
    assert scanned == [end]


def test_what_another_program_appends_is_found(path: Path, scanned: list[int]) -> None:
    append(path, record(1))
    with path.open("ab") as file:
        file.write(record(2).line + b"garbage\n" + record(3).line)
    scanned.clear()
    assert listed(path) == ["run-00000001", "run-00000002", "run-00000003"]
    assert scanned[0] == len(record(1).line)
    assert damaged(path) == [(3, "not JSON, perhaps cut short")]


@pytest.mark.parametrize(
    ("numbers", "content"),
    [
        ([3], record(3).line),
        ([1, 3], record(1).line + record(3).line),
        ([3, 1, 2], record(3).line + record(1).line + record(2).line),
        ([2, 1, 3], record(2).line + record(1).line + record(3).line),
        ([], b""),
    ],
)
def test_a_history_that_was_edited_is_read_anew(path: Path, numbers: list[int], content: bytes) -> None:
    append(path, record(1), record(2))
    before = path.stat()
    path.write_bytes(content)
    # Clocks of file systems tick coarsely.
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 10_000_000))
    assert listed(path) == [f"run-{number:08d}" for number in numbers]


def test_a_run_that_is_not_where_the_index_says_is_looked_for_again(path: Path) -> None:
    append(path, record(1), record(2))
    before = path.stat()
    path.write_bytes(record(2).line + record(1).line)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with open_history(str(path)) as history:
        assert history.read("run-00000001")["run_id"] == "run-00000001"


def test_figures_that_were_edited_are_not_believed(path: Path) -> None:
    append(path, record(1))
    path.write_bytes(path.read_bytes().replace(b'"avg_latency_ms":2107', b'"avg_latency_ms":1107'))
    with open_history(str(path)) as history, pytest.raises(HistoryError, match=r"run run-00000001: .*avg_latency_ms"):
        history.read("run-00000001")


def test_an_index_that_was_killed_before_it_was_updated_catches_up(path: Path, index_path: Path) -> None:
    append(path, record(1))
    stale = index_path.read_bytes()
    append(path, record(2))
    index_path.write_bytes(stale)
    with open_history(str(path), create=True) as history:
        assert history.holds(record(2))
        assert history.records == 2


def test_a_build_that_was_killed_goes_on_where_it_was(
    path: Path, scanned: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Index.catch_up.__module__ + ".LINES_PER_COMMIT", 10)
    path.write_bytes(b"".join(record(number).line for number in range(25)))

    class Killed(BaseException):
        pass

    def dying(*arguments: Any) -> Iterator[Any]:
        for number, line in enumerate(read_lines(*arguments)):
            if number == 17:
                raise Killed
            yield line

    with monkeypatch.context() as patch:
        patch.setattr(Index.catch_up.__module__ + ".read_lines", dying)
        with pytest.raises(Killed), open_history(str(path)):
            pass
    assert len(listed(path)) == 25
    assert scanned[0] == 10 * len(record(1).line)


def test_an_index_that_cannot_be_kept_is_done_without(path: Path, index_path: Path) -> None:
    index_path.mkdir()
    append(path, record(1), record(2))
    assert listed(path) == ["run-00000001", "run-00000002"]
    with open_history(str(path)) as history:
        (warning,) = history.all_warnings()
    assert "no index can be kept" in warning
    assert "Is a directory" in warning


def test_a_link_in_place_of_the_index_is_not_followed(path: Path, index_path: Path) -> None:
    victim = path.with_name("victim")
    victim.write_text("precious")
    index_path.symlink_to(victim)
    append(path, record(1))
    assert victim.read_text() == "precious"
    assert listed(path) == ["run-00000001"]


@pytest.mark.parametrize("make", ["symlink", "dangling symlink", "directory", "pipe"])
def test_only_a_regular_file_is_a_history(path: Path, make: str) -> None:
    victim = path.with_name("victim")
    if make == "symlink":
        victim.write_text("precious")
        path.symlink_to(victim)
    elif make == "dangling symlink":
        path.symlink_to(victim)
    elif make == "directory":
        path.mkdir()
    else:
        os.mkfifo(path)
    for create in (True, False):
        with pytest.raises(HistoryError, match="cannot open the history"), open_history(str(path), create=create):
            pass
    assert not victim.exists() or victim.read_text() == "precious"


def test_a_write_that_fails_is_taken_back(path: Path, scanned: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    append(path, record(1))
    before = path.read_bytes()

    def failing(descriptor: int, data: bytes) -> None:
        os.write(descriptor, data[:100])
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(History.__module__ + ".write_fully", failing)
        with (
            open_history(str(path), create=True) as history,
            pytest.raises(HistoryError, match=r"cannot append to the history .* Input/output error"),
        ):
            history.append(record(2))
    assert path.read_bytes() == before
    scanned.clear()
    append(path, record(2))
    assert scanned == [len(before)]


def test_a_history_that_was_replaced_while_its_lock_was_waited_for_is_not_written(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody moves the file away between opening and locking it: the record goes to the file that has the name."""
    path.write_bytes(record(1).line)
    moved = path.with_name("moved")
    lock = os.fstat

    def move_once(descriptor: int) -> os.stat_result:
        if not moved.exists():
            path.rename(moved)
        return lock(descriptor)

    monkeypatch.setattr(os, "fstat", move_once)
    append(path, record(2))
    assert moved.read_bytes() == record(1).line
    assert path.read_bytes() == record(2).line


def test_a_result_can_be_saved_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    saved = Path(save_aside(record(1)))
    assert saved.parent == tmp_path
    assert saved.name.startswith("result-run-00000001-")
    assert saved.read_bytes() == record(1).line
    assert saved.stat().st_mode & 0o777 == 0o600
