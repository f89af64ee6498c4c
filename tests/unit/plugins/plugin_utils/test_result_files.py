# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from ansible_collections.rightsize.whisper.plugins.module_utils._result import MAX_RESULT_BYTES
from ansible_collections.rightsize.whisper.plugins.plugin_utils.result_files import PROBLEMS_SHOWN, ResultFiles

from tests.unit.factories import mac_m4, xeon_pool

MAC, XEON = mac_m4()["run_id"], xeon_pool()["run_id"]


def test_files_histories_and_folders_are_read_and_each_run_is_kept_once(tmp_path: Path) -> None:
    (tmp_path / "mac.json").write_text(json.dumps(mac_m4(), indent=2))
    (tmp_path / "history.jsonl").write_text(f"{json.dumps(xeon_pool())}\n\n{json.dumps(mac_m4())}\n")
    (tmp_path / "compare.json").write_text(json.dumps({"generated_by": "rightsize.whisper"}, indent=4))
    (tmp_path / "notes.txt").write_text("not looked at")
    files = ResultFiles()
    assert files.read([str(tmp_path)]) == {MAC, XEON}
    assert files.read([str(tmp_path / "mac.json")]) == {MAC}, "also where it is known"
    assert (set(files.runs), files.problems) == ({MAC, XEON}, [])


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
    assert files.read([str(tmp_path), str(tmp_path / "missing")]) == {XEON}
    named = ["a.json", "b.json", "c.json", "d.json", "e.json", "f.json", "g.json"]
    assert [problem.removeprefix(f"{tmp_path}/").split(":")[0] for problem in files.problems] == [
        *named,
        "h.jsonl, line 1",
        "h.jsonl, line 3",
        "i.json",
        "missing",
    ]


def test_a_run_that_is_known_with_another_result_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(mac_m4()))
    (tmp_path / "b.json").write_text(json.dumps(mac_m4(cpu_model="Another")))
    files = ResultFiles()
    files.read([str(tmp_path)])
    assert [run.key.cpu_model for run in files.runs.values()] == ["Apple M4"]
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
