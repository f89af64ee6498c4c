# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench_runner import stress
from bench_runner.errors import BenchmarkError, ExitCode
from bench_runner.events import EventStream
from bench_runner.runner import Settings
from tests.unit.bench_runner.stressed import stressed

CHECKOUT = Path(__file__).parents[3]
LATENCY_MS = {1: 2150.0, 2: 3600.0, 4: 23800.0}


class QuickRun:
    """Takes the figures that a run had, in place of measuring for minutes; the real ones are in the integration tests."""

    asked: list[Settings]
    # What a thread count fails with, from which block on.
    failing: dict[int, tuple[str, BenchmarkError]]

    def __init__(self, settings: Settings, events: EventStream) -> None:
        self._settings = settings

    def execute(self) -> dict[str, Any]:
        QuickRun.asked.append(self._settings)
        threads = self._settings.threads
        block, error = QuickRun.failing.get(threads, ("", None))
        if error is not None and self._settings.labels["block"] >= block:
            raise error
        result = stressed(threads, LATENCY_MS[threads], float(threads > 1))
        return {**result, "run_id": self._settings.run_id, "labels": self._settings.labels}


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> type[QuickRun]:
    QuickRun.asked, QuickRun.failing = [], {}
    monkeypatch.setattr(stress, "Run", QuickRun)
    return QuickRun


def test_blocks_hold_every_count_once_in_a_random_order_that_can_be_repeated() -> None:
    blocks = list(stress.plan((1, 2, 4), 20, seed=7))
    assert all(sorted(block) == [1, 2, 4] for block in blocks)
    assert blocks[0][0] == 1
    assert len({tuple(block) for block in blocks}) == 6
    assert blocks == list(stress.plan((1, 2, 4), 20, seed=7))
    assert blocks != list(stress.plan((1, 2, 4), 20, seed=8))


def test_one_document_with_the_verdicts_and_every_result(
    quick: type[QuickRun], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    history = tmp_path / "history.jsonl"
    assert stress.main(["--run-id", "stress-of-a-test", "--seed", "3", "--history", str(history)]) == 0
    told = capsys.readouterr()
    document = json.loads(told.out)
    assert (document["stress_id"], document["seed"], document["throttled"]) == ("stress-of-a-test", 3, True)
    assert [row["verdict"] for row in document["rows"]] == ["clean", "quota-throttled", "quota-throttled"]
    # Four threads are hopeless after one block; one and two threads are measured to the end.
    assert sorted(result["threads"] for result in document["results"]) == [1, 1, 1, 2, 2, 2, 4]
    assert document["stopped_early"]["4"].startswith("stopped early: an inference takes 11.1 times")
    assert "stopped early" in told.err
    assert "left" in told.err
    kept = [json.loads(line) for line in history.read_text().splitlines()]
    assert kept == document["results"]
    assert {result["labels"]["stress"] for result in kept} == {"stress-of-a-test"}
    assert len({result["run_id"] for result in kept}) == len(kept)
    assert [settings.processes for settings in quick.asked] == [1] * len(kept)
    for words in ("1.67×", "300 of 300 (100%)", "quota-throttled", "run the service with 1 thread"):
        assert words in told.err


def test_a_thread_count_that_fails_costs_no_other(quick: type[QuickRun], capsys: pytest.CaptureFixture[str]) -> None:
    quick.failing = {2: ("1", BenchmarkError(ExitCode.OUT_OF_MEMORY, "no memory left"))}
    assert stress.main(["--threads", "1,2"]) == ExitCode.OUT_OF_MEMORY
    told = capsys.readouterr()
    document = json.loads(told.out)
    assert [result["threads"] for result in document["results"]] == [1, 1, 1]
    assert document["stopped_early"] == {"2": "failed: no memory left"}
    assert told.err.splitlines()[-1] == "bench_runner: error: no memory left"


def test_what_was_measured_before_an_interruption_is_judged(
    quick: type[QuickRun], capsys: pytest.CaptureFixture[str]
) -> None:
    quick.failing = {1: ("2", BenchmarkError(ExitCode.INTERRUPTED, "stopped by SIGINT"))}
    assert stress.main(["--threads", "1,2"]) == ExitCode.INTERRUPTED
    document = json.loads(capsys.readouterr().out)
    assert {row["threads"]: row["verdict"] for row in document["rows"]} == {1: "clean", 2: "quota-throttled"}
    assert document["stopped_early"] == {"1": "failed: stopped by SIGINT"}


def test_without_one_thread_there_is_nothing_to_hold_others_against(
    quick: type[QuickRun], capsys: pytest.CaptureFixture[str]
) -> None:
    quick.failing = {1: ("1", BenchmarkError(ExitCode.CHECKPOINT, "no weights"))}
    assert stress.main([]) == ExitCode.CHECKPOINT
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--threads", "2,4"], "1 must be among the thread counts"),
        (["--threads", "1,x"], "'x' is not a whole number"),
        (["--processes", "0"], "'0' is not a whole number from 1"),
        (["--audio", "-"], "standard input can be read once"),
        (["--take-turns"], "unrecognized arguments: --take-turns"),
        (["--history", "/nonexistent/history.jsonl"], "cannot write /nonexistent/history.jsonl"),
    ],
)
def test_what_is_wrong_is_one_line_and_no_document(arguments: list[str], words: str) -> None:
    command = [sys.executable, "-m", "bench_runner.stress", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=CHECKOUT, check=False)
    assert ended.returncode in (2, 7)
    assert ended.stdout == ""
    assert words in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
