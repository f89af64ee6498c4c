# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import random
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.rightsize.whisper.plugins.module_utils._history_index import KIND
from ansible_collections.rightsize.whisper.plugins.module_utils._history_record import HistoryError
from ansible_collections.rightsize.whisper.plugins.module_utils._result import MAX_RESULT_BYTES
from ansible_collections.rightsize.whisper.plugins.plugin_utils.compared_runs import (
    FACTS,
    WORK,
    Choice,
    Kinds,
    Results,
    Run,
    process_means_ms,
    run_ids,
)
from ansible_collections.rightsize.whisper.plugins.plugin_utils.result_files import PROBLEMS_SHOWN, ResultFiles

from tests.unit.factories import mac_m4, xeon_pool

MAC, XEON = mac_m4()["run_id"], xeon_pool()["run_id"]


def test_files_histories_and_folders_are_read_and_each_run_is_kept_once(tmp_path: Path) -> None:
    (tmp_path / "mac.json").write_text(json.dumps(mac_m4(), indent=2))
    (tmp_path / "history.jsonl").write_text(f"{json.dumps(xeon_pool())}\n\n{json.dumps(mac_m4())}\n")
    (tmp_path / "compare.json").write_text(json.dumps({"generated_by": "rightsize.whisper"}, indent=4))
    (tmp_path / "stress-mac.json").write_text('{"generated_by": "rightsize.whisper", "rows": []}')
    pyperf = {"version": "1.0", "metadata": {"generated_by": "rightsize.whisper"}}
    (tmp_path / "pyperf-mac.json").write_text(json.dumps(pyperf))
    (tmp_path / "notes.txt").write_text("not looked at")
    files = ResultFiles()
    runs = files.read([str(tmp_path)])
    assert list(run_ids(runs)) == [MAC, XEON]
    [known] = files.read([str(tmp_path / "mac.json")])
    assert known is runs[0]
    assert files.problems == []
    assert files.read([str(tmp_path)], Choice(targets=("xeon_pool",))) == runs[1:]


def test_what_cannot_be_used_is_named_and_costs_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{cut short")
    (tmp_path / "b.json").write_text("{}")
    (tmp_path / "c.json").mkdir()
    os.mkfifo(tmp_path / "d.json")
    (tmp_path / "e.json").write_text(json.dumps(mac_m4(partial=True)))
    (tmp_path / "f.json").write_text(json.dumps(mac_m4(avg_latency_ms=1)))
    (tmp_path / "g.json").write_text(" " * (MAX_RESULT_BYTES + 1))
    (tmp_path / "h.jsonl").write_bytes(b'{"run_id"\n' + json.dumps(xeon_pool()).encode() + b"\n\xff\n")
    (tmp_path / "i.json").symlink_to("nowhere")
    files = ResultFiles()
    runs = files.read([str(tmp_path), str(tmp_path / "missing")])
    assert list(run_ids(runs)) == [XEON]
    named = ["a.json", "b.json", "c.json", "d.json", "e.json", "f.json", "g.json"]
    assert [problem.removeprefix(f"{tmp_path}/").split(":")[0] for problem in files.problems] == [
        "h.jsonl, line 1",
        "h.jsonl, line 3",
        *named,
        "i.json",
        "missing",
    ]


def test_a_run_that_is_known_with_another_result_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(mac_m4()))
    (tmp_path / "b.json").write_text(json.dumps(mac_m4(cpu_model="Another")))
    files = ResultFiles()
    assert [run.key.cpu_model for run in files.read([str(tmp_path)])] == ["Apple M4"]
    assert "is known with another result" in files.problems[0]


@pytest.mark.parametrize("lines", [PROBLEMS_SHOWN, PROBLEMS_SHOWN + 5])
def test_many_problems_are_counted(tmp_path: Path, lines: int) -> None:
    (tmp_path / "history.jsonl").write_text("{\n" * lines)
    files = ResultFiles()
    files.read([str(tmp_path)])
    assert len(files.problems) == PROBLEMS_SHOWN + (lines > PROBLEMS_SHOWN)
    assert (files.problems[-1] == "5 more like these") == (lines > PROBLEMS_SHOWN)


def test_a_path_in_a_problem_acts_on_no_terminal(tmp_path: Path) -> None:
    files = ResultFiles()
    files.read([str(tmp_path / "\x1b[31mred\nline")])
    assert files.problems[0].isprintable()


def history(path: Path, *results: dict[str, Any]) -> str:
    path.write_text("".join(f"{json.dumps(result)}\n" for result in results))
    return str(path)


def told(runs: Sequence[Run]) -> list[tuple[Any, ...]]:
    """All that a comparison looks at, wherever it comes from."""
    return [
        (*vars(run.kind).items(), *run[1:5], *details)
        for run, *details in zip(runs, run_ids(runs), process_means_ms(runs), strict=True)
    ]


def test_a_history_tells_the_same_as_its_results(tmp_path: Path) -> None:
    chance = random.Random(7)
    results = [
        (mac_m4 if number % 3 else xeon_pool)(
            wall_ms=[[chance.uniform(900, 1100) for _unused in range(4)] for _unused in range(chance.randint(1, 4))],
            run_id=f"run-of-test-{number}",
            timestamp=f"2026-11-{chance.randint(1, 28):02}T00:00:00Z",
            **chance.choice([{}, {"isolation": {"emulated": True}}, {"software": {"torch": "2.0"}}, {"image": None}]),
            **chance.choice([{}, {"threads": 2}, {"audio": {"sha256": "ab" * 32}}, {"labels": {"team": "x"}}]),
        )
        for number in range(60)
    ]
    source = Results(Kinds())
    expected = sorted((source.add(result) for result in results), key=lambda run: (run.timestamp, *run_ids([run])))
    files = ResultFiles()
    assert told(files.read([history(tmp_path / "history.jsonl", *results)])) == told(expected)
    assert files.problems == []
    chosen = Choice(targets=("xeon_pool",), since="2026-11-05", until="2026-11-20")
    assert told(ResultFiles().read([str(tmp_path / "history.jsonl")], chosen)) == told(
        [run for run in expected if chosen.takes(run)]
    )


def test_the_index_keeps_all_that_makes_a_kind() -> None:
    full = {*KIND, *(name.partition(".")[0] for name in KIND)}
    needed = {".".join(path) for _code, _words, path in FACTS} - {"audio.sha256", "checkpoint.sha256"}
    assert needed | set(WORK) | {"target", "model_size", "cpu_model", "threads", "isolation.mode"} <= full


@pytest.mark.parametrize("label", ["stress", "calibration", "clips"])
def test_what_is_no_benchmark_of_a_target_is_not_taken(tmp_path: Path, label: str) -> None:
    other = xeon_pool(labels={label: "x"})
    (tmp_path / "other.json").write_text(json.dumps(other))
    history(tmp_path / "history.jsonl", other, mac_m4(labels={"team": "x"}))
    files = ResultFiles()
    assert list(run_ids(files.read([str(tmp_path)]))) == [MAC]
    assert files.problems == []


def test_runs_that_two_histories_have_count_once(tmp_path: Path) -> None:
    history(tmp_path / "a.jsonl", mac_m4(), xeon_pool())
    history(tmp_path / "b.jsonl", xeon_pool(), mac_m4(cpu_model="Another"), mac_m4(run_id="run-of-test-1"))
    files = ResultFiles()
    assert sorted(run_ids(files.read([str(tmp_path)]))) == sorted([MAC, XEON, "run-of-test-1"])
    [problem] = files.problems
    assert re.search(
        rf"b\.jsonl, byte \d+: the run {MAC} is known with another result, so this one is left out", problem
    )


def test_a_run_of_a_history_that_was_cut_short_is_named(tmp_path: Path) -> None:
    files = ResultFiles()
    [run] = files.read([history(tmp_path / "history.jsonl", mac_m4(partial=True), xeon_pool())])
    assert (run.key.target, len(files.problems)) == ("xeon_pool", 1)
    assert "line 1: the run was cut short" in files.problems[0]


def test_a_result_that_the_schema_does_not_accept_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(mac_m4(threads="one")))
    files = ResultFiles()
    assert files.read([str(tmp_path)]) == []
    assert "the result is not valid at $.threads" in files.problems[0]


def test_a_history_that_cannot_keep_an_index_is_read_all_the_same(tmp_path: Path) -> None:
    path = history(tmp_path / "history.jsonl", xeon_pool())
    (tmp_path / ".history.jsonl.index").mkdir()
    assert list(run_ids(ResultFiles().read([path]))) == [XEON]


def test_a_line_that_lacks_what_makes_a_kind_costs_the_others_nothing(tmp_path: Path) -> None:
    odd = xeon_pool(run_id="run-of-test-1")
    odd["audio"] = odd["transcript"] = None
    odd["threads"] = 3
    files = ResultFiles()
    runs = files.read([history(tmp_path / "history.jsonl", odd, xeon_pool())])
    assert XEON in run_ids(runs)


def test_a_line_whose_processes_were_edited_away_is_one_clear_line(tmp_path: Path) -> None:
    [run] = ResultFiles().read([history(tmp_path / "history.jsonl", xeon_pool(processes=[{}]))])
    with pytest.raises(HistoryError, match=r"history\.jsonl, byte 0: this is no result .*; mend it, or take it away"):
        list(process_means_ms([run]))


def test_a_history_that_is_replaced_while_it_is_read_is_one_clear_line(tmp_path: Path) -> None:
    path = history(tmp_path / "history.jsonl", mac_m4(), xeon_pool())
    runs = ResultFiles().read([path])
    history(tmp_path / "history.jsonl", xeon_pool())
    with pytest.raises(HistoryError, match="changes while it is read"):
        list(run_ids(runs))
