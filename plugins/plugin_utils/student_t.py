# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Student's t distribution, as far as an interval needs it.

The standard library has none, and SciPy with NumPy (200 MB on the controller) would be much luggage for one number.
The tests hold the quantile against SciPy's.
"""

from __future__ import annotations

import math

# The continued fraction needs O(√ν) terms; 10,000 are enough for ν of some millions.
MAX_TERMS = 10_000
PRECISION = 1e-14
# Lentz's method divides by numbers that may be zero; this stands in.
TINY = 1e-300


def student_t_quantile(probability: float, degrees_of_freedom: float) -> float:
    """The t that a Student-distributed variable stays below with `probability`; the degrees may be fractional."""
    if not 0 < probability < 1:
        raise ValueError(f"a probability lies between 0 and 1, not at {probability}")
    if not 0 < degrees_of_freedom < math.inf:
        raise ValueError(f"degrees of freedom are a number above 0, not {degrees_of_freedom}")
    if probability == 0.5:
        return 0.0
    tail = min(probability, 1 - probability)
    low, high = 0.0, 1.0
    while _upper_tail(high, degrees_of_freedom) > tail:
        low, high = high, 2 * high
    while low < (middle := (low + high) / 2) < high:
        if _upper_tail(middle, degrees_of_freedom) > tail:
            low = middle
        else:
            high = middle
    return math.copysign(middle, probability - 0.5)


def _upper_tail(t: float, degrees_of_freedom: float) -> float:
    """P(T > t) for t ≥ 0."""
    square = t * t
    return (
        _incomplete_beta(
            degrees_of_freedom / (degrees_of_freedom + square),
            square / (degrees_of_freedom + square),
            degrees_of_freedom / 2,
            0.5,
        )
        / 2
    )


def _incomplete_beta(x: float, one_minus_x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function; 1 − x is handed in, since subtracting would lose its digits."""
    if x == 0 or one_minus_x == 0:
        return 1.0 if one_minus_x == 0 else 0.0
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log(one_minus_x)
    front = math.exp(log_front)
    if x < (a + 1) / (a + b + 2):
        return front * _beta_fraction(x, a, b) / a
    return 1 - front * _beta_fraction(one_minus_x, b, a) / b


def _beta_fraction(x: float, a: float, b: float) -> float:
    """The continued fraction of the incomplete beta function (DLMF 8.17.22), by Lentz's method."""
    c = 1.0
    d = 1 / _not_zero(1 - (a + b) * x / (a + 1))
    fraction = d
    for m in range(1, MAX_TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for coefficient in (even, odd):
            d = 1 / _not_zero(1 + coefficient * d)
            c = _not_zero(1 + coefficient / c)
            fraction *= c * d
        if abs(c * d - 1) < PRECISION:
            return fraction
    raise ArithmeticError(f"the incomplete beta function did not converge at x {x}, a {a}, b {b}")


def _not_zero(value: float) -> float:
    return value if abs(value) > TINY else TINY
