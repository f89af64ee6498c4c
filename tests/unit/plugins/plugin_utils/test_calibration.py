# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.rightsize.whisper.plugins.plugin_utils.calibration import CalibrationError, certify

from tests.unit.factories import xeon_pool


def runs(second: float = 1.0, last: float = 1.0, half: float | None = 2.1, noise: float = 0.002, **changes: Any) -> Any:
    """Five processes each, that differ by the noise."""

    def run(factor: float) -> dict[str, Any]:
        walls = [[2000 * factor * (1 + noise * step)] * 2 for step in (-2, -1, 0, 1, 2)]
        return xeon_pool(wall_ms=walls, **changes)

    parts = {"first": 1.0, "second": second, "half": half, "last": last}
    return {part: run(factor) for part, factor in parts.items() if factor is not None}


def verdicts(results: Any) -> list[str]:
    return [check.verdict for check in certify(results, "a-calibration").checks]


def test_an_instrument_that_can_be_believed() -> None:
    certificate = certify(runs(second=1.005, last=0.995), "a-calibration")
    assert certificate.passed is True
    again, last, half = certificate.checks
    assert (again.verdict, last.verdict, half.verdict) == ("passed", "passed", "told")
    assert (again.ratio.centre, last.ratio.centre) == (pytest.approx(1.005), pytest.approx(0.995))
    assert (half.ratio.centre, half.ideal) == (pytest.approx(2.1), 2.0)
    assert certificate.table[2].endswith("ideally 2.00: told")
    assert set(certificate.run_ids) == {"first", "second", "half", "last"}


@pytest.mark.parametrize(("second", "last"), [(1.06, 1.0), (0.94, 1.0), (1.0, 1.06)])
def test_a_drift_fails(second: float, last: float) -> None:
    results = runs(second=second, last=last)
    assert certify(results, "a-calibration").passed is False
    assert verdicts(results).count("failed") == 1


def test_agreement_of_what_cannot_be_proves_nothing() -> None:
    lying = runs(warnings=[{"code": "physically_impossible", "message": "faster than the CPU's arithmetic"}])
    assert certify(lying, "a-calibration").passed is False
    assert certify(runs(isolated=False), "a-calibration").passed is None


def test_noise_decides_nothing() -> None:
    results = runs(second=1.01, noise=0.05)
    assert verdicts(results) == ["undecided", "undecided", "told"]
    assert certify(results, "a-calibration").passed is None
    # Nor do two processes, of which there is no interval.
    few = {part: xeon_pool(wall_ms=[[2000.0], [2000.0]]) for part in ("first", "second", "last")}
    assert verdicts(few) == ["undecided", "undecided"]


def test_whole_cpus_alone() -> None:
    assert verdicts(runs(half=None)) == ["passed", "passed"]


def test_warnings_are_carried() -> None:
    results = runs(warnings=[{"code": "steal", "message": "the hypervisor"}])
    assert certify(results, "a-calibration").warnings[0] == "first: the hypervisor"


def test_what_proves_nothing() -> None:
    with pytest.raises(CalibrationError, match="lacks its run 'last'"):
        certify({part: xeon_pool() for part in ("first", "second", "half")}, "a-calibration")
    with pytest.raises(CalibrationError, match="no result of bench_runner"):
        certify({"first": {}, "second": {}, "last": {}}, "a-calibration")
