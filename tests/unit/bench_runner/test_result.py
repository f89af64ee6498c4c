# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from bench_runner import result
from bench_runner.stopping import AdaptivePlan
from tests.unit.bench_runner.a_run import event, small_run
from tests.unit.factories import mac_m4, xeon_pool

# A reader of 1.1 accepts a result of 1.0, so these are not required.
SINCE_1_1 = {"conditions", "strict_findings"}


def assembled(**changes: Any) -> dict[str, Any]:
    return {**result.assemble(small_run(), partial=False), **changes}


def test_figures_follow_from_the_iterations() -> None:
    made = assembled()
    assert made["iterations"] == 4
    assert made["avg_latency_ms"] == 2150
    assert made["avg_latency_seconds"] == 2.15
    assert made["total_time_seconds"] == 8.6
    assert made["rps"] == pytest.approx(1 / 2.15)
    assert made["real_time_factor"] == pytest.approx(2.15 / 15)
    assert made["phases_ms"] == {"mel": 20, "encoder": 900, "decoder": 1230}
    assert made["latency_ms"]["max"] == 2300
    assert [process["wall_ms"] for process in made["processes"]] == [[2000, 2100], [2200, 2300]]
    assert made["memory"]["peak_bytes"] == 800_000_000
    assert [warning["code"] for warning in made["warnings"]] == ["steal"]


def test_counters_are_summed_over_the_iterations() -> None:
    assert assembled()["throttling"] == {
        "applicable": True,
        "periods": 80,
        "throttled_periods": 4,
        "throttled_seconds": 0.04,
        "steal_seconds": 0.08,
    }


def test_without_a_quota_throttling_is_not_applicable() -> None:
    events = small_run()
    events[0]["result"]["isolation"] = {**events[0]["result"]["isolation"], "quota_cpus": None, "mode": "none"}
    throttling = result.assemble(events, partial=False)["throttling"]
    assert throttling["applicable"] is False
    assert throttling["throttled_periods"] is None
    assert throttling["steal_seconds"] == 0.08


def test_counters_that_the_kernel_does_not_keep_are_null() -> None:
    events = small_run()
    next(event for event in events if event["event"] == "iteration")["throttling"]["steal_seconds"] = None
    assert result.assemble(events, partial=False)["throttling"]["steal_seconds"] is None


def test_a_result_keeps_to_the_schema() -> None:
    assert result.problems(assembled()) == []
    assert result.problems(mac_m4()) == []
    assert result.problems(xeon_pool()) == []


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(result.schema())


@pytest.mark.parametrize("key", sorted(result.assemble(small_run(), partial=False).keys() - SINCE_1_1))
def test_the_schema_misses_every_key(key: str) -> None:
    made = assembled()
    del made[key]
    assert result.problems(made)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("schema_version",), "2.0"),
        (("run_id",), "UPPER-CASE-ID"),
        (("iterations",), 0),
        (("iterations",), "4"),
        (("iterations",), True),
        (("avg_latency_ms",), -1),
        (("avg_latency_ms",), float("inf")),
        (("rps",), 0),
        (("timestamp",), "yesterday"),
        (("timestamp",), "2026-11-23T12:00:00+01:00"),
        (("timestamp",), "2026-13-45T99:99:99Z"),
        (("target",), "x" * 301),
        (("transcript", "text"), 5),
        (("transcript", "sha256"), "A" * 64),
        (("checkpoint", "sha256"), "abc"),
        (("isolation", "mode"), "magic"),
        (("isolation", "cgroup_version"), 3),
        (("isolation", "quota_cpus"), 0),
        (("warnings", 0, "code"), "Not A Code"),
        (("processes",), []),
        (("processes", 0, "wall_ms"), []),
        (("processes", 0, "wall_ms", 0), "2000"),
        (("processes", 0, "wall_ms", 0), 0),
        (("throttling", "throttled_periods"), -1),
        (("memory", "peak_bytes"), 1.5),
        (("labels", "purpose"), ["not", "text"]),
        (("decode", "without_fallback"), "yes"),
        (("software", "threads", "torch_intra_op"), 0),
        (("image",), "sha256:abc"),
    ],
)
def test_the_schema_refuses(path: tuple[str | int, ...], value: Any) -> None:
    made: Any = copy.deepcopy(assembled())
    *folders, last = path
    place = made
    for step in folders:
        place = place[step]
    place[last] = value
    assert result.problems(made)


def test_why_a_run_ended_is_part_of_the_result() -> None:
    events = small_run()
    stopping = AdaptivePlan(2, 0.02, True, 40, 60.0).record([2050.0, 2250.0])
    events.insert(-1, event("facts", facts={"stop_reason": "time_budget", "stopping": stopping}))
    made = result.assemble(events, partial=False)
    assert result.problems(made) == []
    assert result.problems({**made, "stop_reason": "boredom"})
    assert result.problems({**made, "stopping": {**stopping, "processes_used": 0}})


def test_what_else_went_on() -> None:
    made = assembled()
    others = (4 * 4.1 - 8.58) / 8.6
    assert made["conditions"] == {
        "run_queue_seconds": 0.02,
        "other_cpus": pytest.approx(others, abs=1e-4),
        "mhz_min": 3001.0,
        "mhz_max": 3004.0,
    }
    assert made["strict_findings"] == ["steal"]
    assert result.problems({**made, "strict_findings": ["Not A Code"]})


def test_a_journal_of_an_earlier_version_tells_less() -> None:
    events = small_run()
    for told in events:
        told.pop("mhz", None)
        if "throttling" in told:
            del told["throttling"]["busy_seconds"], told["throttling"]["run_queue_seconds"]
    made = result.assemble(events, partial=True)
    assert set(made["conditions"].values()) == {None}
    assert result.problems(made) == []


def test_a_newer_minor_version_may_have_more_keys() -> None:
    made = assembled(schema_version="1.7", surprise=1)
    made["audio"] = {**made["audio"], "surprise": 1}
    assert result.problems(made) == []
