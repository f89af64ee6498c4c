# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbooks report and size answer from the history alone: no host of the inventory can be reached here."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.playbooks import PlaybookRun
from tests.integration.reporting import Reporting
from tests.unit.factories import mac_m4, xeon_pool
from tests.unit.markdown_shown import shown

NEWER = {"run_id": "20261123t130000-6e657721"}


@pytest.fixture
def reporting(play: Callable[..., PlaybookRun], tmp_path: Path) -> Reporting:
    return Reporting(play, tmp_path)


def numbered(number: int, **changes: Any) -> dict[str, Any]:
    return xeon_pool(**{"run_id": f"20261123t14{number:04}-6e657721", **changes})


def test_a_new_rate_is_answered_by_the_newest_benchmark_of_each_target(reporting: Reporting) -> None:
    reporting.remember(
        mac_m4(),
        xeon_pool(),
        # Newer, and no benchmarks of the target.
        numbered(1, labels={"stress": "s", "block": "1"}, wall_ms=[[9000.0]]),
        numbered(2, labels={"calibration": "c"}, wall_ms=[[9000.0]]),
        numbered(3, model_size="small"),
        # Of no host in the inventory.
        numbered(4, target="elsewhere"),
    )
    run = reporting.run_playbook(
        "size", "mac_m4", "xeon_pool", benchmark_target_rps="20", benchmark_latency_seconds="12"
    )
    assert run.wait() == 0, run.output
    assert re.search(r"xeon_pool: 20 requests/s, p95 within 12 s: replicas \d+ of 1 CPU", run.output)
    assert "elsewhere" not in run.output
    report = reporting.report.read_text()
    assert "# Whisper base: CPUs for 20 requests/s" in report
    assert f"`{xeon_pool()['run_id']}`" in report


def test_a_candidate_that_was_never_measured_is_reported_and_fails_the_play(reporting: Reporting) -> None:
    reporting.remember(mac_m4(), xeon_pool(), numbered(1, target="old_pool", model_size="small"))
    run = reporting.run_playbook("size", "mac_m4", "xeon_pool", "old_pool")
    assert run.wait() == 2, "an answer for some of the candidates is not taken for one of all"
    reason = "the history has no run of it with model base; measure it (playbooks/benchmark.yml)"
    assert f'"old_pool: no answer: {reason}"' in run.output, "it stands among the answers"
    assert f"old_pool: no answer: {reason}. No values are written for it" in " ".join(run.output.split())
    assert re.search(r"xeon_pool: 5 requests/s: replicas \d+ of 1 CPU", run.output)
    _tags, visible = shown(reporting.report.read_text())
    assert f"old_pool has no result: {reason}" in visible
    assert [path.name for path in reporting.results.glob("values-*")] == ["values-base-xeon_pool.yaml"]


def test_candidates_may_be_named_in_a_text(reporting: Reporting) -> None:
    reporting.remember(mac_m4(), xeon_pool(), numbered(1, target="old_pool"), numbered(2, target="pool"))
    run = reporting.run_playbook("size", "mac_m4", "xeon_pool", report_candidate_targets="xeon_pool, old_pool")
    assert run.wait() == 0, run.output
    report = reporting.report.read_text()
    assert report.index("on old_pool need") < report.index("on xeon_pool need")
    assert "on pool need" not in report


def test_a_misspelt_variable_is_no_answer_to_another_question(reporting: Reporting) -> None:
    reporting.remember(mac_m4(), xeon_pool())
    run = reporting.run_playbook("size", "mac_m4", "xeon_pool", benchmark_target_rsp="20")
    assert run.wait() == 2
    assert "nothing reads the variable benchmark_target_rsp: is benchmark_target_rps meant?" in run.output
    assert not reporting.report.exists()


def test_a_newer_run_counts_and_all_targets_without_an_inventory_of_candidates(reporting: Reporting) -> None:
    reporting.remember(mac_m4(), xeon_pool(), numbered(1, target="old_pool"), xeon_pool(**NEWER))
    run = reporting.run_playbook("report", "mac_m4")
    assert run.wait() == 0, run.output
    report = reporting.report.read_text()
    assert report.index("on old_pool need") < report.index("on xeon_pool need")
    assert f"`{NEWER['run_id']}`" in report
    assert f"`{xeon_pool()['run_id']}`" not in report


def test_the_same_history_gives_the_same_bytes(reporting: Reporting) -> None:
    reporting.remember(mac_m4(), xeon_pool())
    written = []
    for _unused in range(2):
        run = reporting.run_playbook("report", "mac_m4", "xeon_pool")
        assert run.wait() == 0, run.output
        written.append({path: path.read_bytes() for path in reporting.results.rglob("*") if path.is_file()})
    assert written[0] == written[1]
    assert "changed=0" in run.output.splitlines()[-2]


def test_the_clips_of_the_run_are_found_again(reporting: Reporting) -> None:
    clip = {"labels": {"clips": xeon_pool()["run_id"], "clip": "call.wav"}, "wall_ms": [[4000.0, 4400.0]]}
    other = {"labels": {"clips": "20261123t110000-6f746821", "clip": "other.wav"}, "wall_ms": [[9000.0]]}
    reporting.remember(mac_m4(), xeon_pool(), numbered(1, **clip), numbered(2, **other))
    run = reporting.run_playbook("size", "mac_m4", "xeon_pool")
    assert run.wait() == 0, run.output
    report = reporting.report.read_text()
    assert "A request of yours takes 1.993 times as long" in report
    assert "| `call.wav` |" in report
    assert "other.wav" not in report


def test_what_the_history_lacks_is_one_clear_line(reporting: Reporting) -> None:
    reporting.remember(xeon_pool())
    run = reporting.run_playbook("size", "mac_m4", "xeon_pool")
    assert run.wait() == 2
    assert "the history has no run of mac_m4 with model base: measure it (playbooks/benchmark.yml)" in run.output
    run = reporting.run_playbook("size", "xeon_pool")
    assert run.wait() == 2
    assert "the history has no run of another target than xeon_pool with model base" in run.output
