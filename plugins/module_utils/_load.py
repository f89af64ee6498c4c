# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A load of requests: when each arrives, whose queue it joins, and where it is. No clock and no container is in here.

The load is open: requests arrive when they are due, however slow the workers are. A response time counts from that
moment, so a wait that the workers cause is never left out (no coordinated omission).
"""

from __future__ import annotations

import random
import statistics
import typing as t
from collections import deque
from dataclasses import dataclass

from ._container import RunError, format_memory

MOST_REQUESTS = 10_000
# With fewer, not even a median says anything.
FEWEST_REQUESTS = 10
# A slip of the keyboard; how many are started the machine decides.
MOST_WORKERS = 1_000_000
DISPATCHES = ("random", "pooled")


class Arrival(t.NamedTuple):
    """A request: seconds after the start, and the queue that it joins."""

    seconds: float
    queue: int


class Crew(t.NamedTuple):
    """How many workers the machine has room for; `capped_by` says what it lacks for the others, None where nothing."""

    workers: int
    capped_by: t.Optional[str]


@dataclass(frozen=True)
class LoadPlan:
    """What is to be sent: `rate_rps` is meant for all `workers`; fewer of them get their share of it."""

    workers: int
    rate_rps: float
    requests: int
    duration_seconds: int
    dispatch: str
    seed: int
    max_workers: t.Optional[int] = None

    def check(self) -> None:
        """Raise `RunError` with a line about what cannot be sent."""
        if not 1 <= self.workers <= MOST_WORKERS:
            raise RunError("bad_usage", f"workers {self.workers} is not from 1 to {MOST_WORKERS}")
        if self.max_workers is not None and self.max_workers < 1:
            raise RunError("bad_usage", f"max_workers {self.max_workers} leaves none; give 1 or more")
        if not 0 < self.rate_rps < 1e6:
            raise RunError("bad_usage", f"rate {self.rate_rps:g} sends nothing; give requests per second above 0")
        if not FEWEST_REQUESTS <= self.requests <= MOST_REQUESTS:
            raise RunError("bad_usage", f"requests {self.requests} is not from {FEWEST_REQUESTS} to {MOST_REQUESTS}")
        if self.duration_seconds < 1:
            raise RunError("bad_usage", f"duration {self.duration_seconds} leaves no time; give seconds")
        if self.dispatch not in DISPATCHES:
            raise RunError("bad_usage", f"dispatch {self.dispatch!r} is not random or pooled")

    def share_rps(self, workers: int) -> float:
        """The rate for so many of the workers: each is as busy as it would be among all."""
        return self.rate_rps * workers / self.workers

    def arrivals(self, workers: int) -> t.List[Arrival]:
        """Poisson arrivals for so many workers; `RunError` where the time is too short for a test."""
        rate_rps = self.share_rps(workers)
        dice = random.Random(self.seed)
        found: t.List[Arrival] = []
        seconds = dice.expovariate(rate_rps)
        while seconds <= self.duration_seconds and len(found) < self.requests:
            found.append(Arrival(seconds, int(dice.random() * workers) if self.dispatch == "random" else 0))
            seconds += dice.expovariate(rate_rps)
        if len(found) < FEWEST_REQUESTS:
            raise RunError(
                "bad_usage",
                f"only {len(found)} requests arrive within {self.duration_seconds} s at {rate_rps:.3g} requests/s, and "
                f"{FEWEST_REQUESTS} are the fewest that say anything; raise duration",
            )
        return found


def fitting_crew(
    plan: LoadPlan, cpus: int, cpus_per_worker: float, memory_bytes: int, memory_per_worker_bytes: int
) -> Crew:
    """The planned workers, or as many of them as the machine has CPUs and memory for; one at least.

    One CPU is left for the engine and for what sends the requests, unless it is the only one, or the user says how many
    workers to start.
    """
    if plan.max_workers is None:
        room = {f"{cpus} CPUs, of which one is left free": int(max(1, cpus - 1) / cpus_per_worker)}
    else:
        room = {"max_workers": plan.max_workers, f"{cpus} CPUs": int(cpus / cpus_per_worker)}
    room[f"{format_memory(memory_bytes)} of memory"] = memory_bytes // memory_per_worker_bytes
    reason = min(room, key=lambda name: room[name])
    if plan.workers <= max(1, room[reason]):
        return Crew(plan.workers, None)
    return Crew(max(1, room[reason]), reason)


class Served(t.NamedTuple):
    """An answered request; seconds count from the start of the load."""

    worker: int
    arrival_seconds: float
    start_seconds: float
    finish_seconds: float
    service_ms: float

    @property
    def response_seconds(self) -> float:
        return self.finish_seconds - self.arrival_seconds


class Load:
    """Where every request is: to come, waiting, with a worker, or served."""

    def __init__(self, arrivals: t.Sequence[Arrival], workers: int, dispatch: str) -> None:
        self.served: t.List[Served] = []
        self._arrivals = arrivals
        self._arrived = 0
        self._is_pooled = dispatch == "pooled"
        self._queues: t.List[t.Deque[int]] = [deque() for _unused in range(1 if self._is_pooled else workers)]
        # Who has been idle for longest comes first.
        self._idle = deque(range(workers))
        self._started: t.Dict[int, t.Tuple[int, float]] = {}

    @property
    def size(self) -> int:
        return len(self._arrivals)

    @property
    def is_over(self) -> bool:
        return len(self.served) == len(self._arrivals)

    @property
    def waiting(self) -> int:
        """Requests that have arrived and are with no worker yet."""
        return sum(map(len, self._queues))

    @property
    def next_arrival_seconds(self) -> t.Optional[float]:
        """When the next request comes; None after the last."""
        return self._arrivals[self._arrived].seconds if self._arrived < len(self._arrivals) else None

    @property
    def last_arrival_seconds(self) -> float:
        return self._arrivals[-1].seconds

    @property
    def median_response_seconds(self) -> float:
        return statistics.median(request.response_seconds for request in self.served)

    def arrive(self, now: float) -> None:
        """Let what is due join its queue."""
        while self._arrived < len(self._arrivals) and self._arrivals[self._arrived].seconds <= now:
            self._queues[self._arrivals[self._arrived].queue].append(self._arrived)
            self._arrived += 1

    def assign(self) -> t.Iterator[t.Tuple[int, int]]:
        """Take each idle worker with a request for it from the idle: worker and request."""
        for worker in list(self._idle):
            queue = self._queues[0 if self._is_pooled else worker]
            if queue:
                self._idle.remove(worker)
                yield worker, queue.popleft()

    def start(self, worker: int, request: int, now: float) -> None:
        """The worker was sent the request."""
        self._started[worker] = (request, now)

    def finish(self, worker: int, request: int, service_ms: float, now: float) -> bool:
        """The worker has answered; False where it was not asked this."""
        asked, start = self._started.pop(worker, (None, 0.0))
        if asked != request:
            return False
        self.served.append(Served(worker, self._arrivals[request].seconds, start, now, service_ms))
        self._idle.append(worker)
        return True
