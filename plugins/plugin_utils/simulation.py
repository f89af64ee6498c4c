# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A seeded simulation of the queues that queueing.py predicts: slow, simple, and therefore its oracle."""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heapreplace
from itertools import accumulate

from ansible_collections.rightsize.whisper.plugins.plugin_utils.queueing import (
    Dispatch,
    carried_erlangs,
    check_arrivals,
)
from ansible_collections.rightsize.whisper.plugins.plugin_utils.service_times import (
    QueueingError,
    ServiceTimes,
    proportion,
)

# The queue starts empty: the first requests do not count.
WARM_UP_SHARE = 0.05


@dataclass(frozen=True)
class Simulation:
    """What the requests that count experienced."""

    responses_seconds: tuple[float, ...]
    """Waiting and service together, ascending."""
    waited_share: float
    utilisation: float

    def share_above(self, seconds: float) -> float:
        return 1 - bisect_right(self.responses_seconds, seconds) / len(self.responses_seconds)

    def percentile_seconds(self, percentile: float) -> float:
        """The smallest response that at least this share of the requests does not exceed."""
        proportion("percentile", percentile)
        count = len(self.responses_seconds)
        return self.responses_seconds[min(count, math.ceil(percentile * count)) - 1]


def simulate(
    arrival_rate_rps: float,
    service_times: ServiceTimes,
    workers: int,
    *,
    dispatch: Dispatch = "random",
    arrival_scv: float = 1.0,
    requests: int = 100_000,
    seed: int = 0,
) -> Simulation:
    """Requests one by one, first come first served; the time between arrivals follows a gamma distribution."""
    check_arrivals(arrival_rate_rps, arrival_scv, dispatch)
    carried_erlangs(arrival_rate_rps, service_times, workers)
    warm_up = round(requests * WARM_UP_SHARE)
    if requests - warm_up < 1:
        raise QueueingError(f"a simulation needs at least 1 request, not {requests}")
    dice = random.Random(seed)
    services = dice.choices(
        service_times.samples_seconds, cum_weights=list(accumulate(service_times.shares)), k=requests
    )
    free_at = [0.0] * workers
    responses: list[float] = []
    waited = 0
    busy_seconds = now = counted_from = 0.0
    for number, (gap, service) in enumerate(zip(_gaps(dice, arrival_rate_rps, arrival_scv), services, strict=False)):
        now += gap
        # Pooled: a heap, whose first is free first. Random: whoever it is.
        worker = 0 if dispatch == "pooled" else int(dice.random() * workers)
        start = max(now, free_at[worker])
        if dispatch == "pooled":
            heapreplace(free_at, start + service)
        else:
            free_at[worker] = start + service
        if number == warm_up:
            counted_from = now
        if number >= warm_up:
            responses.append(start + service - now)
            waited += start > now
            busy_seconds += service
    elapsed = now - counted_from
    return Simulation(
        responses_seconds=tuple(sorted(responses)),
        waited_share=waited / len(responses),
        utilisation=busy_seconds / (elapsed * workers) if elapsed > 0 else 0.0,
    )


def _gaps(dice: random.Random, arrival_rate_rps: float, arrival_scv: float) -> Iterator[float]:
    """Seconds between arrivals; a squared coefficient of variation of 1 is the exponential distribution."""
    while True:
        yield dice.gammavariate(1 / arrival_scv, arrival_scv / arrival_rate_rps)
