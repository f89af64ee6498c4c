# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from scipy.stats import t as scipy_t

from bench_runner.student_t import central_probability, two_sided_quantile


@pytest.mark.parametrize("degrees_of_freedom", [1, 2, 3, 4, 7, 11, 26, 39, 134, 999])
@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.98, 0.999])
def test_the_quantile_is_scipy_s(degrees_of_freedom: int, confidence: float) -> None:
    quantile = two_sided_quantile(confidence, degrees_of_freedom)
    assert quantile == pytest.approx(scipy_t.ppf((1 + confidence) / 2, degrees_of_freedom), rel=1e-9)
    assert central_probability(quantile, degrees_of_freedom) == pytest.approx(confidence, rel=1e-12)
