# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from typing import Any

import pytest
from ansible_collections.rightsize.whisper.plugins.plugin_utils.compared_runs import (
    Choice,
    Kinds,
    Results,
    Run,
    run_ids,
)
from ansible_collections.rightsize.whisper.plugins.plugin_utils.comparison import (
    Comparison,
    ComparisonError,
    Report,
    compare,
    name_of,
)
from ansible_collections.rightsize.whisper.plugins.plugin_utils.comparison_table import terminal_table
from ansible_collections.rightsize.whisper.plugins.plugin_utils.statistics import (
    Sample,
    StatisticsError,
    estimate_ratio,
)

from tests.unit.factories import mac_m4, xeon_pool
from tests.unit.markdown_shown import HOSTILE


def walls(*means: float) -> list[list[float]]:
    """A process for each mean, of two iterations."""
    return [[mean - 1, mean + 1] for mean in means]


def a_run(number: int, *means: float, **changes: Any) -> dict[str, Any]:
    """A run of xeon_pool; a later one for a higher number."""
    known = {"run_id": f"run-of-test-{number}", "timestamp": f"2026-11-{number:02}T00:00:00Z"}
    return xeon_pool(**{"wall_ms": walls(*(means or (1000, 1010, 990))), **known, **changes})


def compared(*results: Mapping[str, Any], **options: Any) -> Report:
    return compare(runs_of(*results), **{"baseline": {}, **options})


def runs_of(*results: Mapping[str, Any]) -> list[Run]:
    source = Results(Kinds())
    return [source.add(result) for result in results]


def only(report: Report) -> Comparison:
    assert len(report.comparisons) == 1
    return report.comparisons[0]


def codes(comparison: Comparison) -> set[str]:
    # Of few runs most comparisons here are; a test of its own is about that.
    return {warning["code"] for warning in comparison.warnings} - {"few_runs"}


def test_one_run_each_gives_the_ratio_and_the_interval_of_the_report() -> None:
    found = only(compared(mac_m4(), xeon_pool()))
    expected = estimate_ratio(Sample.of_result(xeon_pool()), Sample.of_result(mac_m4()))
    assert found.ratio is not None
    assert (found.ratio.centre, found.ratio.low, found.ratio.high) == pytest.approx(
        (expected.centre, expected.low, expected.high)
    )
    assert (found.verdict, found.unit, found.group.processes) == ("slower", "processes", 5)


@pytest.mark.parametrize(
    ("means", "verdict"),
    [
        ((1100, 1110, 1090), "slower"),
        ((900, 910, 890), "faster"),
        ((1000, 1012, 991), "no difference shown"),
        ((3000, 3010), "no difference shown"),
    ],
)
def test_a_verdict_needs_an_interval_on_one_side_of_1(means: tuple[float, ...], verdict: str) -> None:
    found = only(compared(a_run(1), a_run(2, *means, target="other")))
    assert found.verdict == verdict
    assert ("few_processes" in codes(found)) == (len(means) < 3)


def test_three_runs_count_by_their_own_means() -> None:
    # Processes of one run agree, and runs do not: 30 processes would show a difference that 3 runs do not.
    runs = [
        a_run(number, *[mean + part for part in range(10)]) for number, mean in enumerate((900, 1000, 1100), start=1)
    ]
    found = only(compared(*runs, *(a_run(9, *[1040 + part for part in range(10)], target="other"),)))
    assert (found.unit, found.verdict) == ("runs", "no difference shown")
    assert only(compared(*runs[:2], a_run(9, *[1040 + part for part in range(10)], target="other"))).verdict == "slower"


def test_the_baseline_is_the_target_of_the_oldest_run_unless_chosen() -> None:
    runs = runs_of(a_run(2, target="newer"), a_run(1, target="older"))
    assert [side.target for side in compare(runs, {}).baselines] == ["older"]
    assert [side.target for side in compare(runs, {"target": "newer"}).baselines] == ["newer"]
    assert [side.target for side in compare(runs, {}, runs[:1]).baselines] == ["newer"]
    assert [side.target for side in compare(runs[1:], {}, runs[:1]).baselines] == ["newer"]


def test_one_target_then_and_now_is_compared_by_where_its_runs_are() -> None:
    runs = runs_of(a_run(1), a_run(2, 1100, 1110, 1090))
    found = only(compare(runs, {}, runs[:1]))
    assert (found.group.target, found.verdict) == ("xeon_pool", "slower")
    assert codes(found) == set()


@pytest.mark.parametrize("changes", [{"model_size": "small"}, {"threads": 2}])
def test_another_model_or_thread_count_is_not_comparable(changes: dict[str, Any]) -> None:
    found = only(compared(a_run(1), a_run(2, target="other", **changes)))
    assert (found.verdict, found.ratio) == ("not comparable", None)
    assert "the baseline has no run of" in found.reasons[0]


def test_different_work_is_not_comparable_and_says_why() -> None:
    found = only(compared(a_run(1), a_run(2, target="other", audio={"sha256": "0f" * 32})))
    assert (found.verdict, found.ratio) == ("not comparable", None)
    assert found.reasons[0].startswith("the audio differs")
    assert "audio_differs" in codes(found)


def test_a_group_is_what_its_newest_run_did_and_what_is_left_out_is_told() -> None:
    odd = a_run(2, 5000, target="other", checkpoint={"sha256": "0f" * 32})
    found = only(compared(a_run(1), odd, a_run(3, target="other"), a_run(4, target="other")))
    assert (found.verdict, found.group.runs) == ("no difference shown", 2)
    [warning] = [warning for warning in found.warnings if warning["code"] == "work_changed"]
    assert warning["message"].startswith(
        "1 of 3 runs of this group did other work than its newest, the last of them at 2026-11-02"
    )
    newest_is_odd = only(compared(a_run(1), a_run(3, target="other"), {**odd, "timestamp": "2026-11-04T00:00:00Z"}))
    assert newest_is_odd.verdict == "not comparable"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"software": {"torch": "2.0.0"}}, "torch_differs"),
        ({"software": {"build": "x" * 4000}}, "torch_build_differs"),
        ({"software": {"cpu_capability": "AVX2"}}, "isa_differs"),
        ({"software": {"whisper": "1"}}, "whisper_differs"),
        ({"image": {"id": "sha256:0"}}, "image_differs"),
        ({"image": None}, "image_differs"),
        ({"isolation": {"mode": "cpuset"}}, "isolation_mode_differs"),
        ({"isolation": {"emulated": True}}, "emulated_differs"),
        ({"isolated": False}, "isolated_differs"),
        ({"cpu_limit": 2}, "cpu_limit_differs"),
    ],
)
def test_a_hidden_difference_is_a_warning_with_a_name(changes: dict[str, Any], code: str) -> None:
    found = only(compared(a_run(1), a_run(2, target="other", **changes)))
    assert codes(found) == {code}
    assert max(len(warning["message"]) for warning in found.warnings) < 200


def test_what_varies_within_both_groups_is_a_warning() -> None:
    runs = [
        a_run(number, target=target, software={"torch": torch})
        for number, (target, torch) in enumerate([("a", "1"), ("a", "2"), ("b", "1"), ("b", "2")], start=1)
    ]
    assert codes(only(compared(*runs))) == {"torch_varies"}


def test_the_likest_of_several_baselines_is_taken_and_told() -> None:
    quota, cpuset = a_run(1), a_run(2, isolation={"mode": "cpuset"})
    found = only(compared(quota, cpuset, a_run(3, target="other", isolation={"mode": "cpuset"})))
    assert found.baseline
    assert found.baseline.isolation_mode == "cpuset"
    assert codes(found) == {"baseline_ambiguous"}


@pytest.mark.parametrize(
    ("means", "fail_above", "fails"),
    [
        ((1100, 1110, 1090), 1.05, True),
        ((1100, 1110, 1090), 1.2, False),
        # Above the limit, and not shown.
        ((1100, 1500, 800), 1.05, False),
        # Shown, and too small to matter.
        ((1030, 1031, 1029), 1.05, False),
        # Nothing was judged.
        ((1000, 1000), 1.05, True),
    ],
)
def test_the_gate_fails_on_a_difference_that_is_shown_and_matters(
    means: tuple[float, ...], fail_above: float, fails: bool
) -> None:
    report = compared(a_run(1), a_run(2, *means, target="other"), fail_above=fail_above, allow_few_runs=True)
    assert bool(report.gate) == fails


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"fail_above": 0.9}, "name a ratio of 1 or more"),
        ({"fail_above": float("nan")}, "name a ratio of 1 or more"),
        ({"baseline": {"colour": "red"}}, "choose among target, model_size"),
        ({"baseline": {"target": "nobody"}}, "no usable result is of the baseline"),
        ({"baseline": {"model_size": "base"}}, "nothing beside the baseline"),
    ],
)
def test_bad_input_is_one_clear_line(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ComparisonError, match=words):
        compared(a_run(1), a_run(2, target="other"), **options)


def test_no_result_is_an_error() -> None:
    with pytest.raises(ComparisonError, match="no usable result to compare"):
        compare([], {})


def test_runs_share_what_they_have_in_common() -> None:
    one, other = runs_of(a_run(1), a_run(2))
    assert one.kind is other.kind


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_acts_on_no_terminal(name: str) -> None:
    runs = runs_of(a_run(1), a_run(2, target=name, cpu_model=name))
    report = compare(runs, {"target": "xeon_pool"}, fail_above=1)
    lines = [*terminal_table(report), name_of(report.comparisons[0].group)]
    assert len(lines) == 4
    assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize(
    ("choice", "days"),
    [
        (Choice(), [1, 2, 3]),
        (Choice(targets=("two", "three")), [2, 3]),
        (Choice(models=("small",)), [3]),
        (Choice(since="2026-11-02"), [2, 3]),
        (Choice(since="2026-11-02T00:00:00Z"), [2, 3]),
        (Choice(since="2026-11-02T00:00:01Z"), [3]),
        (Choice(until="2026-11-02"), [1, 2]),
        (Choice(until="2026-11-01T23:59:59Z"), [1]),
        (Choice(since="2026-11-02", until="2026-11-02"), [2]),
    ],
)
def test_runs_are_chosen_by_target_model_and_time(choice: Choice, days: list[int]) -> None:
    results = a_run(1, target="one"), a_run(2, target="two"), a_run(3, target="three", model_size="small")
    taken = [run for run in runs_of(*results) if choice.takes(run)]
    assert [int(run_id[-1]) for run_id in run_ids(taken)] == days


@pytest.mark.parametrize("text", ["yesterday", "2026-11", "2026-11-02T00:00:00+01:00"])
def test_a_time_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(StatisticsError, match="name a day or a time in UTC"):
        Choice(since=text)


def few_runs(ours: int, theirs: int, **options: Any) -> Report:
    base = [a_run(number, 1000 + number % 3, 1010) for number in range(1, ours + 1)]
    group = [a_run(number + 10, 1100 + number % 3, 1110, target="other") for number in range(1, theirs + 1)]
    return compared(*base, *group, baseline={"target": "xeon_pool"}, **options)


@pytest.mark.parametrize(
    ("ours", "theirs", "unit"),
    [(1, 1, "processes"), (2, 2, "processes"), (3, 1, "runs"), (2, 3, "runs"), (3, 4, "runs")],
)
def test_runs_tell_how_much_runs_differ_where_one_side_has_three(ours: int, theirs: int, unit: str) -> None:
    found = only(few_runs(ours, theirs))
    assert found.unit == unit
    assert ("few_runs" in {warning["code"] for warning in found.warnings}) == (unit == "processes")


def test_the_gate_does_not_judge_where_nothing_tells_how_much_runs_differ() -> None:
    assert "no side has 3 runs" in few_runs(2, 2, fail_above=1.05).gate
    assert "compare_allow_few_runs" in few_runs(2, 2, fail_above=1.05).gate
    assert "takes 1." in few_runs(3, 1, fail_above=1.05).gate
    assert few_runs(3, 1, fail_above=1.2).gate == ""


def test_a_group_that_a_gate_lets_pass_unseen_is_named() -> None:
    runs = [a_run(number) for number in (1, 2, 3)] + [
        a_run(4, 1003, target="other"),
        a_run(5, target="third", threads=2),
    ]
    report = compared(*runs, baseline={"target": "xeon_pool"}, fail_above=1.05)
    assert report.gate == ""
    [unseen] = report.not_judged
    assert unseen.startswith("third (")
    assert compared(*runs, baseline={"target": "xeon_pool"}).not_judged == ()


@pytest.mark.parametrize(("ours", "theirs"), [(3, 1), (8, 1), (4, 2), (3, 3)])
def test_runs_that_differ_by_chance_are_seldom_called_slower_or_faster(ours: int, theirs: int) -> None:
    chance = random.Random(20261124)

    def runs(count: int, target: str) -> list[dict[str, Any]]:
        return [
            a_run(number, *[1000 * math.exp(level + chance.gauss(0, 0.005)) for _unused in range(3)], target=target)
            for number, level in enumerate((chance.gauss(0, 0.02) for _unused in range(count)), start=1)
        ]

    verdicts = [
        only(compared(*runs(ours, "a"), *runs(theirs, "b"), baseline={"target": "a"})).verdict for _unused in range(200)
    ]
    # 5 % are expected; of 200 it is more than 20 once in 1000 times.
    assert sum(verdict != "no difference shown" for verdict in verdicts) <= 20
