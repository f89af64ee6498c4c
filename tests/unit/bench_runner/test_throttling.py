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

from bench_runner.throttling import Judgement, Row, ThrottlingError, judge, reason_to_skip, seconds_left
from tests.unit.bench_runner.stressed import stressed

CHECKOUT = Path(__file__).parents[3]
# As measured with `base` on a quiet machine.
ONE = {"threads": 1, "wall_ms": 2150, "throttled_share": 0.01}
TWO = {"threads": 2, "wall_ms": 3600, "throttled_share": 1.0}
FOUR = {"threads": 4, "wall_ms": 23800, "throttled_share": 1.0}


def judged(*runs: dict[str, Any]) -> Judgement:
    return judge([stressed(**run) for run in runs])


def row(judgement: Judgement, threads: int, cpus: float | None = 1.0) -> Row:
    return next(row for row in judgement.rows if (row.cpus, row.threads) == (cpus, threads))


def actions(judgement: Judgement) -> dict[str, Any]:
    return {recommendation.action: recommendation for recommendation in judgement.recommendations}


def test_what_a_quota_does_to_more_threads_than_cpus() -> None:
    found = judged(ONE, TWO, FOUR)
    assert [row.verdict for row in found.rows] == ["clean", "quota-throttled", "quota-throttled"]
    assert found.throttled
    two, four = row(found, 2), row(found, 4)
    # The rule alone would have let two threads pass.
    assert two.ratio is not None
    assert two.ratio < 2
    assert not any("times as long" in reason for reason in two.reasons)
    assert "100% of the periods are throttled" in two.reasons
    assert "an inference takes 11.1 times as long as with one thread" in four.reasons


def test_the_same_under_a_cpuset_is_another_word_and_its_counters_are_not_applicable() -> None:
    runs = [{**run, "throttled_share": None} for run in (ONE, {**TWO, "wall_ms": 2470}, FOUR)]
    found = judged(*runs)
    assert [row.verdict for row in found.rows] == ["clean", "oversubscribed", "oversubscribed"]
    assert [row.throttled_share for row in found.rows] == [None] * 3
    assert "2 threads take turns on 1 CPU" in row(found, 2).reasons


def test_a_quota_that_a_cpuset_keeps_threads_from_using_up_throttles_nobody() -> None:
    # Measured with a quota of one CPU on one exclusive CPU: (threads, ms, throttled periods of 100).
    results = [
        stressed(threads, ms, share / 100) for threads, ms, share in ((1, 2948, 0), (2, 3006, 10), (4, 3140, 17))
    ]
    assert row(judge(results), 4).verdict == "quota-throttled"
    for result in results:
        result["isolation"].update(mode="both", cpuset_cpus=1)
    found = judge(results)
    assert [row.verdict for row in found.rows] == ["clean", "oversubscribed", "oversubscribed"]
    assert row(found, 4).reasons == ("4 threads take turns on 1 CPU",)
    # What the kernel counted is told all the same.
    assert row(found, 4).throttled_share == pytest.approx(0.17)


def test_two_threads_on_two_cpus_are_clean_even_where_they_spin_while_they_wait() -> None:
    one = {"threads": 1, "wall_ms": 2150, "cpus": 2}
    found = judged(one, {"threads": 2, "wall_ms": 1250, "cpus": 2, "cpu_ms": 2700})
    assert [row.verdict for row in found.rows] == ["clean", "clean"]
    assert row(found, 2, 2).cpu_inflation == pytest.approx(2700 / 2150)
    assert actions(found)["keep"].threads == 2
    # The same CPU time that buys nothing is waste.
    found = judged(one, {"threads": 2, "wall_ms": 2200, "cpus": 2, "cpu_ms": 4300})
    assert row(found, 2, 2).verdict == "oversubscribed"
    assert set(actions(found)) == {"fewer_threads"}


@pytest.mark.parametrize("code", ["contended", "steal"])
def test_a_noisy_neighbour(code: str) -> None:
    found = judged({**ONE, "warning": code}, {"threads": 2, "wall_ms": 5000, "cpus": 1, "warning": code})
    assert [row.verdict for row in found.rows] == ["noisy neighbour", "noisy neighbour"]
    assert found.throttled is None
    assert set(actions(found)) == {"measure_again"}
    # What the quota's own counters show is no neighbour's doing.
    assert row(judged(ONE, {**TWO, "warning": code}), 2).verdict == "quota-throttled"


def test_threads_that_wait_for_cpus_of_their_own_have_a_neighbour() -> None:
    one, two = stressed(1, 2150, 0.0, cpus=2), stressed(2, 2400, 0.0, cpus=2, cpu_ms=4700)
    assert row(judge([one, two]), 2, 2).verdict == "oversubscribed"
    two["conditions"] = {**two["conditions"], "run_queue_seconds": 0.06 * 2 * 4.848}
    assert row(judge([one, two]), 2, 2).verdict == "noisy neighbour"
    # More threads than CPUs wait for each other.
    two["cpu_limit"] = one["cpu_limit"] = 1.0
    assert row(judge([one, two]), 2).verdict == "oversubscribed"


def test_no_limit_at_all() -> None:
    found = judged(
        {"threads": 1, "wall_ms": 2000, "cpus": None, "throttled_share": None},
        {"threads": 2, "wall_ms": 1200, "cpus": None, "throttled_share": None},
        # The machine has two.
        {"threads": 4, "wall_ms": 1900, "cpus": None, "throttled_share": None},
    )
    assert [row.verdict for row in found.rows] == ["clean", "clean", "oversubscribed"]
    assert set(actions(found)) == {"fewer_threads"}
    assert actions(found)["fewer_threads"].threads == 2


def test_what_to_do_names_the_figure_and_what_it_costs() -> None:
    found = actions(judged(ONE, TWO, FOUR))
    assert found["fewer_threads"].threads == 1
    assert (found["more_cpus"].threads, found["more_cpus"].cpus) == (2, 2)
    assert "2 times the CPUs of every replica" in found["more_cpus"].message
    assert "is not measured" in found["more_cpus"].message


def test_a_measured_limit_is_what_the_advice_rests_on() -> None:
    half = {"threads": 1, "wall_ms": 4400, "cpus": 0.5, "throttled_share": 1.0}
    wide = {"threads": 2, "wall_ms": 1250, "cpus": 2.0}
    found = judged(ONE, TWO, half, {**ONE, "cpus": 2.0}, wide)
    assert [(row.cpus, row.threads) for row in found.rows] == [(1, 1), (1, 2), (0.5, 1), (2, 1), (2, 2)]
    message = actions(found)["more_cpus"].message
    assert "measured: 1.238 s" in message or "measured: 1.262 s" in message
    assert "clean" in message
    # One thread that the limit holds back needs a whole CPU.
    found = judged(half)
    assert actions(found)["more_cpus"].cpus == 1
    assert "fewer_threads" not in actions(found)


def test_runs_of_one_case_are_one_row() -> None:
    found = judged(ONE, {**ONE, "wall_ms": 2250}, TWO)
    assert len(row(found, 1).process_means_ms) == len(row(found, 1).run_ids) == 2
    assert row(found, 1).iterations == 4
    assert row(found, 1).periods == 200


def test_what_is_hopeless_is_certain_of_it() -> None:
    found = judged(ONE, TWO, FOUR)
    assert (reason_to_skip(found.rows, 1, 1), reason_to_skip(found.rows, 1, 2)) == (None, None)
    assert "stopped early: an inference takes 11.1 times" in str(reason_to_skip(found.rows, 1, 4))
    # Not yet measured, or nothing to hold it against: go on.
    assert reason_to_skip(found.rows, 2, 4) is None
    assert reason_to_skip(judged(FOUR).rows, 1, 4) is None
    # Nor is anything certain while others disturb it.
    assert reason_to_skip(judged({**ONE, "warning": "contended"}, FOUR).rows, 1, 4) is None
    assert reason_to_skip(judged(ONE, {**FOUR, "warning": "steal"}).rows, 1, 4) is None


def test_time_left() -> None:
    results = [stressed(**ONE)]
    run_seconds = 1 + 2.15 * 3.02
    assert seconds_left(results, [(1, 1), (1, 1)]) == pytest.approx(2 * run_seconds)
    # Before it was tried, threads that do not fit are expected to hinder each other.
    assert seconds_left(results, [(1, 4)]) == pytest.approx(4 * run_seconds)
    assert seconds_left(results, [(2, 2), (0.5, 1)]) == pytest.approx(3 * run_seconds)
    assert seconds_left([*results, stressed(**FOUR)], [(1, 4)]) == pytest.approx(1 + 23.8 * 3.02)
    assert seconds_left(results, []) == 0


def test_what_cannot_be_compared() -> None:
    with pytest.raises(ThrottlingError, match="there are no results"):
        judge([])
    with pytest.raises(ThrottlingError, match="results of two model_sizes, base and tiny"):
        judge([stressed(**ONE), {**stressed(**TWO), "model_size": "tiny"}])


def test_the_command_that_the_controller_uses() -> None:
    def run(given: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "bench_runner.throttling"]
        return subprocess.run(
            command, input=json.dumps(given), capture_output=True, text=True, cwd=CHECKOUT, check=False
        )

    ended = run(
        {
            "results": [stressed(**ONE), stressed(**FOUR)],
            "planned": [{"cpus": 1, "threads": 4}, {"cpus": 1, "threads": 1}],
        }
    )
    found = json.loads(ended.stdout)
    assert ended.returncode == 0
    assert [row["verdict"] for row in found["rows"]] == ["clean", "quota-throttled"]
    assert found["skip"][0].startswith("stopped early")
    assert found["skip"][1] is None
    assert found["time_left"] == "7 s"
    ended = run({"results": []})
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == "bench_runner.throttling: error: there are no results to judge\n"
