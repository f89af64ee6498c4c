# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How many one-request-at-a-time workers carry a load within a latency objective.

Service times are measured samples; arrivals are a rate and their variability (Ca², the squared coefficient of variation
of the time between arrivals: 1 for Poisson). Two ways to hand requests to workers:

- `random`: each request goes to any worker, busy or not, as kube-proxy does. Every worker is a queue of its own.
- `pooled`: one queue, and whoever is free takes the next request.

Random dispatch of Poisson arrivals is computed exactly (response_time). The rest is reduced to it, and checked against
the simulation in docs/queueing.md: c pooled workers delay a request as often as Erlang C says and pass its wait c times
as fast (Allen–Cunneen), a little less for regular service times (Cosmetatos, Whitt); arrivals of another variability
act as if there were fewer, or more, servers at the same utilisation (Hayward).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ansible_collections.rightsize.whisper.plugins.plugin_utils.response_time import ResponseTime
from ansible_collections.rightsize.whisper.plugins.plugin_utils.service_times import (
    ROUNDING,
    QueueingError,
    ServiceTimes,
    positive,
    proportion,
)

Dispatch = Literal["random", "pooled"]
Rule = Literal["linear", "utilisation_ceiling", "objective"]

DEFAULT_UTILISATION_CEILING = 0.7
# An objective that needs workers which idle more than this share of their time is called infeasible.
MOST_IDLE = 0.99
# Two moments describe arrivals between these bounds; beyond, a trace has to be simulated.
LEAST_ARRIVAL_SCV = 0.1
MOST_ARRIVAL_SCV = 100.0


@dataclass(frozen=True)
class LatencyObjective:
    """This share of the requests is answered within these seconds, waiting included."""

    percentile: float
    seconds: float

    def __post_init__(self) -> None:
        proportion("the percentile of the objective", self.percentile)
        positive("the seconds of the objective", self.seconds)

    def __str__(self) -> str:
        return f"p{100 * self.percentile:g} within {self.seconds:g} s"


@dataclass(frozen=True)
class Infeasible:
    """An objective that more workers do not meet, and what would make it feasible."""

    objective: LatencyObjective
    service_seconds: float
    feasible_from_seconds: float
    service_time_factor: float

    def __str__(self) -> str:
        if self.service_seconds > self.objective.seconds:
            reason = f"the service alone takes {self.service_seconds:.3g} s"
        else:
            reason = f"they would idle more than {MOST_IDLE:.0%} of their time"
        return (
            f"{self.objective} cannot be met by adding workers: {reason}; set at least "
            f"{_three_digits(self.feasible_from_seconds, math.ceil)} s, or bring the service times to "
            f"{_three_digits(100 * self.service_time_factor, math.floor)} % of what they are (more threads per worker, "
            f"where that was measured to help, or a smaller model)"
        )


@dataclass(frozen=True)
class WorkerDecision:
    """How many workers, which rule asked for that many, and what they are predicted to do."""

    offered_load_erlangs: float
    workers: int
    deciding_rule: Rule
    workers_linear: int
    workers_utilisation_ceiling: int
    workers_objective: int | None
    infeasible: Infeasible | None
    utilisation: float
    wait_probability: float
    response_p50_seconds: float
    response_p90_seconds: float
    response_p95_seconds: float
    response_p99_seconds: float


def erlang_c(servers: float, load_erlangs: float) -> float:
    """P(a request waits) with Poisson arrivals and one queue; the number of servers need not be whole.

    The recursion B ← aB / (k + aB) is stable. Between whole numbers it starts from Rapp's parabola for B, which is
    somewhat high for small loads.
    """
    positive("the number of servers", servers)
    positive("the offered load in Erlangs", load_erlangs)
    if load_erlangs >= servers:
        return 1.0
    position = servers % 1.0
    span = (1 + load_erlangs) ** 2 + load_erlangs
    blocked = 1 - (load_erlangs + 2) / span * position + position**2 / ((1 + load_erlangs) * span)
    for _unused in range(int(servers)):
        position += 1
        blocked *= load_erlangs
        blocked /= position + blocked
        if blocked < 1e-15 and position > load_erlangs:
            return 0.0
    return blocked / (1 - load_erlangs / servers * (1 - blocked))


def check_arrivals(arrival_rate_rps: float, arrival_scv: float, dispatch: str) -> None:
    """One clear line about a stream of requests that nothing can be said about."""
    positive("the arrival rate in requests per second", arrival_rate_rps)
    if not LEAST_ARRIVAL_SCV <= arrival_scv <= MOST_ARRIVAL_SCV:
        raise QueueingError(
            f"the variability of the arrivals (Ca²) must lie between {LEAST_ARRIVAL_SCV:g} and {MOST_ARRIVAL_SCV:g}, "
            f"not {arrival_scv}; 1 is Poisson"
        )
    if dispatch not in ("random", "pooled"):
        raise QueueingError(f"dispatch must be random or pooled, not {dispatch}")


def fewest_workers(load_erlangs: float) -> int:
    """More than the load: with as many or fewer, the queue grows without end."""
    return math.floor(load_erlangs * (1 + ROUNDING)) + 1


def carried_erlangs(arrival_rate_rps: float, service_times: ServiceTimes, workers: int) -> float:
    """The offered load, where these workers can carry it."""
    load = arrival_rate_rps * service_times.mean_seconds
    fewest = fewest_workers(load)
    if workers < fewest:
        raise QueueingError(
            f"{workers} workers cannot carry {arrival_rate_rps:g} requests/s of {service_times.mean_seconds:.3g} s: "
            f"the queue would grow without end; use at least {fewest}"
        )
    return load


def response_time(
    arrival_rate_rps: float,
    service_times: ServiceTimes,
    workers: int,
    *,
    dispatch: Dispatch = "random",
    arrival_scv: float = 1.0,
) -> ResponseTime:
    """The distribution of waiting and service together."""
    check_arrivals(arrival_rate_rps, arrival_scv, dispatch)
    utilisation = carried_erlangs(arrival_rate_rps, service_times, workers) / workers
    if dispatch == "random":
        # A random share 1/c of a bursty stream is closer to Poisson than the stream. One of a steady stream is too, but
        # taken as Poisson altogether: in two moments it would look as if a second worker made it slower.
        workers_seen, scv = 1, 1 + max(0.0, arrival_scv - 1) / workers
    else:
        workers_seen, scv = workers, arrival_scv
    peakedness = (scv + service_times.scv) / (1 + service_times.scv)
    servers = workers_seen / peakedness
    return ResponseTime(
        times=service_times,
        utilisation=utilisation,
        wait_probability=erlang_c(servers, utilisation * servers),
        speed=servers / (1 + _regular_service_excess(servers, utilisation) * max(0.0, 1 - service_times.scv)),
    )


def response_percentile_seconds(
    percentile: float,
    arrival_rate_rps: float,
    service_times: ServiceTimes,
    workers: int,
    *,
    dispatch: Dispatch = "random",
    arrival_scv: float = 1.0,
) -> float:
    """The time within which this share of the requests is answered."""
    proportion("percentile", percentile)
    response = response_time(arrival_rate_rps, service_times, workers, dispatch=dispatch, arrival_scv=arrival_scv)
    return response.percentile_seconds(percentile)


def smallest_workers(
    arrival_rate_rps: float,
    service_times: ServiceTimes,
    objective: LatencyObjective | None = None,
    *,
    utilisation_ceiling: float = DEFAULT_UTILISATION_CEILING,
    arrival_scv: float = 1.0,
    dispatch: Dispatch = "random",
    derate: float = 1.0,
) -> WorkerDecision:
    """The smallest number of workers that every rule accepts.

    `derate` (at least 1) multiplies every service time: busy neighbours on the node that the measurement did not have.
    """
    check_arrivals(arrival_rate_rps, arrival_scv, dispatch)
    if not 0 < utilisation_ceiling <= 1:
        raise QueueingError(f"the utilisation ceiling must lie above 0 and be at most 1, not {utilisation_ceiling}")
    if not (math.isfinite(derate) and derate >= 1):
        raise QueueingError(f"derate must be a number of at least 1, not {derate}")
    # Service times k times as long are the same service times in a unit of k seconds.
    search = _Search(arrival_rate_rps * derate, service_times, dispatch, arrival_scv)
    linear = _whole(search.load_erlangs)
    ceiling = max(search.fewest, _whole(search.load_erlangs / utilisation_ceiling))
    needed, infeasible = None, None
    if objective is not None:
        shortest = service_times.shortest_seconds * derate
        if objective.seconds * (1 + ROUNDING) < shortest:
            raise QueueingError(f"{objective} is below the shortest service time, {shortest:.3g} s; set a longer one")
        needed = search.smallest(LatencyObjective(objective.percentile, objective.seconds / derate), start=ceiling)
        if needed is None:
            feasible = search.response(search.most).percentile_seconds(objective.percentile) * derate
            infeasible = Infeasible(
                objective=objective,
                service_seconds=service_times.quantile_seconds(objective.percentile) * derate,
                feasible_from_seconds=feasible,
                service_time_factor=objective.seconds / feasible,
            )
    rules: dict[Rule, int] = {"linear": linear, "utilisation_ceiling": ceiling, "objective": needed or 0}
    # The first rule that asks for the most: an objective decides only where it asks for more than the others.
    rule = max(rules, key=rules.__getitem__)
    response = search.response(rules[rule])
    return WorkerDecision(
        offered_load_erlangs=search.load_erlangs,
        workers=rules[rule],
        deciding_rule=rule,
        workers_linear=linear,
        workers_utilisation_ceiling=ceiling,
        workers_objective=needed,
        infeasible=infeasible,
        utilisation=response.utilisation,
        wait_probability=response.wait_probability,
        response_p50_seconds=response.percentile_seconds(0.50) * derate,
        response_p90_seconds=response.percentile_seconds(0.90) * derate,
        response_p95_seconds=response.percentile_seconds(0.95) * derate,
        response_p99_seconds=response.percentile_seconds(0.99) * derate,
    )


@dataclass(frozen=True)
class _Search:
    """The smallest number of workers for one stream of requests; more workers are never slower."""

    arrival_rate_rps: float
    service_times: ServiceTimes
    dispatch: Dispatch
    arrival_scv: float

    @property
    def load_erlangs(self) -> float:
        return self.arrival_rate_rps * self.service_times.mean_seconds

    @property
    def fewest(self) -> int:
        return fewest_workers(self.load_erlangs)

    @property
    def most(self) -> int:
        return max(self.fewest, math.ceil(self.load_erlangs / (1 - MOST_IDLE)))

    def response(self, workers: int) -> ResponseTime:
        return response_time(
            self.arrival_rate_rps,
            self.service_times,
            workers,
            dispatch=self.dispatch,
            arrival_scv=self.arrival_scv,
        )

    def smallest(self, objective: LatencyObjective, start: int) -> int | None:
        """None where even workers that hardly ever work are too slow."""

        def met(workers: int) -> bool:
            return self.response(workers).share_above(objective.seconds) <= 1 - objective.percentile + ROUNDING

        too_few, enough = self.fewest - 1, min(start, self.most)
        while not met(enough):
            if enough == self.most:
                return None
            too_few, enough = enough, min(2 * enough, self.most)
        while enough - too_few > 1:
            middle = (too_few + enough) // 2
            if met(middle):
                enough = middle
            else:
                too_few = middle
        return enough


def _regular_service_excess(servers: float, utilisation: float) -> float:
    """By how much several servers with constant service times wait longer than half of Erlang's wait.

    Cosmetatos (1975), with the bound of Whitt (Approximations for the GI/G/m queue, 1993, equation 2.17).
    """
    if servers <= 1:
        return 0.0
    idle = (1 - utilisation) / utilisation
    return min(0.24, idle * (servers - 1) * (math.sqrt(4 + 5 * servers) - 2) / (16 * servers))


def _whole(workers: float) -> int:
    """Rounded up, but not for the rounding of the product before it."""
    return max(1, math.ceil(workers * (1 - ROUNDING)))


def _three_digits(value: float, whole: Callable[[float], int]) -> str:
    """Rounded up or down, so that the figure still holds."""
    digits = 10 ** (2 - math.floor(math.log10(value)))
    return f"{whole(value * digits) / digits:.4g}"
