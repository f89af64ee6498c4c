# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.rightsize.whisper.plugins.plugin_utils.student_t import student_t_quantile
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t as student_t


@given(st.floats(0.5005, 0.99999), st.floats(0.5, 10_000))
def test_the_quantile_is_that_of_scipy(probability: float, degrees_of_freedom: float) -> None:
    expected = student_t.ppf(probability, degrees_of_freedom)
    assert student_t_quantile(probability, degrees_of_freedom) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("degrees_of_freedom", "quantile"),
    # From the tables of textbooks.
    [(1, 12.706), (2, 4.303), (4, 2.776), (8, 2.306), (30, 2.042), (1_000_000, 1.960)],
)
def test_the_quantile_is_that_of_the_tables(degrees_of_freedom: int, quantile: float) -> None:
    assert student_t_quantile(0.975, degrees_of_freedom) == pytest.approx(quantile, abs=0.0005)


@given(st.floats(0.0001, 0.9999), st.floats(1, 100))
def test_the_distribution_is_symmetric(probability: float, degrees_of_freedom: float) -> None:
    assert student_t_quantile(probability, degrees_of_freedom) == pytest.approx(
        -student_t_quantile(1 - probability, degrees_of_freedom), rel=1e-6, abs=1e-9
    )


@pytest.mark.parametrize("probability", [-0.1, 0, 1, 1.1, float("nan")])
def test_a_probability_lies_between_0_and_1(probability: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        student_t_quantile(probability, 4)


@pytest.mark.parametrize("degrees_of_freedom", [-1, 0, float("inf"), float("nan")])
def test_degrees_of_freedom_are_above_0(degrees_of_freedom: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        student_t_quantile(0.975, degrees_of_freedom)
