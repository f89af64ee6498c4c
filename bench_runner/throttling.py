# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether threads fit the CPUs that they are given: from the results of a stress test to a verdict and what to do.

`python -m bench_runner.throttling` reads `{"results": [...], "planned": [{"cpus": 1, "threads": 4}, ...]}` on standard
input and prints the judgement; `planned` are the runs still to come. Standard library only: it runs on the controller too.

Three signals, since each alone misses something. Latency against one thread is the rule that people know. It misses a
quota that throttles every period while two threads still share the work (base at one CPU: 2.15 s with one thread, 3.60 s
with two); the kernel's counters see that. They see nothing where a cpuset is the limit; CPU time against one thread shows
what threads that do not fit burn while they wait for each other.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import floor, fsum
from statistics import fmean
from typing import Any, Literal

from bench_runner.caveats import CPU_SHARE_LIMIT, THROTTLED_LIMIT
from bench_runner.wording import duration

# The specification's rule.
SLOW_RATIO = 2.0
# CPU time per inference against one thread. It counts where it buys no latency: with CPUs enough, waiting threads spin too.
INFLATION_LIMIT = 1.2
# Warnings of a result whose cause is outside of it.
NEIGHBOUR_WARNINGS = {"contended", "steal"}
# One iteration may be an accident.
CERTAIN_ITERATIONS = 2

Verdict = Literal["clean", "quota-throttled", "oversubscribed", "noisy neighbour"]
# A CPU limit and a thread count.
Case = tuple[float | None, int]


class ThrottlingError(ValueError):
    """Results from which nothing can be said; the message is one line for the user."""


@dataclass(frozen=True)
class Row:
    """One thread count at one CPU limit; what the kernel does not count, or what has no counterpart, is None."""

    cpus: float | None
    threads: int
    isolation_mode: str
    run_ids: tuple[str, ...]
    process_means_ms: tuple[float, ...]
    iterations: int
    avg_latency_ms: float
    rps: float
    rps_per_cpu: float | None
    cpu_ms: float
    periods: int | None
    throttled_periods: int | None
    throttled_seconds: float | None
    throttled_share: float | None
    ratio: float | None
    cpu_inflation: float | None
    neighbour: bool
    verdict: Verdict
    reasons: tuple[str, ...]
    certain: bool


@dataclass(frozen=True)
class Recommendation:
    """What follows: `fewer_threads` and `more_cpus` name a figure, the others are None."""

    action: Literal["keep", "fewer_threads", "more_cpus", "measure_again"]
    message: str
    threads: int | None = None
    cpus: float | None = None


@dataclass(frozen=True)
class Judgement:
    """Every row, the thread sweep's limit (that of the first result) first; then what to do about it.

    `throttled` is None where other work disturbed the sweep, so that nobody knows.
    """

    target: str
    model_size: str
    cpus: float | None
    throttled: bool | None
    rows: tuple[Row, ...]
    recommendations: tuple[Recommendation, ...]


def judge(results: Sequence[Mapping[str, Any]]) -> Judgement:
    """The verdict on every thread count at every limit."""
    if not results:
        raise ThrottlingError("there are no results to judge")
    first = results[0]
    for result in results:
        for name in ("target", "model_size"):
            if result[name] != first[name]:
                raise ThrottlingError(f"results of two {name}s, {first[name]} and {result[name]}, cannot be compared")
    cases: dict[Case, list[Mapping[str, Any]]] = {}
    for result in results:
        cases.setdefault(_case(result), []).append(result)
    limit = first["cpu_limit"]
    order = sorted(cases, key=lambda case: (case[0] != limit, case[0] or 0, case[1]))
    rows = tuple(_row(cases[case], cases.get((case[0], 1))) for case in order)
    swept = [row for row in rows if row.cpus == limit]
    return Judgement(
        target=first["target"],
        model_size=first["model_size"],
        cpus=limit,
        throttled=_throttled([row.verdict for row in swept]),
        rows=rows,
        recommendations=tuple(_recommend(swept, rows)),
    )


def _throttled(verdicts: Sequence[Verdict]) -> bool | None:
    if "quota-throttled" in verdicts or "oversubscribed" in verdicts:
        return True
    return None if "noisy neighbour" in verdicts else False


def reason_to_skip(rows: Iterable[Row], cpus: float | None, threads: int) -> str | None:
    """Why another run of this case would add nothing; None where it would."""
    row = next((row for row in rows if (row.cpus, row.threads) == (cpus, threads)), None)
    if row is None or not row.certain:
        return None
    return f"stopped early: {'; '.join(row.reasons)}, in every one of {row.iterations} iterations"


def seconds_left(results: Sequence[Mapping[str, Any]], planned: Iterable[Case]) -> float:
    """How long the planned runs will take: as long as such a run took before, else what its share of the CPUs lets expect."""
    took: dict[Case, list[float]] = {}
    for result in results:
        took.setdefault(_case(result), []).append(_seconds(result))
    if not took:
        raise ThrottlingError("how long a run takes is known after the first")
    (case, seconds), *_unused = took.items()
    work_seconds = fmean(seconds) / _slowdown(case)
    return fsum(fmean(took[case]) if case in took else work_seconds * _slowdown(case) for case in planned)


def _slowdown(case: Case) -> float:
    """Roughly, of an inference: threads that do not fit hinder each other."""
    cpus, threads = case
    return 1.0 if cpus is None else max(1.0, threads / cpus)


def _case(result: Mapping[str, Any]) -> Case:
    return result["cpu_limit"], result["threads"]


def _seconds(result: Mapping[str, Any]) -> float:
    """Of a run: its inferences, timed or not, and loading the model."""
    return fsum(
        float(process["model_load_seconds"]) + (sum(process["warmup_ms"]) + sum(process["wall_ms"])) / 1000
        for process in result["processes"]
    )


def _row(results: Sequence[Mapping[str, Any]], one_thread: Sequence[Mapping[str, Any]] | None) -> Row:
    first = results[0]
    cpus, threads = first["cpu_limit"], first["threads"]
    wall_ms, cpu_ms = _values(results, "wall_ms"), fmean(_values(results, "cpu_ms"))
    base_ms = _values(one_thread, "wall_ms") if one_thread else None
    latency_ms = fmean(wall_ms)
    ratio = latency_ms / fmean(base_ms) if base_ms else None
    inflation = cpu_ms / fmean(_values(one_thread, "cpu_ms")) if one_thread else None
    periods, throttled, seconds = (
        _total(results, name) for name in ("periods", "throttled_periods", "throttled_seconds")
    )
    share = throttled / periods if periods and throttled is not None else None
    neighbour = _disturbed(results)
    available = cpus if cpus is not None else first["isolation"]["cpuset_cpus"]
    held_back = share if _quota_is_the_limit(first["isolation"]) else None
    verdict, reasons = _verdict(threads, available, ratio, inflation, held_back, neighbour)
    return Row(
        cpus=cpus,
        threads=threads,
        isolation_mode=first["isolation"]["mode"],
        run_ids=tuple(result["run_id"] for result in results),
        process_means_ms=tuple(fmean(process["wall_ms"]) for result in results for process in result["processes"]),
        iterations=len(wall_ms),
        avg_latency_ms=round(latency_ms, 4),
        rps=round(1000 / latency_ms, 7),
        rps_per_cpu=None if available is None else round(1000 / latency_ms / available, 7),
        cpu_ms=round(cpu_ms, 4),
        periods=None if periods is None else round(periods),
        throttled_periods=None if throttled is None else round(throttled),
        throttled_seconds=seconds,
        throttled_share=share,
        ratio=ratio,
        cpu_inflation=inflation,
        neighbour=neighbour,
        verdict=verdict,
        reasons=reasons,
        # What disturbed one of the two may be over in the next block.
        certain=bool(base_ms)
        and not (neighbour or _disturbed(one_thread or ()))
        and min(len(wall_ms), len(base_ms or ())) >= CERTAIN_ITERATIONS
        and min(wall_ms) > SLOW_RATIO * max(base_ms or ()),
    )


def _quota_is_the_limit(isolation: Mapping[str, Any]) -> bool:
    """Whether threads could use more than the quota without it.

    On one exclusive CPU they cannot use up a quota of one, but for what the kernel's clocks differ by: that throttles 17 %
    of the periods, measured with four threads, and without the quota they would be no faster.
    """
    quota, cpus = isolation["quota_cpus"], isolation["cpuset_cpus"]
    return quota is not None and (cpus is None or quota < cpus)


def _disturbed(results: Iterable[Mapping[str, Any]]) -> bool:
    return any(
        _waited(result) or any(warning["code"] in NEIGHBOUR_WARNINGS for warning in result["warnings"])
        for result in results
    )


def _waited(result: Mapping[str, Any]) -> bool:
    """Whether several threads that fit the limit waited for their CPUs: one that spins meanwhile hides it from `contended`."""
    waited, threads = result["conditions"]["run_queue_seconds"], result["threads"]
    if waited is None or threads > (result["cpu_limit"] or threads):
        return False
    available = threads * fsum(wall_ms for process in result["processes"] for wall_ms in process["wall_ms"]) / 1000
    return bool(waited > (1 - CPU_SHARE_LIMIT) * available)


def _verdict(
    threads: int,
    cpus: float | None,
    ratio: float | None,
    inflation: float | None,
    throttled_share: float | None,
    neighbour: bool,
) -> tuple[Verdict, tuple[str, ...]]:
    slow = ratio is not None and ratio > SLOW_RATIO
    wasteful = ratio is not None and ratio > 1 and inflation is not None and inflation >= INFLATION_LIMIT
    throttled = throttled_share is not None and throttled_share >= THROTTLED_LIMIT
    too_many = cpus is not None and threads > cpus
    reasons = []
    if slow:
        reasons.append(f"an inference takes {ratio:.1f} times as long as with one thread")
    if throttled:
        reasons.append(f"{throttled_share:.0%} of the periods are throttled")
    if wasteful:
        reasons.append(f"an inference burns {inflation:.1f} times the CPU time of one thread")
    if throttled:
        return "quota-throttled", tuple(reasons)
    if neighbour:
        return "noisy neighbour", (*reasons, "other work on the machine keeps the CPUs busy")
    if too_many:
        return "oversubscribed", (*reasons, f"{threads} threads take turns on {cpus:g} CPU")
    if slow or wasteful:
        return "oversubscribed", tuple(reasons)
    return "clean", ()


def _recommend(swept: Sequence[Row], rows: Sequence[Row]) -> Iterable[Recommendation]:
    """`swept` are the rows at the service's limit; `rows` those at every limit."""
    disturbed = [row for row in swept if row.verdict == "noisy neighbour"]
    if disturbed:
        # Advice that rests on their figures would be worse than none.
        yield Recommendation(
            "measure_again",
            f"other work on the machine disturbed {_threads_of(disturbed)}: quiet it, or take another node, and measure again",
        )
        return
    too_much = [row for row in swept if row.verdict in ("quota-throttled", "oversubscribed")]
    best = min(swept, key=lambda row: (row in too_much, row.avg_latency_ms))
    if not too_much:
        yield Recommendation(
            "keep",
            f"nothing is throttled; fastest is {_threads(best.threads)}: {_speed(best)}",
            threads=best.threads,
        )
        return
    if any(row.threads > best.threads for row in too_much):
        yield Recommendation(
            "fewer_threads",
            f"run the service with {_threads(best.threads)} (torch.set_num_threads({best.threads}) and "
            f"OMP_NUM_THREADS={best.threads}): {_speed(best)}",
            threads=best.threads,
        )
    smallest = min(too_much, key=lambda row: row.threads)
    cpus = smallest.cpus
    if cpus is None or (cpus >= smallest.threads and smallest.verdict != "quota-throttled"):
        return
    needed = float(smallest.threads if smallest.threads > cpus else floor(cpus) + 1)
    measured = next((row for row in rows if (row.cpus, row.threads) == (needed, smallest.threads)), None)
    gain = (
        f"measured: {_speed(measured)}, {measured.verdict}, and {_per_cpu(measured)} where the best at {cpus:g} has "
        f"{_per_cpu(best)}"
        if measured
        else f"what that buys is not measured: take {needed:g} into the limits that are swept"
    )
    yield Recommendation(
        "more_cpus",
        f"or, for {_threads(smallest.threads)}, raise the CPU limit from {cpus:g} to {needed:g}, "
        f"which costs {needed / cpus:g} times the CPUs of every replica; {gain}",
        threads=smallest.threads,
        cpus=needed,
    )


def _threads(count: int) -> str:
    return f"{count} thread{'' if count == 1 else 's'}"


def _threads_of(rows: Iterable[Row]) -> str:
    return "the runs with " + ", ".join(_threads(row.threads) for row in rows)


def _speed(row: Row) -> str:
    return f"{row.avg_latency_ms / 1000:.3f} s an inference, {row.rps:.3f} requests/s"


def _per_cpu(row: Row) -> str:
    return f"{row.rps_per_cpu:.3f} requests/s for each CPU" if row.rps_per_cpu is not None else "no CPU limit"


def _values(results: Iterable[Mapping[str, Any]], column: str) -> list[float]:
    return [value for result in results for process in result["processes"] for value in process[column]]


def _total(results: Iterable[Mapping[str, Any]], name: str) -> float | None:
    values = [result["throttling"][name] for result in results]
    return None if None in values else sum(values)


def main() -> int:
    given = json.load(sys.stdin)
    results = given["results"]
    planned = [(float(case["cpus"]), int(case["threads"])) for case in given.get("planned", [])]
    try:
        judgement = judge(results)
        skipped = [reason_to_skip(judgement.rows, *case) for case in planned]
        to_run = [case for case, reason in zip(planned, skipped, strict=True) if reason is None]
        left = seconds_left(results, to_run)
    except (ThrottlingError, KeyError, TypeError) as error:
        print(f"bench_runner.throttling: error: {error}", file=sys.stderr)
        return 2
    print(json.dumps({**asdict(judgement), "skip": skipped, "time_left": duration(left)}, allow_nan=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
