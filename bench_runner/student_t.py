# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Student's t distribution for whole degrees of freedom, which is what the means of some processes have."""

from __future__ import annotations

import math
from functools import cache


def central_probability(t: float, degrees_of_freedom: int) -> float:
    """P(-t < T < t), by the finite sums of Abramowitz and Stegun, 26.7.3 and 26.7.4."""
    angle = math.atan(t / math.sqrt(degrees_of_freedom))
    sine, cosine = math.sin(angle), math.cos(angle)
    is_odd = degrees_of_freedom % 2
    term = cosine if is_odd else 1.0
    total = 0.0
    for step in range(2 + is_odd, degrees_of_freedom + 1, 2):
        total += term
        term *= cosine**2 * (step - 1) / step
    return (angle + sine * total) * 2 / math.pi if is_odd else sine * total


@cache
def two_sided_quantile(confidence: float, degrees_of_freedom: int) -> float:
    """The t that a Student-distributed variable stays within, on both sides, with `confidence` (between 0 and 1)."""
    low, high = 0.0, 1.0
    while central_probability(high, degrees_of_freedom) < confidence:
        low, high = high, 2 * high
    while low < (middle := (low + high) / 2) < high:
        if central_probability(middle, degrees_of_freedom) < confidence:
            low = middle
        else:
            high = middle
    return middle
