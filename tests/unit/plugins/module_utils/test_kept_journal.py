# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from ansible_collections.rightsize.whisper.plugins.module_utils._container import RunError
from ansible_collections.rightsize.whisper.plugins.module_utils._kept_journal import MAX_PACKED, KeptJournal
from ansible_collections.rightsize.whisper.plugins.module_utils._progress import Journal, finished_processes

from bench_runner import resume
from tests.unit.bench_runner.a_run import RUN_ID, TRANSCRIPT, small_run


def told(processes: int) -> bytes:
    """The events of a run that has finished so many of its two processes."""
    events = small_run()
    for event in events:
        if event["event"] == "iteration":
            event["transcript_sha256"] = TRANSCRIPT["sha256"]
    done = [number for number, event in enumerate(events) if event.get("phase") == "done"]
    return b"".join(json.dumps(event).encode() + b"\n" for event in events[: done[processes - 1] + 1])


def journal(processes: int) -> Journal:
    made = Journal(RUN_ID)
    made.feed(told(processes))
    return made


def test_what_is_kept_is_what_bench_runner_goes_on_from(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "folder" / "journal.jsonl"
    assert KeptJournal(str(path)).keep(journal(1)) == []
    assert path.read_bytes() == told(1)
    assert path.stat().st_mode & 0o777 == 0o600
    packed = KeptJournal(str(path)).packed()
    assert packed is not None
    earlier = resume.unpack(packed)
    assert (earlier.run_id, len(earlier.processes)) == (RUN_ID, 1)
    assert [answer["iteration"]["wall_ms"] for answer in earlier.processes[0].answers] == [2000, 2100]


def test_it_is_written_whenever_a_process_is_done_and_only_then(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    kept = KeptJournal(str(path))
    kept.keep(Journal(RUN_ID))
    assert not path.exists()
    kept.keep(journal(1))
    path.write_text("untouched")
    kept.keep(journal(1))
    assert path.read_text() == "untouched"
    kept.keep(journal(2))
    assert path.read_bytes() == told(2)
    assert [entry.name for entry in tmp_path.iterdir()] == ["journal.jsonl"]


def test_a_run_that_goes_on_overwrites_nothing_that_it_has_not_told_again(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(told(2))
    kept = KeptJournal(str(path))
    kept.packed()
    kept.keep(journal(1))
    assert path.read_bytes() == told(2)


def test_nothing_is_kept_nowhere() -> None:
    kept = KeptJournal(None)
    kept.forget()
    assert (kept.packed(), kept.keep(journal(2))) == (None, [])


def test_nothing_to_go_on_from_is_no_error_and_a_new_run_forgets(tmp_path: Path) -> None:
    kept = KeptJournal(str(tmp_path / "journal.jsonl"))
    assert kept.packed() is None
    kept.forget()
    kept.keep(journal(1))
    kept.forget()
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_kept_is_a_warning_and_said_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    kept = KeptJournal(str(tmp_path / "file" / "journal.jsonl"))
    (warned,) = kept.keep(journal(1))
    assert warned["code"] == "journal_not_kept"
    assert kept.keep(journal(2)) == []


def test_what_cannot_be_read_or_handed_on_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"cannot read the journal .*name a file"):
        KeptJournal(str(tmp_path)).packed()
    with pytest.raises(RunError, match="cannot remove the journal"):
        KeptJournal(str(tmp_path)).forget()
    noise = random.Random(1).randbytes(2 * MAX_PACKED)
    (tmp_path / "long").write_bytes(noise)
    with pytest.raises(RunError, match="too long to be handed on"):
        KeptJournal(str(tmp_path / "long")).packed()


def test_finished_processes_are_those_of_the_last_run() -> None:
    assert finished_processes(told(2)) == 2
    assert finished_processes(told(2) + told(1)) == 1
    assert finished_processes(b"\xff no journal\n[]\n") == 0
