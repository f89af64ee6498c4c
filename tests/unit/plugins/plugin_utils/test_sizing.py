# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.rightsize.whisper.plugins.plugin_utils.load import Load, SizingError
from ansible_collections.rightsize.whisper.plugins.plugin_utils.normalization import normalize
from ansible_collections.rightsize.whisper.plugins.plugin_utils.sizing import (
    Measurements,
    Sizing,
    size_cpus,
)
from hypothesis import given, settings
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


def test_memory_is_that_of_all_workers() -> None:
    assert sized().recommended.memory_per_worker_mib == 896
    assert sized().recommended.total_memory_gib == 14.0


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


def test_a_rate_that_overflows_is_refused() -> None:
    with pytest.raises(SizingError, match=r"1\.7e\+308 requests per second is more than can be computed with"):
        sized(1.7e308)


@pytest.mark.parametrize(("limit", "threads"), [(0.5, 1), (1.5, 1), (2.5, 1), (2.0, 2), (4.0, 2)])
def test_a_run_with_another_limit_or_more_threads_than_one_sizes_no_workers(limit: float, threads: int) -> None:
    target = xeon_pool(cpu_limit=limit, threads=threads)
    said = rf"by a run that had {limit:g} CPUs and {threads} threads?; measure with a CPU limit of 1"
    with pytest.raises(SizingError, match=said):
        size_cpus(normalize(mac_m4(), target, allow_different_work=True), target, Load(5.0))


def test_a_run_of_one_thread_on_a_whole_core_sizes_workers_of_a_whole_core() -> None:
    sizing = sized(target=xeon_pool(cpu_limit=2.0))
    recommended = sizing.recommended
    assert (recommended.workers, recommended.cpus_per_worker, recommended.total_cpus) == (16, 2, 32)
    assert codes(sizing)[0] == "several_cpus_measured"
    assert "the run had 2 CPUs for one thread" in sizing.warnings[0]["message"]
    # What one CPU of a core would do was not measured.
    assert {variant.cpu_request for variant in sizing.variants} == {2}


def test_a_worker_given_two_cpus_has_twice_the_cpus_the_cost_and_half_the_autoscalers_target() -> None:
    load = Load.of(5, base_rps=1, price_per_cpu_hour=0.04, latency_seconds=8)
    one, two = (size_cpus(NORMALIZATION, TARGET, load, cpus_per_worker=cpus) for cpus in (1, 2))
    assert two.recommended.workers == one.recommended.workers
    assert two.recommended.cpus_per_worker == 2
    assert two.recommended.total_cpus == 2 * one.recommended.total_cpus
    assert one.cost is not None
    assert two.cost is not None
    assert one.cost.base_per_hour is not None
    assert (two.cost.per_hour, two.cost.per_month) == pytest.approx((2 * one.cost.per_hour, 2 * one.cost.per_month))
    assert two.cost.base_per_hour == pytest.approx(2 * one.cost.base_per_hour)
    assert one.autoscaling is not None
    assert two.autoscaling == replace(one.autoscaling, target_cpu_percent=one.autoscaling.target_cpu_percent // 2)
    assert two.steps[-1].cores == two.recommended.total_cpus
    assert math.fsum(step.added_cores for step in two.steps) == pytest.approx(two.recommended.total_cpus)


@pytest.mark.parametrize(("cpus", "shape"), [(1, "guaranteed"), (2, "whole_cores"), (4, "whole_cores")])
def test_the_recommended_shape_is_the_one_that_is_ordered(cpus: int, shape: str) -> None:
    sizing = size_cpus(NORMALIZATION, TARGET, Load.of(5, price_per_cpu_hour=0.04), cpus_per_worker=cpus)
    (recommended,) = [variant for variant in sizing.variants if variant.recommended]
    assert (recommended.name, recommended.cpu_request, recommended.cpu_limit) == (shape, cpus, cpus)
    assert recommended.total_cpus == sizing.recommended.total_cpus == 16 * cpus
    assert sizing.cost is not None
    assert recommended.cost_per_hour == pytest.approx(sizing.cost.per_hour)


def test_a_ratio_of_other_latencies_is_refused() -> None:
    wrong = replace(NORMALIZATION, ratio=replace(NORMALIZATION.ratio, centre=2.0))
    with pytest.raises(SizingError, match=r"reference cores × ratio is 13\.38, but rate × latency .* is 10\.537"):
        size_cpus(wrong, TARGET, Load(5.0))


@pytest.mark.parametrize("target", [{}, {"cpu_limit": 1.0, "memory": None}, {"cpu_limit": "1"}])
def test_what_is_no_result_is_called_so(target: dict[str, Any]) -> None:
    with pytest.raises(SizingError, match="this is no result of bench_runner"):
        size_cpus(NORMALIZATION, target, Load(5.0))


def loaded(**options: Any) -> Sizing:
    return size_cpus(NORMALIZATION, TARGET, Load.of(5, **options))


def test_an_objective_asks_for_more_workers_and_is_the_last_step() -> None:
    sizing = loaded(latency_seconds=8)
    assert sizing.decision.deciding_rule == "objective"
    assert sizing.recommended.workers == sizing.decision.workers_objective > sizing.decision.workers_utilisation_ceiling
    assert sizing.decision.response_p95_seconds <= 8
    assert [step.rule for step in sizing.steps][-2:] == ["whole_cpus", "objective"]
    assert math.fsum(step.added_cores for step in sizing.steps) == pytest.approx(sizing.recommended.total_cpus)
    assert codes(sizing) == ["few_samples"]


def test_one_queue_needs_fewer_workers_than_random_dispatch() -> None:
    assert (
        loaded(latency_seconds=4, dispatch="pooled").recommended.workers < loaded(latency_seconds=4).recommended.workers
    )


def test_an_objective_that_no_number_of_workers_meets_says_what_would_make_it_feasible() -> None:
    sizing = loaded(latency_seconds=2.15)
    assert sizing.recommended.workers == sizing.decision.workers_utilisation_ceiling
    assert sizing.objective_infeasible is not None
    assert re.search(r"cannot be met by adding workers: .*; set at least [0-9.]+ s", sizing.objective_infeasible)
    assert codes(sizing)[0] == "objective_infeasible"
    assert {variant.meets_objective for variant in sizing.variants} == {False}


def test_an_objective_below_every_service_time_is_refused() -> None:
    with pytest.raises(
        SizingError, match=r"^p95 within 1 s is below the shortest service time, 2\.\d+ s; set a longer one$"
    ):
        loaded(latency_seconds=1)


def test_a_derate_makes_every_request_longer() -> None:
    plain, derated = loaded(), loaded(derate=1.25)
    assert derated.recommended.offered_load_cores == pytest.approx(1.25 * plain.recommended.offered_load_cores)
    assert "derate" in [step.rule for step in derated.steps]
    assert derated.linear == plain.linear


def test_an_autoscaler_goes_from_the_base_rate_to_one_more_than_the_peak_needs() -> None:
    sizing = loaded(base_rps=1)
    assert sizing.autoscaling is not None
    assert sizing.autoscaling.min_replicas == size_cpus(NORMALIZATION, TARGET, Load(1.0)).recommended.workers
    assert sizing.autoscaling.max_replicas == sizing.recommended.workers + 1
    assert sizing.autoscaling.target_cpu_percent == math.floor(100 * sizing.recommended.utilisation / 1.1)
    assert loaded().autoscaling is None


def test_a_price_gives_the_cost_of_every_shape() -> None:
    sizing = loaded(price_per_cpu_hour="0.04", base_rps=1)
    assert sizing.cost is not None
    assert sizing.cost.per_hour == pytest.approx(0.64)
    assert sizing.cost.per_month == pytest.approx(0.64 * 730)
    assert sizing.cost.base_per_hour == pytest.approx(0.04 * 4)
    assert [variant.cost_per_hour for variant in sizing.variants] == pytest.approx([0.64, 1.28, 0.64])
    assert loaded().cost is None


def test_a_mix_counts_windows_of_30_seconds_and_says_what_it_extrapolates() -> None:
    sizing = loaded(mix=[{"audio_seconds": 20, "share": 0.75}, {"audio_seconds": 95, "share": 0.25}])
    assert sizing.work_factor == pytest.approx(0.75 + 0.25 * 4)
    assert sizing.audio_seconds == pytest.approx(0.75 * 20 + 0.25 * 95)
    assert sizing.linear.target_cores == pytest.approx(loaded().linear.target_cores * 1.75)
    assert codes(sizing) == ["mix_extrapolated"]
    assert "95 s (4 windows of 30 s)" in sizing.warnings[0]["message"]


def clip(audio_seconds: float, *wall_ms: float) -> dict[str, Any]:
    return xeon_pool(wall_ms=[wall_ms], audio={"name": f"{audio_seconds:g}.wav", "seconds": audio_seconds})


def test_a_users_clips_are_the_requests_and_serve_the_mix() -> None:
    more = Measurements(clips=[clip(10, 1500, 1700), clip(80, 6000, 6600)])
    sizing = size_cpus(NORMALIZATION, TARGET, Load(5.0), more)
    assert sizing.work_factor == pytest.approx((1.6 + 6.3) / 2 / 2.1074, rel=1e-4)
    assert [figures.name for figures in sizing.clips] == ["10.wav", "80.wav"]
    mixed = size_cpus(NORMALIZATION, TARGET, Load.of(5, mix=[{"audio_seconds": 70, "share": 1}]), more)
    assert mixed.work_factor == pytest.approx(6.3 / 2.1074, rel=1e-4)
    assert codes(mixed) == []


def threaded(threads: int, wall_ms: float, **changes: Any) -> dict[str, Any]:
    return xeon_pool(
        wall_ms=[[wall_ms, 1.01 * wall_ms]], **{"threads": threads, "cpu_limit": float(threads), **changes}
    )


def test_a_fat_pod_is_offered_only_where_more_threads_were_measured_to_be_faster() -> None:
    runs = [
        threaded(2, 1200.0),
        threaded(2, 1210.0),
        threaded(2, 1190.0),
        threaded(4, 2300.0),
        threaded(8, 500.0, cpu_limit=1.0),
    ]
    sizing = size_cpus(NORMALIZATION, TARGET, Load(5.0), Measurements(thread_runs=runs))
    fat = [variant for variant in sizing.variants if variant.name == "fat_pod"]
    assert [(variant.threads, variant.cpu_limit) for variant in fat] == [(2, 2)]
    assert fat[0].speed_up == pytest.approx(2.1074 / 1.206, rel=1e-3)
    assert fat[0].response_p95_seconds < sizing.decision.response_p95_seconds
    assert fat[0].total_cpus == 2 * fat[0].workers > sizing.recommended.total_cpus


def test_a_fat_pod_of_too_few_runs_for_an_interval_is_not_offered() -> None:
    runs = [threaded(2, 1200.0), threaded(2, 1210.0)]
    sizing = size_cpus(NORMALIZATION, TARGET, Load(5.0), Measurements(thread_runs=runs))
    assert "fat_pod" not in {variant.name for variant in sizing.variants}


def test_the_shapes_beside_the_recommended_one() -> None:
    shapes = {variant.name: variant for variant in sized().variants}
    assert shapes["guaranteed"].total_cpus == shapes["no_cpu_limit"].total_cpus == 16
    assert shapes["whole_cores"].total_cpus == 32
    assert shapes["no_cpu_limit"].cpu_limit is None
    assert shapes["no_cpu_limit"].qos_class == "Burstable"


@settings(max_examples=25)
@given(
    st.floats(min_value=2.2, max_value=60.0),
    st.floats(min_value=2.2, max_value=60.0),
    st.floats(min_value=0.1, max_value=50.0),
)
def test_a_tighter_objective_never_needs_fewer_workers(seconds: float, other: float, rps: float) -> None:
    tight, loose = (
        size_cpus(NORMALIZATION, TARGET, Load.of(rps, latency_seconds=bound)) for bound in sorted((seconds, other))
    )
    if tight.decision.infeasible is None:
        assert tight.recommended.workers >= loose.recommended.workers
