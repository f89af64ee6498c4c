# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One result of several: those of a run's Pods, put together as the processes of a run are.

A process is the unit that the statistics count on, and one on another node is one more. Nothing here talks to a cluster.
"""

from __future__ import annotations

import copy
import math
import statistics
import typing as t

from ._container import Warned
from ._result import ResultError

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Result = t.Dict[str, t.Any]

# What must be equal for results to be of the same work.
SAME_WORK: t.Dict[str, t.Callable[[Result], t.Any]] = {
    "model": lambda result: result["model_size"],
    "number of threads": lambda result: result["threads"],
    "audio": lambda result: result["audio"]["sha256"],
    "checkpoint": lambda result: result["checkpoint"]["sha256"],
    "decode options": lambda result: result["decode"],
    "architecture": lambda result: result["architecture"],
}
# As bench_runner/summary.py has them: the fewest iterations for a percentile.
PERCENTILE_MINIMUM = {"p90": 64, "p95": 130, "p99": 662}
# As between the processes of one run (bench_runner/runner.py): beyond this the nodes differ, not the runs.
SPREAD_WARNING = 0.06
MAX_WARNINGS = 100
# From the one with which all that was asked for was done.
STOP_REASONS = ("iterations_done", "precision_reached", "most_processes", "time_budget")


def combine(run_id: str, results: Sequence[Result]) -> Result:
    """The result of a run whose Pods gave `results`; a `ResultError` where they did not do the same work."""
    for words, value in SAME_WORK.items():
        if any(value(result) != value(results[0]) for result in results):
            raise ResultError("wrong_result", f"the Pods of one run differ in their {words}")
    combined = copy.deepcopy(results[0])
    combined.update(
        run_id=run_id,
        timestamp=min(result["timestamp"] for result in results),
        cpu_model=" + ".join(sorted({result["cpu_model"] for result in results})),
        iterations_requested=sum(result["iterations_requested"] for result in results),
        processes=_renumbered(results),
        isolated=all(result["isolated"] for result in results),
        throttling=_throttling(results),
        memory={**results[0]["memory"], **_largest_peaks([result["memory"] for result in results])},
        warnings=_warnings(results),
        kubernetes={**_common(results), "pods": [result["kubernetes"] for result in results]},
    )
    # Each Pod had conditions of its own; what was wrong with them is among the warnings.
    combined.pop("conditions", None)
    if "strict_findings" in combined:
        findings = {code for result in results for code in result["strict_findings"]}
        combined["strict_findings"] = sorted(findings)
    combined.update(_figures(combined["processes"], results))
    combined.update(_stopping(results))
    return combined


def _stopping(results: Sequence[Result]) -> Result:
    """Why the run ended: as the Pod says that came least far. Images from before schema 1.1 do not say."""
    if not all("stopping" in result for result in results):
        return {}
    found = [result["stopping"] for result in results]
    half_widths = [stopping["half_width"] for stopping in found]
    return {
        "stop_reason": max((result["stop_reason"] for result in results), key=STOP_REASONS.index),
        "stopping": {
            **found[0],
            "processes_planned": sum(stopping["processes_planned"] for stopping in found),
            "processes_used": sum(stopping["processes_used"] for stopping in found),
            # Of the Pod that knows least; several together know more.
            "half_width": None if None in half_widths else max(half_widths),
        },
    }


def _renumbered(results: Sequence[Result]) -> t.List[Result]:
    processes = [process for result in results for process in result["processes"]]
    return [{**process, "process": number} for number, process in enumerate(processes, start=1)]


def _figures(processes: t.List[Result], results: Sequence[Result]) -> Result:
    """As bench_runner/result.py makes them, rounded as there."""
    wall_ms = sorted(wall for process in processes for wall in process["wall_ms"])
    count = len(wall_ms)
    average_ms = math.fsum(wall_ms) / count
    percentiles = {
        name: wall_ms[math.ceil(int(name[1:]) / 100 * count) - 1] if count >= minimum else None
        for name, minimum in PERCENTILE_MINIMUM.items()
    }
    return {
        "iterations": count,
        "avg_latency_ms": round(average_ms, 4),
        "avg_latency_seconds": round(average_ms / 1000, 7),
        "total_time_seconds": round(math.fsum(wall_ms) / 1000, 7),
        "rps": round(1000 / average_ms, 7),
        "real_time_factor": round(average_ms / 1000 / results[0]["audio"]["seconds"], 7),
        "latency_ms": {
            "min": wall_ms[0],
            "median": round(statistics.median(wall_ms), 4),
            **percentiles,
            "max": wall_ms[-1],
            "stddev": round(statistics.stdev(wall_ms), 4) if count > 1 else None,
        },
        # The means of the Pods, each by its iterations.
        "phases_ms": {
            phase: round(math.fsum(result["phases_ms"][phase] * result["iterations"] for result in results) / count, 4)
            for phase in results[0]["phases_ms"]
        },
    }


def _throttling(results: Sequence[Result]) -> Result:
    """Sums, and `None` as soon as one kernel kept no count."""
    found = [result["throttling"] for result in results]
    sums: Result = {"applicable": all(counted["applicable"] for counted in found)}
    for name in found[0]:
        if name != "applicable":
            values = [counted.get(name) for counted in found]
            sums[name] = None if None in values else round(sum(t.cast("t.List[float]", values)), 6)
    return sums


def _largest_peaks(memories: Sequence[t.Mapping[str, t.Any]]) -> t.Dict[str, t.Any]:
    """Each peak that a Pod has, as that of the Pod where it was the largest."""
    names = [name for name in ("peak_bytes", "rss_peak_bytes") if any(name in found for found in memories)]
    return {name: _largest(found.get(name) for found in memories) for name in names}


def _largest(values: Iterable[t.Optional[int]]) -> t.Optional[int]:
    return max((value for value in values if value is not None), default=None)


def _common(results: Sequence[Result]) -> Result:
    """What the Pods have in common; the rest is each one's own."""
    first = results[0]["kubernetes"]
    return {key: first[key] for key in first if all(result["kubernetes"].get(key) == first[key] for result in results)}


def _warnings(results: Sequence[Result]) -> t.List[Warned]:
    warnings = _warn_of_differences(results)
    for result in results:
        pod = result["kubernetes"]["pod"]
        warnings += [
            Warned(code=warning["code"], message=f"{pod}: {warning['message']}") for warning in result["warnings"]
        ]
    return warnings[:MAX_WARNINGS]


def _warn_of_differences(results: Sequence[Result]) -> t.List[Warned]:
    found: t.List[Warned] = []
    models = sorted({result["cpu_model"] for result in results})
    if len(models) > 1:
        message = f"the Pods ran on different CPUs ({', '.join(models)}); select nodes of one kind"
        found.append(Warned(code="mixed_cpu_models", message=message))
    modes = sorted({result["isolation"]["mode"] for result in results})
    if len(modes) > 1:
        message = f"the nodes limit CPUs in different ways ({', '.join(modes)}); select nodes of one kind"
        found.append(Warned(code="mixed_isolation", message=message))
    if len({result["transcript"]["sha256"] for result in results}) > 1:
        message = "the transcript differs between the Pods: their CPUs round differently, or they did different work"
        found.append(Warned(code="transcript_differs", message=message))
    means = [result["avg_latency_ms"] for result in results]
    spread = (max(means) - min(means)) / statistics.fmean(means)
    if spread > SPREAD_WARNING:
        message = (
            f"the means of the Pods lie {spread:.1%} apart (largest to smallest): the nodes differ or are disturbed"
        )
        found.append(Warned(code="nodes_differ", message=message))
    return found
