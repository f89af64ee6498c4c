# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import statistics
from typing import Any

import pytest
from ansible_collections.rightsize.whisper.plugins.module_utils._combine import combine
from ansible_collections.rightsize.whisper.plugins.module_utils._result import ResultError, check_result
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from bench_runner.summary import latency_ms
from tests.unit.factories import SCHEMA_FILE, xeon_pool

SCHEMA = Draft202012Validator(json.loads(SCHEMA_FILE.read_text()))
LATENCIES = st.lists(st.lists(st.floats(1, 10_000), min_size=1, max_size=9), min_size=1, max_size=5)


def of_a_pod(number: int, wall_ms: list[list[float]], **changes: Any) -> dict[str, Any]:
    where = {"pod": f"pod-{number}", "node": f"node-{number}", "qos_class": "Guaranteed", "absent": []}
    return xeon_pool(wall_ms=wall_ms, run_id=f"the-run-p{number}", **{"kubernetes": where, **changes})


@given(st.lists(LATENCIES, min_size=2, max_size=4))
def test_pods_are_combined_as_processes_are(walls: list[list[list[float]]]) -> None:
    combined = combine("the-run-0001", [of_a_pod(number, wall_ms) for number, wall_ms in enumerate(walls, start=1)])
    SCHEMA.validate(combined)
    check_result(combined, {"run_id": "the-run-0001", "partial": False})
    processes = [wall_ms for of_pod in walls for wall_ms in of_pod]
    flat = [wall for wall_ms in processes for wall in wall_ms]
    assert [process["wall_ms"] for process in combined["processes"]] == processes
    assert [process["process"] for process in combined["processes"]] == list(range(1, len(processes) + 1))
    assert combined["avg_latency_ms"] == pytest.approx(statistics.fmean(flat), abs=1e-4)
    assert combined["latency_ms"] == latency_ms(flat)
    assert combined["iterations"] == combined["iterations_requested"] == len(flat)


def test_phases_are_weighted_by_iterations() -> None:
    one, other = of_a_pod(1, [[1000.0] * 30]), of_a_pod(2, [[2000.0] * 10])
    combined = combine("the-run-0001", [one, other])
    for phase, mean in combined["phases_ms"].items():
        assert mean == pytest.approx((one["phases_ms"][phase] * 30 + other["phases_ms"][phase] * 10) / 40, abs=1e-4)
    assert sum(combined["phases_ms"].values()) == pytest.approx(combined["avg_latency_ms"], abs=1e-3)


def test_counters_are_added_and_the_largest_memory_counts() -> None:
    throttling = {
        "applicable": True,
        "periods": 10,
        "throttled_periods": 1,
        "throttled_seconds": 0.5,
        "steal_seconds": 0,
    }
    one = of_a_pod(1, [[1000.0]], throttling=throttling, memory={"peak_bytes": 5, "rss_peak_bytes": 4})
    other = of_a_pod(2, [[1000.0]], throttling=throttling, memory={"peak_bytes": 7, "rss_peak_bytes": 3})
    unknown = of_a_pod(3, [[1000.0]], throttling={**throttling, "steal_seconds": None}, memory={"peak_bytes": None})
    combined = combine("the-run-0001", [one, other])
    assert combined["throttling"]["periods"] == 20
    assert combined["throttling"]["throttled_seconds"] == 1
    assert (combined["memory"]["peak_bytes"], combined["memory"]["rss_peak_bytes"]) == (7, 4)
    combined = combine("the-run-0001", [one, unknown])
    assert combined["throttling"]["steal_seconds"] is None
    assert combined["memory"]["peak_bytes"] == 5
    assert combine("the-run-0001", [unknown, unknown])["memory"]["peak_bytes"] is None


def test_one_that_is_not_isolated_taints_all_and_its_warnings_are_kept() -> None:
    warning = {"code": "cpu_limit_mismatch", "message": "no CPU limit"}
    one = of_a_pod(1, [[1000.0]], warnings=[])
    other = of_a_pod(2, [[1000.0]], isolated=False, warnings=[warning])
    combined = combine("the-run-0001", [one, other])
    assert combined["isolated"] is False
    assert combined["warnings"] == [{"code": "cpu_limit_mismatch", "message": "pod-2: no CPU limit"}]


def test_every_pod_is_told_and_what_they_have_in_common() -> None:
    where = combine("the-run-0001", [of_a_pod(1, [[1.0]]), of_a_pod(2, [[1.0]])])["kubernetes"]
    assert [pod["pod"] for pod in where.pop("pods")] == ["pod-1", "pod-2"]
    assert (where["qos_class"], where["absent"]) == ("Guaranteed", [])
    assert not where.keys() & {"pod", "node"}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"cpu_model": "another"}, "mixed_cpu_models"),
        ({"isolation": {"mode": "cpuset"}}, "mixed_isolation"),
        ({"transcript": {"sha256": "0" * 64}}, "transcript_differs"),
    ],
)
def test_differences_are_told(changes: dict[str, Any], code: str) -> None:
    combined = combine("the-run-0001", [of_a_pod(1, [[1000.0]]), of_a_pod(2, [[1000.0]], **changes)])
    assert [warning["code"] for warning in combined["warnings"]] == [code]


def test_nodes_of_different_speed_are_told() -> None:
    combined = combine("the-run-0001", [of_a_pod(1, [[1000.0] * 3]), of_a_pod(2, [[1100.0] * 3])])
    [warning] = combined["warnings"]
    assert (warning["code"], "9.5%" in warning["message"]) == ("nodes_differ", True)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"threads": 2}, "number of threads"),
        ({"model_size": "small"}, "model"),
        ({"audio": {"sha256": "0" * 64}}, "audio"),
        ({"checkpoint": {"sha256": "0" * 64}}, "checkpoint"),
        ({"architecture": "arm64"}, "architecture"),
        ({"decode": {"beam_size": 9}}, "decode options"),
    ],
)
def test_other_work_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ResultError, match=f"differ in their {words}"):
        combine("the-run-0001", [of_a_pod(1, [[1000.0]]), of_a_pod(2, [[1000.0]], **changes)])


def test_several_pods_end_as_the_one_that_came_least_far() -> None:
    stopping = {
        "processes_planned": 40, "processes_used": 8, "precision": 0.02, "precision_of": "ratio", "half_width": 0.01,
        "time_budget_seconds": None,
    }  # fmt: skip
    enough = of_a_pod(1, [[1000.0]] * 8, stop_reason="precision_reached", stopping=stopping)
    late = of_a_pod(
        2, [[1000.0]] * 5, stop_reason="time_budget", stopping={**stopping, "processes_used": 5, "half_width": 0.04}
    )
    combined = combine("the-run-0001", [enough, late])
    SCHEMA.validate(combined)
    assert combined["stop_reason"] == "time_budget"
    assert combined["stopping"] == {**stopping, "processes_planned": 80, "processes_used": 13, "half_width": 0.04}
    assert combine("the-run-0001", [of_a_pod(1, [[1000.0]]), of_a_pod(2, [[1000.0]])]).get("stopping") is None
