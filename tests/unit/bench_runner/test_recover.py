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

from bench_runner import result
from bench_runner.recover import recover
from tests.unit.bench_runner.a_run import RUN_ID, small_run


def journal(events: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(event) + "\n" for event in events)


def killed_after(iterations: int) -> list[dict[str, Any]]:
    events = small_run()
    ends = [index for index, event in enumerate(events) if event["event"] == "iteration"]
    return events[: ends[iterations - 1] + 1]


def run_recover(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """As the controller does: with nothing but the standard library (-I -S hides every installed package)."""
    root = str(Path(__file__).parents[3])
    code = f"import sys; sys.path.insert(0, {root!r}); from bench_runner.recover import main; sys.exit(main())"
    command = [sys.executable, "-I", "-S", "-c", code, *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("iterations", [1, 2, 3, 4])
def test_a_killed_run_gives_a_partial_result(iterations: int) -> None:
    partial = recover(journal(killed_after(iterations)))
    assert partial["partial"] is True
    assert partial["iterations"] == iterations
    assert partial["iterations_requested"] == 4
    assert partial["avg_latency_ms"] == 1950 + 50 * iterations
    assert result.problems(partial) == []


def test_a_torn_last_line_costs_that_line_alone() -> None:
    whole = journal(killed_after(3))
    partial = recover(whole[:-40])
    assert partial["iterations"] == 2
    assert [warning["code"] for warning in partial["warnings"]][-1] == "journal_damaged"


@pytest.mark.parametrize("size", [0, 1, 100, 1000])
def test_a_journal_cut_before_the_first_iteration_has_nothing(size: int) -> None:
    with pytest.raises(ValueError, match="no iteration was finished"):
        recover(journal(killed_after(1))[:size])


@pytest.mark.parametrize(
    "noise",
    [
        "",
        "Killed",
        "null",
        "[1]",
        '"text"',
        '{"event": 5}',
        '{"no": "event"}',
        '{"event": "iteration", "wall_ms": NaN}',
        "\x00\x00",
    ],
)
def test_lines_that_are_no_events_are_skipped_and_counted(noise: str) -> None:
    text = journal(killed_after(2))
    partial = recover(text.replace("\n", f"\n{noise}\n"))
    assert partial["iterations"] == 2
    counted = [warning["message"] for warning in partial["warnings"] if warning["code"] == "journal_damaged"]
    lines = text.count("\n")
    assert counted == ([f"{lines} line(s) of the journal were no events and are left out"] if noise else [])


def test_events_of_no_use_here_are_no_damage() -> None:
    events = killed_after(2)
    events.insert(3, {"event": "something newer", "run_id": RUN_ID})
    assert recover(journal(events))["warnings"] == []


def test_the_last_run_of_a_journal_counts() -> None:
    earlier = [{**event, "run_id": "an-earlier-run"} for event in small_run()]
    earlier[0] = {**earlier[0], "result": {**earlier[0]["result"], "run_id": "an-earlier-run"}}
    partial = recover(journal(earlier) + '{"event": "iter' + "\n" + journal(killed_after(1)))
    assert (partial["run_id"], partial["iterations"], partial["warnings"]) == (RUN_ID, 1, [])


@pytest.mark.parametrize("key", ["audio", "isolation", "wall_ms", "throttling", "process", "phase"])
def test_events_that_lack_something_are_an_error_in_words(key: str) -> None:
    text = journal(killed_after(2)).replace(f'"{key}"', '"renamed"')
    ended = run_recover("-", stdin=text)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("bench_runner: error: nothing to recover from -: ")
    assert ended.stderr.count("\n") == 1


def test_the_command_needs_no_package(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text(journal(killed_after(2)) + '{"event": "iterat')
    ended = run_recover(str(path))
    assert (ended.returncode, ended.stderr) == (0, "")
    assert json.loads(ended.stdout) == recover(path.read_text())


def test_no_such_journal(tmp_path: Path) -> None:
    ended = run_recover(str(tmp_path / "none"))
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "cannot read the journal" in ended.stderr
