# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import Any
from xml.etree import ElementTree

import pytest
from ansible_collections.rightsize.whisper.plugins.plugin_utils.throttling import (
    PlannedRun,
    StressError,
    plan_runs,
    report_stress,
)

from bench_runner.throttling import judge
from tests.unit.bench_runner.stressed import stressed

# As measured with `base` at one CPU, three processes of each thread count; and what two CPUs buy.
RUNS = [
    *(stressed(1, wall_ms, 0.01) for wall_ms in (2150, 2170, 2120)),
    *(stressed(2, wall_ms, 1.0) for wall_ms in (3600, 3650, 3580)),
    stressed(4, 23800, 1.0),
    *(stressed(threads, wall_ms, 0.0, cpus=2.0) for threads, wall_ms in ((1, 2140), (2, 1250))),
]
JUDGED: dict[str, Any] = asdict(judge(RUNS))


def cases(runs: tuple[PlannedRun, ...]) -> Counter[tuple[float, int]]:
    return Counter((run.cpus, run.threads) for run in runs)


def test_every_case_once_a_block() -> None:
    runs = plan_runs([1, 2, 4], 1, [0.5, 1, 2], 3, seed=1)
    assert cases(runs) == dict.fromkeys([(1, 1), (1, 2), (1, 4), (0.5, 1), (2, 1), (2, 2)], 3)
    assert [run.number for run in runs] == list(range(1, 19))
    assert [run.block for run in runs] == [1] * 6 + [2] * 6 + [3] * 6
    assert (runs[0].cpus, runs[0].threads) == (1, 1)


def test_the_order_is_random_and_can_be_repeated() -> None:
    orders = [plan_runs([1, 2, 4], 1, [], 3, seed) for seed in range(10)]
    assert len(set(orders)) > 5
    assert orders[3] == plan_runs([1, 2, 4], 1, [], 3, 3)


@pytest.mark.parametrize(
    ("threads", "cpus", "limits", "blocks", "words"),
    [
        ([2, 4], 1, [], 3, "lack 1"),
        ([1, 0], 1, [], 3, "not all from 1"),
        ([1, 2], 0, [], 3, "not all above 0"),
        ([1, 2], 1, [-1], 3, "not all above 0"),
        ([1, 2], float("nan"), [], 3, "not all above 0"),
        ([1, 2], 1, [], 0, "0 blocks measure nothing"),
    ],
)
def test_what_is_no_plan(threads: list[int], cpus: float, limits: list[float], blocks: int, words: str) -> None:
    with pytest.raises(StressError, match=words):
        plan_runs(threads, cpus, limits, blocks, 1)


def test_how_sure_a_row_is() -> None:
    report = report_stress(JUDGED, "a-stress-test", 7, ["threads 4: hopeless", "threads 4: more so"])
    one, two, four, *_wide = report.rows
    assert report.throttled
    assert one.latency_seconds.contains(2.170)
    assert (one.ratio, four.latency_seconds.low) == (None, None)
    assert two.ratio is not None
    assert two.ratio.contains(3600 / 2150)
    assert two.ratio.centre == pytest.approx(two.figures["ratio"])
    assert two.latency_seconds.centre == pytest.approx(two.figures["avg_latency_ms"] / 1000)
    assert report.stopped_early == ("threads 4: hopeless",)


def test_the_table_of_a_terminal() -> None:
    table = report_stress(JUDGED, "a-stress-test", 7).table
    assert [line.split("  ")[-1] for line in table] == [
        "verdict", "clean", "quota-throttled", "quota-throttled", "clean", "clean",
    ]  # fmt: skip
    assert "300 of 300 (100%)" in table[2]
    without_quota = [stressed(1, 2110, None), stressed(2, 2470, None)]
    table = report_stress(asdict(judge(without_quota)), "a-stress-test", 7).table
    assert "not applicable" in table[1]
    assert "oversubscribed" in table[2]


def test_the_picture_is_well_formed_and_shows_every_row() -> None:
    hostile = {**JUDGED, "target": '<script>"&\x1b[31m'}
    picture = report_stress(hostile, "a-stress-test", 7).plot
    root = ElementTree.fromstring(picture)
    space = "{http://www.w3.org/2000/svg}"
    assert {element.tag.removeprefix(space) for element in root.iter()} == {
        "svg", "title", "rect", "text", "path", "circle", "polyline",
    }  # fmt: skip
    texts = [element.text or "" for element in root.iter(f"{space}text")]
    assert '<script>"&' in texts[0]
    assert {"2 CPUs", "1 CPU", "2 × one thread"} <= set(texts)
    hollow = [circle for circle in root.iter(f"{space}circle") if circle.get("class") == "card"]
    assert len(hollow) == 2
    heights = [float(circle.get("cy", "nan")) for circle in root.iter(f"{space}circle")]
    assert all(0 < height < 400 for height in heights)


def test_what_is_no_judgement() -> None:
    with pytest.raises(StressError, match="no judgement"):
        report_stress({"rows": []}, "a-stress-test", 7)
