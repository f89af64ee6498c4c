# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from bench_runner.errors import BenchmarkError, ExitCode
from bench_runner.events import EventStream


def test_jsonl_is_one_object_a_line_and_the_journal_has_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    journal = tmp_path / "journal.jsonl"
    events = EventStream("the-run-id", as_json=True, journal=journal)
    events.emit("process", process=1, of=5, phase="loading")
    events.log("ü\n\x1b[31m")
    events.warn("noisy", "too noisy")
    told = capsys.readouterr().err
    assert told == journal.read_text()
    assert [json.loads(line)["event"] for line in told.splitlines()] == ["process", "log", "warning"]
    assert [event["run_id"] for event in events.events] == ["the-run-id"] * 3


def test_text_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    events = EventStream("the-run-id", as_json=False)
    events.emit("start", result={})
    events.emit("facts", facts={})
    events.emit("process", process=2, of=5, phase="warming up")
    events.emit("iteration", number=7, of=50, wall_ms=2104.2, mean_ms=2099.6, eta_seconds=125.2)
    events.warn("noisy", "too noisy")
    assert capsys.readouterr().err.splitlines() == [
        "bench_runner: process 2 of 5: warming up",
        "bench_runner: iteration 7 of 50: 2.104 s, mean 2.100 s, 2 min 5 s left",
        "bench_runner: warning: too noisy",
    ]


def test_a_journal_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="cannot write the journal") as caught:
        EventStream("the-run-id", as_json=True, journal=tmp_path)
    assert caught.value.code == ExitCode.NOT_WRITABLE


def test_a_journal_that_fills_the_disk_is_told_once_and_stops_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    events = EventStream("the-run-id", as_json=True, journal=Path("/dev/full"))
    events.log("one")
    events.log("two")
    assert [event["event"] for event in events.events] == ["log", "warning", "log"]
    assert events.events[1]["code"] == "journal_incomplete"
    assert capsys.readouterr().err.count("\n") == 3


def test_nobody_reads_standard_error(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream:
        monkeypatch.setattr("sys.stderr", stream)
        EventStream("the-run-id", as_json=True).log("anybody there?")
        monkeypatch.undo()
        with pytest.raises(BrokenPipeError):
            stream.close()
