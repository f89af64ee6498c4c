# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.rightsize.whisper.plugins.plugin_utils.normalization import normalize
from ansible_collections.rightsize.whisper.plugins.plugin_utils.sizing import (
    Load,
    Sizing,
    SizingError,
    memory_mib,
    size_cpus,
)
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.factories import mac_m4, xeon_pool

rates = st.floats(min_value=1e-6, max_value=1e6)
ceilings = st.floats(min_value=0.01, max_value=1.0)
latencies = st.floats(min_value=1.0, max_value=1e5)
widths = st.floats(min_value=0.0, max_value=0.5)

TARGET = xeon_pool()
NORMALIZATION = normalize(mac_m4(), TARGET)


def sized(rps: float = 5.0, ceiling: float = 0.7, target: dict[str, Any] | None = None) -> Sizing:
    """The fixtures, or the reference of the fixtures and another target."""
    if target is None:
        return size_cpus(NORMALIZATION, TARGET, Load(rps, ceiling))
    return size_cpus(normalize(mac_m4(), target), target, Load(rps, ceiling))


def sized_by(reference_ms: float, target_ms: float, width: float, load: Load) -> Sizing:
    """Two mean latencies, and an interval of the ratio that reaches this much above it."""
    reference, target = NORMALIZATION.reference, NORMALIZATION.target
    ratio = target_ms / reference_ms
    normalization = replace(
        NORMALIZATION,
        ratio=replace(NORMALIZATION.ratio, centre=ratio, low=ratio / (1 + width), high=ratio * (1 + width)),
        reference=replace(reference, latency_ms=replace(reference.latency_ms, centre=reference_ms)),
        target=replace(target, latency_ms=replace(target.latency_ms, centre=target_ms)),
    )
    return size_cpus(normalization, TARGET, load)


def codes(sizing: Sizing) -> list[str]:
    return [warning["code"] for warning in sizing.warnings]


def test_linear_is_the_multiplication_both_ways() -> None:
    linear = sized(5.0).linear
    assert linear.reference_cores == pytest.approx(5 * 1.338, rel=1e-6)
    assert linear.target_cores == pytest.approx(5 * 1.338 * 2107.4 / 1338.0, rel=1e-6)
    assert linear.target_cores_from_latency == pytest.approx(5 * 2.1074, rel=1e-6)
    assert math.isclose(linear.target_cores, linear.target_cores_from_latency, rel_tol=1e-12)


def test_recommended_takes_the_upper_end_the_ceiling_and_whole_cpus() -> None:
    sizing = sized(5.0)
    recommended = sizing.recommended
    assert recommended.ratio == pytest.approx(1.617, abs=0.001)
    assert recommended.ratio_is_upper_end
    assert recommended.offered_load_cores == pytest.approx(5 * 1.338 * recommended.ratio, rel=1e-6)
    assert recommended.workers == math.ceil(recommended.offered_load_cores / 0.7) == 16
    assert (recommended.cpus_per_worker, recommended.total_cpus) == (1, 16)
    assert recommended.utilisation == pytest.approx(0.676, abs=0.001)
    assert sizing.warnings == ()


def test_a_request_is_the_audio_that_was_measured() -> None:
    assert sized().audio_seconds == pytest.approx(15.17, abs=0.01)


def test_the_steps_lead_from_linear_to_recommended() -> None:
    sizing = sized(5.0)
    assert [step.rule for step in sizing.steps] == ["linear", "interval", "utilisation_ceiling", "whole_cpus"]
    assert sizing.steps[0].cores == sizing.steps[0].added_cores == sizing.linear.target_cores
    assert sizing.steps[1].cores == sizing.recommended.offered_load_cores
    assert sizing.steps[-1].cores == sizing.recommended.total_cpus
    assert math.fsum(step.added_cores for step in sizing.steps) == pytest.approx(sizing.recommended.total_cpus)


@pytest.mark.parametrize(
    ("rps", "target_ms", "ceiling", "workers"),
    [
        (1.0, 2000.0, 0.5, 4),
        (5.0, 2000.0, 1.0, 11),  # a load of 10 on 10 workers is a queue without end
        (5.0, 1999.0, 1.0, 10),
        (0.001, 2000.0, 0.7, 1),
        (7.0, 100.0, 0.7, 1),  # 0.7000000000000001 / 0.7
        (21.0, 100.0, 0.7, 3),  # 3.0000000000000004
        (35.0, 200.0, 0.7, 10),
        (35.0001, 200.0, 0.7, 11),
        (3.0, 100.0, 0.1, 3),  # 0.30000000000000004 / 0.1
    ],
)
def test_workers_are_rounded_up_but_not_for_the_rounding_of_a_product(
    rps: float, target_ms: float, ceiling: float, workers: int
) -> None:
    assert sized_by(700.0, target_ms, 0.0, Load(rps, ceiling)).recommended.workers == workers


@given(rates, rates, ceilings, latencies, latencies, widths)
def test_more_requests_never_need_fewer_workers(
    rps: float, other: float, ceiling: float, ours: float, theirs: float, width: float
) -> None:
    less, more = (sized_by(ours, theirs, width, Load(rate, ceiling)) for rate in sorted((rps, other)))
    assert less.recommended.workers <= more.recommended.workers
    assert less.linear.target_cores <= more.linear.target_cores


@given(rates, ceilings, ceilings, latencies, latencies, widths)
def test_a_higher_ceiling_never_needs_more_workers(
    rps: float, ceiling: float, other: float, ours: float, theirs: float, width: float
) -> None:
    idle, busy = (sized_by(ours, theirs, width, Load(rps, share)) for share in sorted((ceiling, other)))
    assert idle.recommended.workers >= busy.recommended.workers


@given(rates, ceilings, latencies, latencies, latencies, widths, widths)
def test_a_higher_ratio_or_a_wider_interval_never_needs_fewer_workers(
    rps: float, ceiling: float, ours: float, theirs: float, others: float, width: float, wider: float
) -> None:
    (theirs, others), (width, wider) = sorted((theirs, others)), sorted((width, wider))
    fast = sized_by(ours, theirs, width, Load(rps, ceiling))
    slow = sized_by(ours, others, wider, Load(rps, ceiling))
    assert fast.recommended.workers <= slow.recommended.workers


@given(rates, ceilings, latencies, latencies, widths)
def test_workers_carry_the_load_within_the_ceiling_and_no_worker_is_spare(
    rps: float, ceiling: float, ours: float, theirs: float, width: float
) -> None:
    found = sized_by(ours, theirs, width, Load(rps, ceiling)).recommended
    assert found.offered_load_cores <= found.workers * ceiling * (1 + 1e-8)
    assert found.offered_load_cores < found.workers
    one_less = found.workers - 1
    assert one_less == 0 or found.offered_load_cores >= one_less * ceiling * (1 - 1e-8)


@given(rates, ceilings, latencies, latencies, widths)
def test_every_step_adds(rps: float, ceiling: float, ours: float, theirs: float, width: float) -> None:
    sizing = sized_by(ours, theirs, width, Load(rps, ceiling))
    assert all(step.added_cores >= -1e-8 * step.cores for step in sizing.steps)
    assert math.fsum(step.added_cores for step in sizing.steps) == pytest.approx(sizing.recommended.total_cpus)
    assert sizing.recommended.total_cpus >= sizing.linear.target_cores * (1 - 1e-8)


def test_memory_is_the_peak_with_headroom_in_whole_steps() -> None:
    assert memory_mib(768_000_000) == 896  # 842.3 MiB
    assert memory_mib(1) == 64
    assert memory_mib(int(64 * 1024**2 / 1.15)) == 64
    assert memory_mib(round(640 * 1024**2 / 1.15) + 1024) == 704
    assert memory_mib(None) is None
    assert sized().recommended.memory_per_worker_mib == 896
    assert sized().recommended.total_memory_gib == 14.0


@given(st.integers(min_value=1, max_value=10**12))
def test_memory_covers_the_peak_and_no_step_is_spare(peak_bytes: int) -> None:
    mib = memory_mib(peak_bytes)
    assert mib is not None
    assert mib % 64 == 0
    assert peak_bytes * 1.15 <= mib * 1024**2 * (1 + 1e-8)
    assert peak_bytes * 1.15 >= (mib - 64) * 1024**2 * (1 - 1e-8)


def test_an_unknown_peak_is_no_memory_and_a_warning() -> None:
    sizing = sized(target=xeon_pool(memory={"peak_bytes": None}))
    assert sizing.recommended.memory_per_worker_mib is None
    assert sizing.recommended.total_memory_gib is None
    assert codes(sizing) == ["memory_unknown"]


def test_without_an_interval_the_ratio_itself_is_taken_with_a_warning() -> None:
    sizing = sized(target=xeon_pool(wall_ms=[[2000.0, 2100.0], [2050.0, 2060.0]]))
    assert sizing.recommended.ratio == pytest.approx(2052.5 / 1338.0, rel=1e-6)
    assert not sizing.recommended.ratio_is_upper_end
    assert [step.rule for step in sizing.steps] == ["linear", "utilisation_ceiling", "whole_cpus"]
    assert codes(sizing) == ["point_estimate", "few_processes"]


def test_the_ratios_warnings_are_carried_and_a_tainted_one_is_called_so() -> None:
    sizing = sized(target=xeon_pool(isolated=False, cpu_limit=None))
    assert codes(sizing)[0] == "tainted_ratio"
    assert "not_isolated" in codes(sizing)


@pytest.mark.parametrize("rps", [0.0, -1.0, math.nan, math.inf, -math.inf])
def test_a_rate_that_is_none_is_refused(rps: float) -> None:
    with pytest.raises(SizingError, match=r"^the target rate must be a number of requests per second above 0, not "):
        Load(rps)


@pytest.mark.parametrize("ceiling", [0.0, -0.1, 1.0000001, math.nan, math.inf, 70.0])
def test_a_ceiling_that_is_no_share_is_refused(ceiling: float) -> None:
    with pytest.raises(SizingError, match=r"^the utilisation ceiling must lie above 0 and be at most 1, not .*; 0\.7 "):
        Load(5.0, ceiling)


def test_a_rate_that_overflows_is_refused() -> None:
    with pytest.raises(SizingError, match=r"1\.7e\+308 requests per second is more than can be computed with"):
        sized(1.7e308)


@pytest.mark.parametrize("typed", ["5", "5.0", " 5 ", 5, 5.0])
def test_a_load_is_read_from_what_users_type(typed: object) -> None:
    assert Load.of(typed, "0.5") == Load(5.0, 0.5)


@pytest.mark.parametrize("typed", ["five", "", None, True, [5], {}, "5 rps", 10**400])
def test_what_is_no_number_is_named(typed: object) -> None:
    with pytest.raises(SizingError, match=r"^the target rate must be a number, not "):
        Load.of(typed)
    with pytest.raises(SizingError, match=r"^the utilisation ceiling must be a number, not "):
        Load.of(5, typed)


@pytest.mark.parametrize("limit", [0.5, 2.0])
def test_a_run_with_another_limit_sizes_no_workers_of_one_cpu(limit: float) -> None:
    with pytest.raises(SizingError, match=rf"by a run that had {limit:g} CPUs; measure with a CPU limit of 1"):
        sized(target=xeon_pool(cpu_limit=limit))


def test_a_ratio_of_other_latencies_is_refused() -> None:
    wrong = replace(NORMALIZATION, ratio=replace(NORMALIZATION.ratio, centre=2.0))
    with pytest.raises(SizingError, match=r"reference cores × ratio is 13\.38, but rate × latency .* is 10\.537"):
        size_cpus(wrong, TARGET, Load(5.0))


@pytest.mark.parametrize("target", [{}, {"cpu_limit": 1.0, "memory": None}, {"cpu_limit": "1"}])
def test_what_is_no_result_is_called_so(target: dict[str, Any]) -> None:
    with pytest.raises(SizingError, match="this is no result of bench_runner"):
        size_cpus(NORMALIZATION, target, Load(5.0))
