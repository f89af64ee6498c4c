# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import statistics

import pytest

from bench_runner import summary


@pytest.mark.parametrize(
    ("iterations", "given"),
    [
        (63, set()),
        (64, {"p90"}),
        (129, {"p90"}),
        (130, {"p90", "p95"}),
        (661, {"p90", "p95"}),
        (662, {"p90", "p95", "p99"}),
    ],
)
def test_a_percentile_needs_enough_iterations(iterations: int, given: set[str]) -> None:
    figures = summary.latency_ms([float(value) for value in range(1, iterations + 1)])
    assert {name for name in ("p90", "p95", "p99") if figures[name] is not None} == given


def test_percentiles_are_values_that_were_measured() -> None:
    figures = summary.latency_ms([float(value) for value in range(1000, 0, -1)])
    assert (figures["p90"], figures["p95"], figures["p99"]) == (900, 950, 990)
    assert (figures["min"], figures["median"], figures["max"]) == (1, 500.5, 1000)
    assert figures["stddev"] == pytest.approx(statistics.stdev(range(1, 1001)), abs=1e-4)


def test_one_iteration_has_no_deviation() -> None:
    assert summary.latency_ms([2000.5]) == {
        "min": 2000.5, "median": 2000.5, "p90": None, "p95": None, "p99": None, "max": 2000.5, "stddev": None
    }  # fmt: skip


def test_spread_between_processes() -> None:
    assert summary.spread_between([2054, 2112, 2074, 2126, 2171]) == pytest.approx(0.0555, abs=1e-4)
    assert summary.spread_between([2000]) == 0
