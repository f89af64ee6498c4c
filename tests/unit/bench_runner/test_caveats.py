# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import pytest

from bench_runner import caveats
from bench_runner.checkpoint import Checkpoint
from bench_runner.environment import Isolation


def isolation(container: bool = True, quota_cpus: float | None = 1.0, emulated: bool = False) -> Isolation:
    mode = "none" if quota_cpus is None else "quota"
    return Isolation(container, mode, 2, quota_cpus, "0-7", 8, None, emulated)


def codes(found: object) -> list[str]:
    return [warned.code for warned in found]  # type: ignore[attr-defined]


def test_one_cpu_in_a_container_is_isolated() -> None:
    assert caveats.is_isolated(isolation(), 1)
    assert not list(caveats.of_isolation(isolation(), 1))


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (isolation(container=False), ["not_isolated"]),
        (isolation(quota_cpus=2), ["cpu_limit_mismatch"]),
        (isolation(quota_cpus=None), ["cpu_limit_mismatch"]),
        (isolation(container=False, quota_cpus=None), ["not_isolated", "cpu_limit_mismatch"]),
    ],
)
def test_what_is_not_isolated(where: Isolation, expected: list[str]) -> None:
    assert codes(caveats.of_isolation(where, 1)) == expected
    assert not caveats.is_isolated(where, 1)


def test_the_limit_asked_for_may_be_another() -> None:
    assert caveats.is_isolated(isolation(quota_cpus=0.5), 0.5)
    assert not caveats.is_isolated(isolation(quota_cpus=0.5), 1)


def test_emulation_is_a_warning_of_its_own() -> None:
    assert codes(caveats.of_isolation(isolation(emulated=True), 1)) == ["emulated"]


@pytest.mark.parametrize(("means", "warned"), [([2000, 2050, 2099], False), ([2000, 2110], True), ([2000], False)])
def test_noise_between_processes(means: list[float], warned: bool) -> None:
    assert bool(list(caveats.of_spread(means))) is warned


def test_noise_is_told_with_its_figures() -> None:
    (warned,) = caveats.of_spread([2000, 2200])
    assert "9.5%" in warned.message
    assert "from 2000 to 2200 ms" in warned.message


@pytest.mark.parametrize(("cpu_ms", "limit"), [(1990, 1.0), (1990, None), (5900, 4.0), (1000, 0.5), (2000, 1.0)])
def test_no_contention(cpu_ms: float, limit: float | None) -> None:
    assert not list(caveats.of_contention(cpu_ms, 2000, limit))


def test_contention() -> None:
    (warned,) = caveats.of_contention(860, 2000, 1.0)
    assert "had a CPU for 43% of the time" in warned.message
    assert codes(caveats.of_contention(860, 2000, 0.5)) == ["contended"]


@pytest.mark.parametrize(
    ("steal", "demand", "warned"), [(0.9, 100, False), (1.1, 100, True), (None, None, False), (0.0, 0.0, False)]
)
def test_steal(steal: float | None, demand: float | None, warned: bool) -> None:
    assert bool(list(caveats.of_steal(steal, demand))) is warned


@pytest.mark.parametrize(
    ("periods", "throttled", "threads", "cpus", "warned"),
    [
        (100, 9, 1, 1.0, False),
        (100, 10, 1, 1.0, True),
        (100, 100, 2, 1.0, False),
        (None, None, 1, None, False),
        (0, 0, 1, 1.0, False),
    ],
    ids=["few", "many", "more threads than CPUs", "no quota", "nothing counted"],
)
def test_throttling(periods: int | None, throttled: int | None, threads: int, cpus: float | None, warned: bool) -> None:
    assert bool(list(caveats.of_throttling(periods, throttled, threads, cpus))) is warned


def test_transcripts_must_agree() -> None:
    assert not list(caveats.of_transcripts(1))
    assert codes(caveats.of_transcripts(2)) == ["transcript_differs"]


def test_a_checkpoint_that_nobody_vouches_for() -> None:
    weights = Checkpoint(Path("/mine.pt"), "ab" * 32, 1, is_verified=False)
    (warned,) = caveats.of_checkpoint("base", weights)
    assert "--checkpoint-sha256" in warned.message


def test_a_precision_that_was_not_reached() -> None:
    stopping = {"half_width": 0.034, "processes_used": 12}
    assert not list(caveats.of_precision("precision_reached", stopping, 0.02))
    (warned,) = caveats.of_precision("time_budget", stopping, 0.02)
    assert warned.code == "precision_not_reached"
    assert "reaches 3.4% above the mean where 2.0% was wanted: after 12 processes the time budget" in warned.message
    (warned,) = caveats.of_precision("most_processes", {**stopping, "half_width": None}, 0.02)
    assert "there is no interval" in warned.message


def test_more_processes_lie_further_apart_by_chance() -> None:
    apart = [1000.0, 1070.0]
    assert codes(caveats.of_spread([*apart, *[1035.0] * 3])) == ["noisy"]
    assert codes(caveats.of_spread([*apart, *[1035.0] * 38])) == []
    assert codes(caveats.of_spread([1000.0, 1100.0, *[1035.0] * 38])) == ["noisy"]


@pytest.mark.parametrize(
    ("seconds", "threads", "limit", "warned"),
    [
        (1.9, 1, 1.0, False),
        (2.1, 1, 1.0, True),
        (3.9, 2, 2.0, False),
        (90.0, 2, 1.0, False),
        (2.1, 1, None, True),
        (None, 1, 1.0, False),
    ],
)
def test_waiting_for_a_cpu(seconds: float | None, threads: int, limit: float | None, warned: bool) -> None:
    assert codes(caveats.of_run_queue(seconds, 100.0, threads, limit)) == ["run_queue_wait"] * warned


@pytest.mark.parametrize(("cpus", "warned"), [(0.79, False), (0.81, True), (None, False)])
def test_the_load_of_others_counts_by_the_size_of_the_machine(cpus: float | None, warned: bool) -> None:
    found = list(caveats.of_other_load(cpus, 8))
    assert codes(found) == ["other_load"] * warned
    assert not warned or "0.81 of the machine's 8 CPUs" in found[0].message


def test_the_speed_of_the_cpu() -> None:
    assert not list(caveats.of_frequency(None, None, None))
    assert not list(caveats.of_frequency(3100, 3400, None))
    assert codes(caveats.of_frequency(3000, 3400, None)) == ["frequency_changed"]
    assert codes(caveats.of_frequency(None, None, "platform profile quiet")) == ["power_saving"]


def test_what_the_times_tell() -> None:
    assert not list(caveats.of_times([[1000.0, 1010], [1005, 1002], [1003, 1004]]))
    assert codes(caveats.of_times([[1000.0], [1010], [1020], [1030], [1040]])) == ["drift"]
    (warned,) = caveats.of_times([[1000.0, 1400], [1000, 1400], [1000, 1400]])
    assert warned.code == "bimodal"
    assert "two speeds, 1000 ms and for 50% of them 1400 ms" in warned.message
    (warned,) = caveats.of_times([[1000.0], [1001], [1000], [999], [950]])
    assert warned.code == "first_last_differ"
    assert "5.0% faster" in warned.message
