# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook benchmark where it measures until it is sure, refuses what was disturbed, and goes on after it was killed."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.integration.playbooks import CHECKOUT, PlaybookRun, inventory
from tests.integration.runner_container import neighbour

pytestmark = [pytest.mark.engine, pytest.mark.image, pytest.mark.slow]
Benchmark = Callable[..., PlaybookRun]
BENCHMARK = [{"ansible.builtin.import_playbook": str(CHECKOUT / "playbooks" / "benchmark.yml")}]


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return tmp_path / "results"


@pytest.fixture
def benchmark(play: Callable[..., PlaybookRun], tiny_image: str, tmp_path: Path, results: Path) -> Benchmark:
    """Starts the playbook with tiny.en on two targets, which are this machine; one iteration a process, and no warm-up."""

    def start(*candidates: str, **variables: Any) -> PlaybookRun:
        known = {
            "benchmark_image": tiny_image,
            "benchmark_model": "tiny.en",
            "benchmark_iterations": 5,
            "benchmark_processes": 5,
            "benchmark_warmup": 0,
            "benchmark_results_dir": str(results),
            "benchmark_journal": f"{tmp_path}/{{{{ inventory_hostname }}}}.jsonl",
            **variables,
        }
        groups = {
            "reference": {"hosts": {"one": None}},
            "candidates": {"hosts": dict.fromkeys(candidates or ["other"])},
        }
        return play(BENCHMARK, {**groups, "all": inventory(**known)["all"]})

    return start


def history(results: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (results / "history.jsonl").read_text().splitlines()]


def test_it_measures_until_the_ratio_is_as_precise_as_asked(benchmark: Benchmark, results: Path) -> None:
    run = benchmark(benchmark_precision=0.5)
    assert run.wait(600) == 0, run.output
    assert len(history(results)) == 2
    for result in history(results):
        assert result["stop_reason"] == "precision_reached"
        # The times at which it looks.
        assert len(result["processes"]) in (5, 8, 12, 18, 27, 40)
        assert result["stopping"]["half_width"] <= result["stopping"]["precision"] == 0.5


def test_it_ends_when_its_time_is_over(benchmark: Benchmark, results: Path) -> None:
    run = benchmark(benchmark_precision=0.001, benchmark_time_budget_seconds=1)
    assert run.wait(600) == 0, run.output
    for result in history(results):
        assert result["stop_reason"] == "time_budget"
        assert 0 < len(result["processes"]) < 40
        assert "precision_not_reached" in {warning["code"] for warning in result["warnings"]}


def test_a_disturbed_measurement_is_kept_and_refused_where_that_is_asked_for(
    benchmark: Benchmark, results: Path, engine: docker.DockerClient, tiny_image: str
) -> None:
    with neighbour(engine, tiny_image, "0"):
        run = benchmark(benchmark_strict=True, benchmark_iterations=1)
        assert run.wait(600) == 2
    for host in ("one", "other"):
        assert f"benchmark_strict: the result of {host} was kept, but is not to be trusted: " in run.output
    assert all("other_load" in result["strict_findings"] for result in history(results))
    assert not (results / "report.md").exists()


def test_a_killed_benchmark_goes_on_and_the_report_says_which_processes_are_old(
    benchmark: Benchmark, results: Path, tmp_path: Path
) -> None:
    killed = benchmark()
    journals, deadline = [tmp_path / "one.jsonl", tmp_path / "other.jsonl"], time.monotonic() + 300
    while not all(path.exists() and path.read_text().count('"phase": "done"') for path in journals):
        assert time.monotonic() < deadline, killed.output
        time.sleep(0.1)
    os.killpg(killed.pid, signal.SIGKILL)
    assert not (results / "history.jsonl").exists()

    run = benchmark(benchmark_resume=True)
    assert run.wait(600) == 0, run.output
    report = (results / "report.md").read_text()
    for result in history(results):
        old = [process.get("resumed", False) for process in result["processes"]]
        assert len(old) == 5
        assert old[0]
        assert not old[-1]
        assert f"processes 1 to {sum(old)} " in report
    # There is nothing to go on from any more.
    assert not [path for path in journals if path.exists()]
