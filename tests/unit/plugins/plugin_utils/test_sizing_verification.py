# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.rightsize.whisper.plugins.plugin_utils.queueing import response_percentile_seconds
from ansible_collections.rightsize.whisper.plugins.plugin_utils.service_times import ServiceTimes
from ansible_collections.rightsize.whisper.plugins.plugin_utils.sizing_verification import verify
from ansible_collections.rightsize.whisper.plugins.plugin_utils.sizing_verification_plan import (
    Asked,
    VerificationError,
    newest_usable,
    plan_test,
)

from tests.unit.factories import xeon_pool
from tests.unit.load_tests import a_load_test

RESULT = xeon_pool()
A_TEST = a_load_test(RESULT)
ONE = A_TEST["requests"][0]
ASKED = Asked(
    target_rps=5, workers=None, utilisation=None, utilisation_ceiling=0.7, dispatch="random", threads=1, cpus=1
)


def test_the_recommended_workers_get_the_rate() -> None:
    planned = plan_test(RESULT, ASKED)
    # 5 requests/s of 2.107 s are 10.54 Erlangs, and 15.05 workers at 70 %.
    assert planned.workers == 16
    assert planned.rate_rps == 5
    assert planned.utilisation == pytest.approx(5 * 2.1074 / 16, rel=1e-4)
    assert planned.run_id == RESULT["run_id"]
    assert planned.same_work == {
        "audio_sha256": RESULT["audio"]["sha256"],
        "checkpoint_sha256": RESULT["checkpoint"]["sha256"],
    }


def test_workers_are_recommended_at_the_upper_end_of_the_interval() -> None:
    quiet = xeon_pool(wall_ms=[[2000.0] * 10] * 5)
    noisy = xeon_pool(wall_ms=[[1600.0] * 10, [2000.0] * 10, [2400.0] * 10])
    assert plan_test(noisy, ASKED).workers > plan_test(quiet, ASKED).workers == 15


def test_a_utilisation_takes_the_place_of_the_rate() -> None:
    planned = plan_test(RESULT, replace(ASKED, workers=1, utilisation=0.4))
    assert (planned.workers, planned.utilisation) == (1, pytest.approx(0.4))
    assert planned.rate_rps == pytest.approx(0.4 / 2.1074, rel=1e-4)


def test_a_utilisation_recommends_the_workers_too() -> None:
    planned = plan_test(RESULT, replace(ASKED, utilisation=0.4))
    # 10.54 Erlangs, at the upper end of their interval 10.8.
    assert planned.workers == 28
    assert planned.rate_rps == pytest.approx(28 * 0.4 / 2.1074, rel=1e-4)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"target_rps": 0}, "the arrival rate .* must be a number above 0, not 0"),
        ({"target_rps": float("nan")}, "the arrival rate"),
        ({"workers": -2}, "the number of workers must be a number above 0, not -2"),
        ({"workers": 10}, "10 workers cannot carry 5 requests/s of 2.11 s: .* use at least 11"),
        ({"utilisation": 1.0}, "the utilisation must lie between 0 and 1"),
        ({"utilisation_ceiling": 1.5}, "the utilisation ceiling must lie above 0 and be at most 1"),
        ({"dispatch": "fair"}, "dispatch must be random or pooled, not fair"),
        ({"threads": 2}, "cannot predict this: it had 1 threads, and the workers have 2"),
        ({"cpus": 0.5}, "cannot predict this: it had a CPU limit of 1.0, and the workers have 0.5"),
    ],
)
def test_what_cannot_be_tested_is_one_clear_line(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(VerificationError, match=words):
        plan_test(RESULT, replace(ASKED, **changes))


def test_the_newest_run_of_such_workers_predicts() -> None:
    cut, two, half = xeon_pool(partial=True), xeon_pool(threads=2), xeon_pool(cpu_limit=0.5)
    older = xeon_pool(run_id="older")
    assert newest_usable([cut, two, half, RESULT, older], 1, 1) is RESULT
    assert newest_usable([cut, two, half], 1, 1) is None


@pytest.mark.parametrize("dispatch", ["random", "pooled"])
@pytest.mark.parametrize(("workers", "rate_rps"), [(1, 0.19), (3, 0.9)])
def test_what_behaves_as_predicted_is_confirmed(dispatch: Any, workers: int, rate_rps: float) -> None:
    test = a_load_test(RESULT, dispatch=dispatch, workers=workers, rate_rps=rate_rps)
    found = verify(RESULT, test)
    assert found.conclusion == "confirmed", found.table
    assert [row.name for row in found.rows] == ["p50", "p90", "p95", "p99"]
    assert [row.measured is None for row in found.rows] == [False, False, False, True]
    times = ServiceTimes.of(wall_ms / 1000 for process in RESULT["processes"] for wall_ms in process["wall_ms"])
    predicted = response_percentile_seconds(0.95, rate_rps, times, workers, dispatch=dispatch)
    assert found.rows[2].from_run.seconds == pytest.approx(predicted, rel=1e-3)
    assert found.requests_counted == 133
    assert found.utilisation_measured == pytest.approx(found.utilisation_planned, rel=0.25)
    assert found.overhead_seconds == pytest.approx(0.002)


def test_a_wrong_verdict_is_as_rare_as_it_should_be() -> None:
    verdicts = [verify(RESULT, a_load_test(RESULT, requests=70, seed=seed)).conclusion for seed in range(12)]
    assert verdicts.count("confirmed") >= 10


def test_a_slower_machine_is_told_from_a_wrong_formula() -> None:
    slower = verify(RESULT, a_load_test(RESULT, factor=1.2))
    assert slower.conclusion == "service_times_changed"
    assert "20% more than in run 20261123t121500-58656f6e" in slower.message
    assert [warning["code"] for warning in slower.warnings] == ["service_times_differ"]
    assert verify(RESULT, A_TEST).warnings == ()
    delayed = verify(RESULT, a_load_test(RESULT, delay_seconds=1.5))
    assert delayed.conclusion == "not_confirmed"
    assert "Something beside the queues delays requests" in delayed.message


def test_arrivals_that_come_too_thick_are_not_the_formulas_fault() -> None:
    test = a_load_test(RESULT, rate_rps=0.33)
    found = verify(RESULT, {**test, "rate_rps": 0.15})
    assert found.conclusion == "unusual_arrivals"
    assert "% of the time, 32% as planned" in found.message


def test_workers_that_cannot_carry_the_load_have_no_prediction() -> None:
    found = verify(RESULT, a_load_test(RESULT, factor=2.0))
    assert found.conclusion == "not_confirmed"
    assert "more than the workers can carry" in found.message
    assert all(row.from_test is None for row in found.rows)


def test_too_few_requests_decide_nothing_and_say_how_many_would() -> None:
    found = verify(RESULT, a_load_test(RESULT, requests=15))
    assert found.conclusion == "undecided"
    assert "so that 20 count" in found.message
    assert "needs 130 requests" in found.table[3]


def test_fewer_workers_than_planned_are_told_with_what_that_means() -> None:
    found = verify(RESULT, a_load_test(RESULT, workers_planned=4))
    assert found.notes[0] == (
        "1 of 4 workers were started (2 CPUs, of which one is left free), and the rate was scaled from 1.2 to 0.3 "
        "requests/s, so that each is as busy as planned"
    )
    assert "every worker is a queue of its own" in found.notes[1]
    pooled = verify(RESULT, a_load_test(RESULT, workers_planned=4, dispatch="pooled"))
    assert "wait less than these" in pooled.notes[1]
    assert verify(RESULT, a_load_test(RESULT)).notes == ()


def test_time_that_ran_out_is_told() -> None:
    test = {**a_load_test(RESULT, requests=100), "requests_planned": 130, "duration_limit_seconds": 300}
    assert verify(RESULT, test).notes == ("100 of 130 requests arrived within 300 s",)


def test_warnings_of_both_are_kept() -> None:
    test = {**a_load_test(RESULT), "warnings": [{"code": "emulated", "message": "the workers were emulated"}]}
    assert [warning["code"] for warning in verify(xeon_pool(isolated=False), test).warnings] == [
        "not_isolated",
        "emulated",
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"requests": []},
        {"requests": [{}]},
        {"requests": 7},
        {"requests": [{**ONE, "worker": 1}]},
        {"requests": [{**ONE, "finish_seconds": ONE["start_seconds"]}]},
        {"requests": [{**ONE, "finish_seconds": float("inf")}]},
        {"requests": [{**ONE, "service_ms": "fast"}]},
        {"dispatch": "{{ fair }}"},
        {"seed": "\x1b[31m" * 1000},
        {"warnings": ["text"]},
        {"workers": None},
    ],
)
def test_what_is_no_test_is_one_clear_line(changes: dict[str, Any]) -> None:
    with pytest.raises(VerificationError, match="this is no test of the module sizing_verification") as caught:
        verify(RESULT, {**A_TEST, **changes})
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300


def test_a_rate_that_no_worker_could_carry_is_named() -> None:
    with pytest.raises(VerificationError, match=r"1 workers cannot carry 5 requests/s"):
        verify(RESULT, {**A_TEST, "rate_rps": 5})
