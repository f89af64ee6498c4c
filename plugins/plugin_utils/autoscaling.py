# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a HorizontalPodAutoscaler is told: its bounds, and the CPU utilisation that it steers to."""

from __future__ import annotations

import math
from dataclasses import dataclass

# The autoscaler leaves alone what is this close to its target (its default tolerance), so the target lies that far below.
TOLERANCE = 0.1
# Above this, requests of 100 % leave it no room to see that more Pods are needed.
HIGHEST_TARGET_PERCENT = 80


@dataclass(frozen=True)
class Autoscaling:
    """Bounds in replicas, and the target in per cent of the CPU request."""

    min_replicas: int
    max_replicas: int
    target_cpu_percent: int


def autoscaling(base_workers: int, peak_workers: int, peak_utilisation: float, cpus_per_worker: int) -> Autoscaling:
    """Between the workers of the quiet hours, and one more than the peak needs, for while a new one loads its model.

    The target is the utilisation (0 to 1) at the peak with its workers, less the tolerance: were it higher, the
    autoscaler would keep fewer workers than the latency objective needs. It is one of the CPU request, of which the one
    thread of a worker uses one CPU at most.
    """
    of_one_cpu = min(HIGHEST_TARGET_PERCENT, math.floor(100 * peak_utilisation / (1 + TOLERANCE)))
    return Autoscaling(base_workers, peak_workers + 1, max(1, of_one_cpu // cpus_per_worker))
