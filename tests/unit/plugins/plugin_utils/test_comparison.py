# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from ansible_collections.rightsize.whisper.plugins.plugin_utils.compared_runs import Choice, Reader, Run
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
    reader = Reader()
    return compare([reader.run(result) for result in results], **{"baseline": {}, **options})


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
    assert (found.verdict, found.group.unit, found.group.units) == ("slower", "processes", 5)


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
    assert (found.baseline and found.baseline.unit, found.group.unit) == ("runs", "processes")
    assert found.verdict == "no difference shown"
    assert only(compared(*runs[:2], a_run(9, *[1040 + part for part in range(10)], target="other"))).verdict == "slower"


def test_the_baseline_is_the_target_of_the_oldest_run_unless_chosen() -> None:
    runs = a_run(2, target="newer"), a_run(1, target="older")
    assert [side.target for side in compared(*runs).baselines] == ["older"]
    assert [side.target for side in compared(*runs, baseline={"target": "newer"}).baselines] == ["newer"]
    assert [side.target for side in compared(*runs, baseline_run_ids=frozenset({"run-of-test-2"})).baselines] == [
        "newer"
    ]


def test_one_target_then_and_now_is_compared_by_where_its_runs_are() -> None:
    found = only(compared(a_run(1), a_run(2, 1100, 1110, 1090), baseline_run_ids=frozenset({"run-of-test-1"})))
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


def test_different_work_of_one_run_among_many_is_found() -> None:
    odd = a_run(4, target="other", checkpoint={"sha256": "0f" * 32})
    found = only(compared(a_run(1), a_run(2, target="other"), a_run(3, target="other"), odd))
    assert found.verdict == "not comparable"


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
    report = compared(a_run(1), a_run(2, *means, target="other"), fail_above=fail_above)
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
    reader = Reader()
    one, other = (reader.run(a_run(number)) for number in (1, 2))
    assert (one.work is other.work, one.facts is other.facts, one.key is other.key) == (True, True, True)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_acts_on_no_terminal(name: str) -> None:
    runs: list[Run] = [Reader().run(a_run(1)), Reader().run(a_run(2, target=name, cpu_model=name))]
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
    runs = [Reader().run(result) for result in results]
    assert [int(run.run_id[-1]) for run in runs if choice.takes(run)] == days


@pytest.mark.parametrize("text", ["yesterday", "2026-11", "2026-11-02T00:00:00+01:00"])
def test_a_time_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(StatisticsError, match="name a day or a time in UTC"):
        Choice(since=text)


@pytest.mark.parametrize("label", ["stress", "calibration", "clips"])
def test_what_is_no_benchmark_of_a_target_is_not_compared(label: str) -> None:
    run = Reader().run(xeon_pool(labels={label: "x"}))
    assert not Choice().takes(run)
    assert Choice().takes(Reader().run(xeon_pool(labels={"team": "x"})))


def test_fewer_than_three_runs_a_side_are_warned_of() -> None:
    def codes(ours: int, theirs: int) -> set[str]:
        base = [Reader().run(a_run(number)) for number in range(1, ours + 1)]
        group = [Reader().run(a_run(number + 5, target="other")) for number in range(1, theirs + 1)]
        report = compare([*base, *group], {"target": "xeon_pool"})
        return {warning["code"] for warning in report.comparisons[0].warnings}

    assert "few_runs" in codes(1, 1)
    assert "few_runs" in codes(2, 3)
    assert "few_runs" not in codes(3, 3)
