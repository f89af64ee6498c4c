# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whole runs, with measuring processes that answer at once what they are told to."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bench_runner import cli, result, runner
from tests.unit.bench_runner.a_run import COUNTERS, SOFTWARE, TRANSCRIPT

Answers = Callable[[dict[str, Any], int, object], Iterator[dict[str, Any]]]


class Processes:
    """Stands in for measuring processes: the nth has the nth mean, and the one after the last is killed."""

    def __init__(self, means_ms: list[float], **software: Any) -> None:
        self.started = 0
        self._means_ms = means_ms
        self._software = {**SOFTWARE, **software}

    def __call__(self, order: dict[str, Any], _samples: int, _group: object) -> Iterator[dict[str, Any]]:
        self.started += 1
        yield {"kind": "loaded", "software": self._software}
        yield {"kind": "warm", "model_load_seconds": 0.4, "warmup_ms": [2500.0] * order["warmup"]}
        for _unused in range(order["iterations"]):
            if self.started > len(self._means_ms):
                raise KeyboardInterrupt
            wall_ms = self._means_ms[self.started - 1]
            figures = {"wall_ms": wall_ms, "cpu_ms": wall_ms, "mel_ms": 20.0, "encoder_ms": 900.0}
            yield {
                "kind": "iteration",
                "iteration": {**figures, "decoder_ms": wall_ms - 920},
                "throttling": dict(COUNTERS),
                "mhz": 3000.0,
                "transcript": dict(TRANSCRIPT),
            }


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> Callable[..., tuple[int, dict[str, Any], list[dict[str, Any]]]]:
    """Run bench_runner with these processes; gives exit code, result and events."""
    (tmp_path / "base.pt").write_bytes(b"weights")
    # Made-up times are long, and pass at once.
    monkeypatch.setattr("bench_runner.physics.of_clock", lambda *_unused: iter(()))

    def run(processes: Processes, *arguments: str) -> tuple[int, dict[str, Any], list[dict[str, Any]]]:
        monkeypatch.setattr(runner.worker_process, "answers", processes)
        given = [f"--checkpoint={tmp_path / 'base.pt'}", "--progress=jsonl", "--target=here", *arguments]
        try:
            code = cli.main(given)
        except KeyboardInterrupt:
            code = -1
        told = capsysbinary.readouterr()
        made: dict[str, Any] = json.loads(told.out) if told.out else {}
        assert result.problems(made) == [] if made else True
        return code, made, [json.loads(line) for line in told.err.splitlines()]

    return run


Running = Callable[..., tuple[int, dict[str, Any], list[dict[str, Any]]]]
SHORT = ("--iterations=6", "--processes=3")
WILD = [2000.0, 2200.0, 1800.0, 2100.0, 1900.0, 2000.0, 2040.0, 1960.0] + [2000.0] * 40


def test_the_iterations_asked_for_and_no_more(run: Running) -> None:
    code, made, _events = run(Processes(WILD), *SHORT)
    assert (code, made["iterations"], made["stop_reason"]) == (0, 6, "iterations_done")
    assert made["stopping"]["processes_used"] == made["stopping"]["processes_planned"] == 3


def test_a_run_goes_on_until_it_is_precise_enough(run: Running) -> None:
    code, made, events = run(Processes(WILD), *SHORT, "--precision=0.05")
    assert (code, made["stop_reason"]) == (0, "precision_reached")
    assert made["stopping"]["processes_used"] == len(made["processes"])
    assert len(made["processes"]) in (12, 18)
    assert made["stopping"]["half_width"] <= 0.05
    assert made["iterations"] == 2 * len(made["processes"])
    told = [event for event in events if event["event"] == "iteration"]
    assert told[0]["of"] == 10
    assert max(event["of"] for event in told) > made["iterations"] == told[-1]["of"] == told[-1]["number"]
    assert told[-1]["eta_seconds"] == 0


def test_what_was_not_precise_enough_says_so(run: Running) -> None:
    code, made, _events = run(Processes(WILD), *SHORT, "--precision=0.01", "--max-processes=5")
    assert (code, made["stop_reason"]) == (0, "most_processes")
    assert "precision_not_reached" in {warning["code"] for warning in made["warnings"]}


def test_strict_keeps_the_result_and_fails(run: Running, tmp_path: Path) -> None:
    output = tmp_path / "result.json"
    code, made, events = run(Processes(WILD), *SHORT, "--strict", f"--output={output}")
    assert code == 8
    assert json.loads(output.read_text()) == made
    assert "noisy" in made["strict_findings"]
    assert events[-1]["kind"] == "disturbed"


def interrupted(run: Running, tmp_path: Path, *arguments: str, finished: int = 2) -> str:
    """The option that resumes a run which was killed in the process after so many."""
    journal = tmp_path / "journal.jsonl"
    code, made, _events = run(Processes(WILD[:finished]), *(arguments or SHORT), f"--journal={journal}")
    assert (code, made) == (-1, {})
    return f"--resume={journal}"


def test_an_interrupted_run_goes_on_and_says_what_is_old(run: Running, tmp_path: Path) -> None:
    resumption = interrupted(run, tmp_path)
    began = [
        event["time"]
        for event in map(json.loads, (tmp_path / "journal.jsonl").read_text().splitlines())
        if event.get("phase") == "measuring"
    ]
    processes = Processes([2050.0])
    code, made, _events = run(processes, *SHORT, resumption)
    assert (code, processes.started) == (0, 1)
    assert [process["wall_ms"][0] for process in made["processes"]] == [2000, 2200, 2050]
    assert [process.get("resumed", False) for process in made["processes"]] == [True, True, False]
    assert (made["iterations"], made["stop_reason"], made["partial"]) == (6, "iterations_done", False)
    (warning,) = [warning for warning in made["warnings"] if warning["code"] == "resumed"]
    assert "processes 1 to 2 (iterations 1 to 4)" in warning["message"]
    assert made["processes"][0]["started"] == result._timestamp(began[0])


def test_a_resumed_run_can_be_interrupted_again(run: Running, tmp_path: Path) -> None:
    resumption = interrupted(run, tmp_path, finished=1)
    again = tmp_path / "again.jsonl"
    code, _made, _events = run(Processes([2100.0]), *SHORT, resumption, f"--journal={again}")
    assert code == -1
    code, made, _events = run(Processes([2200.0]), *SHORT, f"--resume={again}")
    assert [process["wall_ms"][0] for process in made["processes"]] == [2000, 2100, 2200]
    assert [process.get("resumed", False) for process in made["processes"]] == [True, True, False]


def test_one_journal_may_serve_all_of_them(run: Running, tmp_path: Path) -> None:
    resumption = interrupted(run, tmp_path)
    code, made, _events = run(Processes([2050.0]), *SHORT, resumption, resumption.replace("resume", "journal"))
    assert (code, len(made["processes"])) == (0, 3)
    code, made, _events = run(Processes([]), *SHORT, resumption)
    assert (code, len(made["processes"])) == (0, 3)
    assert made["memory"]["peak_bytes"] is None


def test_a_precise_run_is_resumed_too(run: Running, tmp_path: Path) -> None:
    arguments = (*SHORT, "--precision=0.05")
    resumption = interrupted(run, tmp_path, *arguments, finished=7)
    code, made, _events = run(Processes(WILD[7:]), *arguments, resumption)
    assert (code, made["stop_reason"]) == (0, "precision_reached")
    assert [process["wall_ms"][0] for process in made["processes"]] == WILD[: len(made["processes"])]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--iterations=9", "--processes=3"), "iterations_requested, iterations of each process"),
        (("--iterations=6", "--processes=2"), "iterations of each process"),
        ((*SHORT, "--warmup=2"), "warmup"),
        ((*SHORT, "--threads=2"), "threads"),
        ((*SHORT, "--target=there"), "target"),
        ((*SHORT, "--model-size=base.en"), "model_size"),
        ((*SHORT, "--label=a=b"), "labels"),
        ((*SHORT, "--image-id=sha256:1"), "image"),
    ],
)
def test_another_configuration_is_refused(run: Running, tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    code, made, events = run(Processes([2050.0]), *arguments, interrupted(run, tmp_path))
    assert (code, made) == (2, {})
    assert f"differs in {words}; measure anew, without resuming" in events[-1]["message"]


def test_other_weights_and_other_software_are_refused(run: Running, tmp_path: Path) -> None:
    resumption = interrupted(run, tmp_path)
    code, _made, events = run(Processes([2050.0], torch="2.99"), *SHORT, resumption)
    assert (code, "differs in software" in events[-1]["message"]) == (2, True)
    (tmp_path / "base.pt").write_bytes(b"other weights")
    code, _made, events = run(Processes([2050.0]), *SHORT, resumption)
    assert (code, "differs in checkpoint" in events[-1]["message"]) == (2, True)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no process was finished in"),
        ("no journal at all\n", "no process was finished in"),
        ('{"event": "start", "run_id": "a"}\n{"event": "process", "phase": "done", "run_id": "a"}\n', "lack what"),
    ],
)
def test_what_is_no_journal_is_refused(run: Running, tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "journal.jsonl").write_text(text)
    code, _made, events = run(Processes([]), *SHORT, f"--resume={tmp_path / 'journal.jsonl'}")
    assert (code, words in events[-1]["message"]) == (2, True)
    code, _made, events = run(Processes([]), *SHORT, f"--resume={tmp_path / 'missing.jsonl'}")
    assert (code, "cannot read the journal" in events[-1]["message"]) == (2, True)


def test_a_journal_may_come_on_the_command_line(run: Running, tmp_path: Path) -> None:
    interrupted(run, tmp_path)
    packed = base64.b64encode(gzip.compress((tmp_path / "journal.jsonl").read_bytes())).decode()
    code, made, _events = run(Processes([2050.0]), *SHORT, f"--resume-packed={packed}")
    assert (code, [process.get("resumed", False) for process in made["processes"]]) == (0, [True, True, False])
    for spoilt in ("", "no base64!", packed[:-8], base64.b64encode(b"no gzip").decode()):
        code, _made, events = run(Processes([2050.0] * 3), *SHORT, f"--resume-packed={spoilt}")
        assert (code, events[-1]["event"]) in ((2, "error"), (0, "end"))
        assert code == 2 or spoilt == packed[:-8]


def test_nothing_is_taken_of_a_process_that_was_cut_short(run: Running, tmp_path: Path) -> None:
    """The journal of a container is what it wrote to standard error, cut anywhere."""
    resumption = interrupted(run, tmp_path)
    journal = tmp_path / "journal.jsonl"
    lines = journal.read_text().splitlines()
    done = [number for number, line in enumerate(lines) if '"phase": "done"' in line]
    journal.write_text("\n".join(lines[: done[1]]) + '\n{"event": "proc')
    code, made, _events = run(Processes([2050.0, 2060.0]), *SHORT, resumption)
    assert [process["wall_ms"][0] for process in made["processes"]] == [2000, 2050, 2060]
    assert code == 0
