# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.rightsize.whisper.plugins.plugin_utils.load import Load
from ansible_collections.rightsize.whisper.plugins.plugin_utils.report import Report, ReportError, make_report
from ansible_collections.rightsize.whisper.plugins.plugin_utils.values_dialects import Chart

from tests.unit.factories import mac_m4, xeon_pool

# A chart that has a place for everything, so that only the results are warned about.
WITH_ENV = Chart.of(dialect="localai")
AGAIN = {"run_id": "20261123t121500-4d61634d", "timestamp": "2026-11-23T12:15:00Z"}
NOISY = {"code": "noisy", "message": "the means of the 5 processes lie 9.0% apart"}


def report(*candidates: dict[str, Any], reference: dict[str, Any] | None = None, **options: Any) -> Report:
    return make_report(reference or mac_m4(), candidates or (xeon_pool(),), Load(5.0), chart=WITH_ENV, **options)


def old_pool(**changes: Any) -> dict[str, Any]:
    return xeon_pool(**{"target": "old_pool", "run_id": "20261123t123000-6f6c6421", **changes})


def codes(made: Report) -> list[str]:
    return [warning.code for warning in made.warnings]


def files(made: Report) -> list[str | None]:
    return [comparison.values_file and comparison.values_file.name for comparison in made.comparisons]


def test_one_candidate() -> None:
    made = report()
    (comparison,) = made.comparisons
    assert (made.model_size, made.reference, comparison.target) == ("base", "mac_m4", "xeon_pool")
    assert comparison.normalization is not None
    assert comparison.sizing is not None
    assert comparison.sizing.recommended.workers == 16
    assert comparison.values_file is not None
    assert "replicaCount: 16" in comparison.values_file.text
    assert comparison.self_check_passed is None
    assert made.warnings == ()


def test_a_chart_without_a_place_for_thread_pools_is_warned_of() -> None:
    made = make_report(mac_m4(), [xeon_pool()], Load(5.0))
    assert codes(made) == ["no_env_place"]


def test_the_runs_are_named_the_reference_first() -> None:
    made = report()
    assert [run.run_id for run in made.runs] == ["20261123t120000-4d61634d", "20261123t121500-58656f6e"]
    assert made.runs[0].image_name == "rightsize-whisper-runner:base-0a1b2c3d4e5f"
    assert made.runs[0].checkpoint_sha256 == mac_m4()["checkpoint"]["sha256"]


def test_the_same_input_gives_the_same_report() -> None:
    assert report(xeon_pool(), old_pool()) == report(xeon_pool(), old_pool())


def test_a_values_file_is_named_after_the_model_and_among_several_after_the_target() -> None:
    assert files(report()) == ["values-base.yaml"]
    assert files(report(xeon_pool(), old_pool())) == ["values-base-xeon_pool.yaml", "values-base-old_pool.yaml"]


def test_a_candidate_that_was_not_measured_does_not_rename_the_others_file() -> None:
    made = report(unmeasured={"old_pool": "the engine stopped"})
    assert files(made) == ["values-base-xeon_pool.yaml"]
    assert [(warning.code, warning.message) for warning in made.warnings] == [
        ("not_measured", "old_pool has no result: the engine stopped")
    ]
    assert made.unmeasured == ("old_pool: no answer: the engine stopped",)
    assert "see the output of its run" in report(unmeasured={"old_pool": ""}).warnings[0].message
    assert report(unmeasured={"old_pool": ""}).unmeasured == ("old_pool: no answer: see the output of its run",)


def test_no_two_candidates_share_a_file() -> None:
    made = report(xeon_pool(), old_pool(target="XEON_POOL"), old_pool(target="xeon_pool"), old_pool(target="../x"))
    assert files(made)[:3] == [
        "values-base-xeon_pool.yaml",
        "values-base-XEON_POOL-2.yaml",
        "values-base-xeon_pool-3.yaml",
    ]
    assert "/" not in str(files(made)[3])


def test_a_candidate_that_did_other_work_costs_the_others_nothing() -> None:
    made = report(old_pool(model_size="small"), xeon_pool())
    other, same = made.comparisons
    assert (other.normalization, other.sizing, other.values_file) == (None, None, None)
    assert other.refusal is not None
    assert "the model differs" in other.refusal["message"]
    assert other.figures
    assert same.sizing is not None
    assert [(warning.code, warning.targets) for warning in made.warnings] == [("no_ratio", ("old_pool",))]


def test_different_work_is_compared_where_that_is_allowed() -> None:
    made = report(xeon_pool(threads=2), allow_different_work=True)
    assert made.comparisons[0].normalization is not None
    assert codes(made) == ["tainted_ratio", "work_differs"]


def test_a_candidate_with_another_cpu_limit_has_a_ratio_and_no_sizing() -> None:
    made = report(xeon_pool(cpu_limit=0.5))
    (comparison,) = made.comparisons
    assert comparison.normalization is not None
    assert (comparison.sizing, comparison.values_file) == (None, None)
    assert codes(made) == ["no_sizing", "cpu_limit_differs"]


def test_an_objective_that_cannot_be_met_is_no_answer_and_no_values_but_says_what_is_possible() -> None:
    made = make_report(mac_m4(), [xeon_pool()], Load.of(5, latency_seconds=2.15), chart=WITH_ENV)
    (comparison,) = made.comparisons
    assert comparison.values_file is None
    assert comparison.refusal is not None
    assert comparison.answer == f"xeon_pool: no answer: {comparison.refusal['message']}"
    assert "cannot be met by adding workers" in comparison.answer
    assert "set at least" in comparison.answer
    assert comparison.sizing is not None
    assert comparison.predictions
    assert codes(made) == ["objective_infeasible", "few_samples"]


def test_the_report_orders_what_the_values_order() -> None:
    chart = Chart.of(cpus_per_worker=2)
    load = Load.of(5, base_rps=1, price_per_cpu_hour=0.04)
    (comparison,) = make_report(mac_m4(), [xeon_pool()], load, chart=chart).comparisons
    assert comparison.sizing is not None
    assert comparison.values_file is not None
    assert comparison.sizing.autoscaling is not None
    wanted, recommended = comparison.values_file.wanted, comparison.sizing.recommended
    assert wanted.requests["cpu"] == wanted.limits["cpu"] == str(recommended.cpus_per_worker) == "2"
    assert wanted.target_cpu_percent == comparison.sizing.autoscaling.target_cpu_percent
    assert "replicas 16 of 2 CPUs and 896 MiB, CPUs in all 32 (linear 10.54)" in comparison.answer


@pytest.mark.parametrize(("mean_ms", "passed"), [(1338.0, True), (2107.4, False)])
def test_one_machine_measured_twice_is_a_self_check(mean_ms: float, passed: bool) -> None:
    again = mac_m4(wall_ms=[[mean_ms * factor] * 2 for factor in (0.99, 1.0, 1.01)], target="again", **AGAIN)
    made = report(again)
    assert made.comparisons[0].self_check_passed is passed
    assert "self_check" in codes(made)
    assert ("self_check_failed" in codes(made)) is not passed


def test_a_self_check_without_an_interval_is_neither_passed_nor_failed() -> None:
    again = mac_m4(wall_ms=[[1338.0, 1339.0]], target="again", **AGAIN)
    assert report(again).comparisons[0].self_check_passed is None


def test_grave_warnings_come_first_and_each_is_told_once() -> None:
    reference = mac_m4(warnings=[NOISY])
    made = report(xeon_pool(isolated=False), old_pool(), reference=reference)
    assert codes(made) == ["tainted_ratio", "not_isolated", "noisy"]
    about = {warning.code: warning.targets for warning in made.warnings}
    assert about == {"tainted_ratio": ("xeon_pool",), "not_isolated": ("xeon_pool",), "noisy": ()}


@pytest.mark.parametrize("broken", [{}, {"target": "x"}, {"model_size": "base", "target": "x"}])
def test_what_is_no_result_is_called_so(broken: dict[str, Any]) -> None:
    with pytest.raises(ReportError, match="this is no result of bench_runner"):
        report(broken)


def test_a_result_without_iterations_is_called_so() -> None:
    with pytest.raises(ReportError, match="there are no measured iterations"):
        report(xeon_pool(processes=[]))
