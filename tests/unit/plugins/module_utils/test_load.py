# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from statistics import fmean, pvariance
from typing import Any

import pytest
from ansible_collections.rightsize.whisper.plugins.module_utils._container import RunError
from ansible_collections.rightsize.whisper.plugins.module_utils._load import (
    Arrival,
    Load,
    LoadPlan,
    fitting_crew,
)
from ansible_collections.rightsize.whisper.plugins.module_utils._load_run import progress

GIB = 2**30
PLAN = LoadPlan(workers=4, rate_rps=2.0, requests=10_000, duration_seconds=100_000, dispatch="random", seed=7)


def test_arrivals_are_poisson_at_the_rate_and_the_seed_repeats_them() -> None:
    arrivals = PLAN.arrivals(4)
    assert arrivals == PLAN.arrivals(4) != replace(PLAN, seed=8).arrivals(4)
    gaps = [later.seconds - earlier.seconds for earlier, later in pairwise(arrivals)]
    assert fmean(gaps) == pytest.approx(1 / 2, rel=0.04)
    # The exponential distribution's standard deviation is its mean, and the gaps know nothing of each other.
    assert pvariance(gaps) == pytest.approx(fmean(gaps) ** 2, rel=0.08)
    lagged = fmean((a - 0.5) * (b - 0.5) for a, b in pairwise(gaps)) / pvariance(gaps)
    assert abs(lagged) < 0.04


def test_random_dispatch_spreads_evenly_and_pooled_has_one_queue() -> None:
    queues = Counter(arrival.queue for arrival in PLAN.arrivals(4))
    assert sorted(queues) == [0, 1, 2, 3]
    assert all(2300 < count < 2700 for count in queues.values())
    assert {arrival.queue for arrival in replace(PLAN, dispatch="pooled").arrivals(4)} == {0}


def test_fewer_workers_get_their_share_of_the_rate() -> None:
    assert PLAN.share_rps(4) == 2.0
    assert PLAN.share_rps(1) == 0.5
    assert PLAN.arrivals(1)[-1].seconds == pytest.approx(10_000 / 0.5, rel=0.05)


def test_arrivals_end_with_the_requests_or_the_time() -> None:
    assert len(replace(PLAN, requests=50).arrivals(4)) == 50
    short = replace(PLAN, duration_seconds=60).arrivals(4)
    assert 80 < len(short) < 170
    assert short[-1].seconds <= 60
    with pytest.raises(RunError, match=r"requests arrive within 2 s .*; raise duration"):
        replace(PLAN, duration_seconds=2).arrivals(4)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rate_rps": 0.0}, "rate 0 sends nothing"),
        ({"rate_rps": -1.0}, "rate -1 sends nothing"),
        ({"rate_rps": float("nan")}, "rate nan sends nothing"),
        ({"rate_rps": float("inf")}, "rate inf sends nothing"),
        ({"workers": 0}, "workers 0 is not from 1 to 1000000"),
        ({"max_workers": 0}, "max_workers 0 leaves none"),
        ({"requests": 9}, "requests 9 is not from 10 to 10000"),
        ({"requests": 10_001}, "requests 10001 is not from 10 to 10000"),
        ({"duration_seconds": 0}, "duration 0 leaves no time"),
        ({"dispatch": "fair"}, "dispatch 'fair' is not random or pooled"),
    ],
)
def test_what_cannot_be_sent_is_one_clear_line(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(RunError, match=words) as caught:
        replace(PLAN, **changes).check()
    assert caught.value.kind == "bad_usage"


@pytest.mark.parametrize(
    ("planned", "limit", "cpus", "memory", "workers", "words"),
    [
        (4, None, 16, 64 * GIB, 4, None),
        (4, None, 5, 64 * GIB, 4, None),
        (4, None, 2, 64 * GIB, 1, "2 CPUs, of which one is left free"),
        (4, None, 1, 64 * GIB, 1, "1 CPUs, of which one is left free"),
        (4, None, 16, 9 * GIB, 2, "9 GiB of memory"),
        (4, None, 16, 2 * GIB, 1, "2 GiB of memory"),
        (4, 3, 16, 64 * GIB, 3, "max_workers"),
        (4, 9, 16, 64 * GIB, 4, None),
        (4, 2, 2, 64 * GIB, 2, "max_workers"),
        (4, 9, 2, 64 * GIB, 2, "2 CPUs"),
    ],
)
def test_the_machine_limits_the_workers(
    planned: int, limit: int | None, cpus: int, memory: int, workers: int, words: str | None
) -> None:
    plan = replace(PLAN, workers=planned, max_workers=limit)
    assert fitting_crew(plan, cpus, 1.0, memory, 4 * GIB) == (workers, words)


def serve(arrivals: list[Arrival], workers: int, dispatch: str, service_seconds: float) -> Load:
    """The load in steps of a tenth of a second, every request taking the same time."""
    load = Load(arrivals, workers, dispatch)
    busy: dict[int, tuple[int, float]] = {}
    step = 0
    while not load.is_over:
        now = step / 10
        for worker, (request, until) in list(busy.items()):
            if until <= now:
                del busy[worker]
                assert load.finish(worker, request, service_seconds * 1000, now)
        load.arrive(now)
        for worker, request in load.assign():
            load.start(worker, request, now)
            busy[worker] = (request, now + service_seconds)
        step += 1
    return load


def test_requests_of_a_busy_worker_wait_though_another_is_idle() -> None:
    load = serve([Arrival(0, 0), Arrival(0, 0), Arrival(0, 1)], 2, "random", 2)
    assert sorted(request.response_seconds for request in load.served) == [2, 2, 4]


def test_a_pooled_request_goes_to_whoever_is_free() -> None:
    load = serve([Arrival(0, 0), Arrival(0, 0), Arrival(0, 0)], 2, "pooled", 2)
    assert sorted(request.response_seconds for request in load.served) == [2, 2, 4]
    assert {request.worker for request in load.served} == {0, 1}


def test_the_first_come_is_the_first_served_and_the_wait_counts_from_the_arrival() -> None:
    load = serve([Arrival(0, 0), Arrival(0.5, 0), Arrival(1, 0)], 1, "random", 2)
    assert [request.arrival_seconds for request in load.served] == [0, 0.5, 1]
    assert [request.response_seconds for request in load.served] == [2, 3.5, 5]


def test_an_answer_to_what_was_not_asked_is_refused() -> None:
    load = Load([Arrival(0, 0)], 1, "random")
    assert not load.finish(0, 0, 1.0, 1.0)
    load.arrive(0)
    [(worker, request)] = load.assign()
    load.start(worker, request, 0)
    assert not load.finish(worker, request + 1, 1.0, 1.0)


def test_progress_says_how_far_it_is() -> None:
    load = Load([Arrival(0, 0), Arrival(1, 0), Arrival(90, 0)], 1, "random")
    load.arrive(2)
    assert progress(load, 2) == "request 0 of 3 answered, 2 waiting"
    [(worker, request)] = load.assign()
    load.start(worker, request, 2)
    load.finish(worker, request, 2000, 4)
    assert progress(load, 4) == "request 1 of 3 answered, 1 waiting, p50 4.000 s so far, 1 min 28 s left"
