# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Groups of runs against a baseline: how many times as long, how sure, and what else differed.

A group is what one target measured with one model, CPU model, number of threads and isolation mode. The ratio is mean
latency over the baseline's mean latency, so above 1 is slower; its interval is that of `statistics`.

Processes of one run share that run's fortune. So runs count by their means where one side at least has three of them,
which then tell how far runs differ on either side. Where neither has, processes count, and the interval is of these very
runs alone: another hour may give another. The gate does not judge by that unless it is told to.
"""

from __future__ import annotations

import hashlib
import json
import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ansible_collections.rightsize.whisper.plugins.plugin_utils.compared_runs import (
    FACTS,
    Group,
    Key,
    Kind,
    Run,
    grouped,
)
from ansible_collections.rightsize.whisper.plugins.plugin_utils.escaping import one_line
from ansible_collections.rightsize.whisper.plugins.plugin_utils.same_work import compare_work
from ansible_collections.rightsize.whisper.plugins.plugin_utils.statistics import (
    MIN_PROCESSES,
    Caveat,
    Summary,
    estimate_ratio,
    pooled_ratio,
)

Verdict = Literal["faster", "slower", "no difference shown", "not comparable"]

# By which a baseline can be chosen.
BASELINE_KEYS = ("target", "model_size", "cpu_model", "threads", "isolation_mode")
SHOWN_VALUES = 3


class ComparisonError(ValueError):
    """Runs that cannot be compared as asked; the message is one line for the user."""


@dataclass(frozen=True)
class Side:
    """A group as a comparison prints it."""

    target: str
    model_size: str
    cpu_model: str
    threads: int
    isolation_mode: str
    runs: int
    iterations: int
    processes: int
    mean_ms: float
    first: str
    last: str


@dataclass(frozen=True)
class Comparison:
    """One group against its baseline; without a baseline or a ratio, `reasons` say why it is not comparable."""

    group: Side
    baseline: Side | None
    ratio: Summary | None
    verdict: Verdict
    reasons: tuple[str, ...]
    warnings: tuple[Caveat, ...]
    unit: Literal["runs", "processes"] | None = None


@dataclass(frozen=True)
class Report:
    """Every group against its baseline; `gate` says why the limit is not kept, and is empty where it is. `not_judged` are
    the groups that the gate let pass unseen."""

    baselines: tuple[Side, ...]
    comparisons: tuple[Comparison, ...]
    fail_above: float | None
    gate: str
    not_judged: tuple[str, ...] = ()


def compare(
    runs: Sequence[Run],
    baseline: Mapping[str, object],
    baseline_runs: Sequence[Run] | None = None,
    fail_above: float | None = None,
    allow_few_runs: bool = False,
) -> Report:
    """Compare all groups with the baseline.

    The baseline is those of `baseline_runs`, or without them of `runs`, that have the values in `baseline`. Without either
    it is what the target of the oldest run measured. A group is compared with the baseline of its own model and threads.
    """
    if fail_above is not None and not 1 <= fail_above < math.inf:
        raise ComparisonError(f"compare_fail_above is {fail_above:g}: name a ratio of 1 or more, such as 1.05")
    unknown = sorted(set(baseline) - set(BASELINE_KEYS))
    if unknown:
        raise ComparisonError(
            f"compare_baseline has the key {ascii(unknown[0])[:60]}: choose among {', '.join(BASELINE_KEYS)}, or name a path"
        )
    if not runs and not baseline_runs:
        raise ComparisonError("there is no usable result to compare: see the warnings, or name others in compare_paths")
    if not baseline and baseline_runs is None:
        baseline = {"target": min(runs, key=lambda run: run.timestamp).key.target}
    is_chosen = {kind: _is_chosen(kind.key, baseline) for kind in {run.kind for run in [*runs, *(baseline_runs or ())]}}
    chosen = [run for run in (runs if baseline_runs is None else baseline_runs) if is_chosen[run.kind]]
    if not chosen:
        wanted = ", ".join(f"{name} {ascii(value)[:60]}" for name, value in baseline.items())
        raise ComparisonError(f"no usable result is of the baseline{f' ({wanted})' if wanted else ''}")
    taken = set(map(id, chosen))
    baselines = grouped(chosen)
    comparisons = tuple(_compare(group, baselines) for group in grouped(run for run in runs if id(run) not in taken))
    if not comparisons:
        raise ComparisonError("there is nothing beside the baseline to compare: name more results in compare_paths")
    judged = [item for item in comparisons if _can_be_judged(item, allow_few_runs)]
    return Report(
        baselines=tuple(_side(group) for group in baselines),
        comparisons=comparisons,
        fail_above=fail_above,
        gate="" if fail_above is None else _gate(comparisons, judged, fail_above),
        not_judged=()
        if fail_above is None
        else tuple(name_of(item.group) for item in comparisons if item not in judged),
    )


def name_of(side: Side) -> str:
    """A group in a message that a terminal shows."""
    return one_line(
        f"{side.target} ({side.cpu_model}, {side.model_size}, threads {side.threads}, {side.isolation_mode})"
    )


def _is_chosen(key: Key, baseline: Mapping[str, object]) -> bool:
    # Numbers on the command line are texts.
    return all(str(getattr(key, name)) == str(value) for name, value in baseline.items())


def _compare(group: Group, baselines: Sequence[Group]) -> Comparison:
    candidates = [base for base in baselines if _settings(base.key) == _settings(group.key)]
    if not candidates:
        known = ", ".join(sorted({f"{base.key.model_size} with threads {base.key.threads}" for base in baselines}))
        reason = f"the baseline has no run of {group.key.model_size} with threads {group.key.threads}, but of {known}"
        return Comparison(_side(group), None, None, "not comparable", (reason,), ())
    # The likest; `min` takes the oldest of equals.
    base = min(candidates, key=lambda base: -_likeness(base.key, group.key))
    reasons = _different_work(base, group)
    if reasons:
        differences = tuple(_hidden_differences(base, group))
        return Comparison(_side(group), _side(base), None, "not comparable", reasons, differences)
    changed = (*_changed_work("the baseline", base), *_changed_work("this group", group))
    base, group = _of_newest_work(base), _of_newest_work(group)
    unit, ratio = _ratio(group, base)
    warnings = (
        *changed,
        *_few_runs(unit, base, group),
        *_ambiguous(candidates, base),
        *_hidden_differences(base, group),
        *ratio.warnings,
    )
    return Comparison(_side(group), _side(base), ratio, _verdict(ratio), (), warnings, unit)


def _settings(key: Key) -> tuple[str, int]:
    return key.model_size, key.threads


def _likeness(one: Key, other: Key) -> int:
    return sum(getattr(one, name) == getattr(other, name) for name in BASELINE_KEYS)


def _different_work(base: Group, group: Group) -> tuple[str, ...]:
    """Why the newest runs of both did not do the same work; empty where they did."""
    found = compare_work(*(json.loads(side.runs[-1].kind.work) for side in (base, group)))
    return found.reasons if found.verdict == "different" else ()


def _of_newest_work(group: Group) -> Group:
    """The group with the runs alone that did what its newest did."""
    same = _same_work_as_newest(group)
    return group if len(same) == len(group.kinds) else group.of_runs(run for run in group.runs if run.kind in same)


def _same_work_as_newest(group: Group) -> set[Kind]:
    newest = json.loads(group.runs[-1].kind.work)
    return {kind for kind in group.kinds if compare_work(newest, json.loads(kind.work)).verdict != "different"}


def _changed_work(name: str, group: Group) -> Iterator[Caveat]:
    same = _same_work_as_newest(group)
    others = [run for run in group.runs if run.kind not in same]
    if others:
        yield Caveat(
            code="work_changed",
            message=f"{len(others)} of {len(group.runs)} runs of {name} did other work than its newest, the last of them at "
            f"{others[-1].timestamp}: they are left out",
        )


def _ratio(group: Group, base: Group) -> tuple[Literal["runs", "processes"], Summary]:
    """What repeats independently, and the interval of its means about the ratio of the means."""
    runs = [len(side.runs) for side in (group, base)]
    if max(runs) >= MIN_PROCESSES:
        estimate_by_runs = estimate_ratio if min(runs) >= MIN_PROCESSES else pooled_ratio
        return "runs", estimate_by_runs(group.by_runs, base.by_runs)
    estimate = estimate_ratio(group.by_processes, base.by_processes)
    # Processes may differ in their number of iterations; the report prints the mean of these.
    centre = _mean_ms(group) / _mean_ms(base)
    if estimate.low is None or estimate.high is None:
        return "processes", replace(estimate, centre=centre)
    moved = centre / estimate.centre
    return "processes", replace(estimate, centre=centre, low=estimate.low * moved, high=estimate.high * moved)


def _mean_ms(group: Group) -> float:
    """Of many runs the mean of their means; of few that of all iterations, as the report prints it."""
    if len(group.runs) >= MIN_PROCESSES:
        return statistics.fmean(group.run_means_ms)
    return statistics.fmean(group.run_means_ms, [run.iterations for run in group.runs])


def _verdict(ratio: Summary) -> Verdict:
    if ratio.low is not None and ratio.low > 1:
        return "slower"
    if ratio.high is not None and ratio.high < 1:
        return "faster"
    return "no difference shown"


def _few_runs(unit: str, base: Group, group: Group) -> Iterator[Caveat]:
    """One run tells nothing of how much runs differ, so an interval of its processes is too narrow for another hour."""
    if unit == "processes":
        most = max(len(base.runs), len(group.runs))
        yield Caveat(
            code="few_runs",
            message=f"neither side has more than {most} run{'' if most == 1 else 's'}: the interval leaves out how much runs "
            f"differ, and the verdict may be one of the hour; measure {MIN_PROCESSES} runs or more of one, or both at once, "
            "taking turns",
        )


def _ambiguous(candidates: Sequence[Group], base: Group) -> Iterator[Caveat]:
    if len(candidates) > 1:
        yield Caveat(
            code="baseline_ambiguous",
            message=f"{len(candidates)} groups of the baseline fit; compared with {name_of(_side(base))}; "
            "choose one with compare_baseline",
        )


def _hidden_differences(base: Group, group: Group) -> Iterator[Caveat]:
    for number, (code, words, _path) in enumerate(FACTS):
        ours, theirs = base.values(number), group.values(number)
        if ours != theirs:
            yield Caveat(
                code=f"{code}_differs",
                message=f"{words} differs: {_shown(ours)} in the baseline, {_shown(theirs)} in this group",
            )
        elif len(ours) > 1:
            yield Caveat(code=f"{code}_varies", message=f"{words} varies within both groups: {_shown(ours)}")


def _shown(values: Sequence[str]) -> str:
    shown = [_short(value) for value in values[:SHOWN_VALUES]]
    more = len(values) - len(shown)
    return " and ".join(shown) + (f" and {more} more" if more else "")


def _short(value: str) -> str:
    """A value that can be told from another: of a long text, the beginning and a hash."""
    if len(value) <= 40:
        return value
    return f"{value[:19]}… ({hashlib.sha256(value.encode('utf-8', 'surrogatepass')).hexdigest()[:8]})"


def _has_interval(comparison: Comparison) -> bool:
    return comparison.ratio is not None and comparison.ratio.low is not None


def _can_be_judged(comparison: Comparison, allow_few_runs: bool) -> bool:
    return _has_interval(comparison) and (allow_few_runs or comparison.unit == "runs")


def _gate(comparisons: Sequence[Comparison], judged: Sequence[Comparison], fail_above: float) -> str:
    if not judged:
        why = (
            f"no side has {MIN_PROCESSES} runs, which tell how much runs differ: measure more, or set compare_allow_few_runs"
            if any(map(_has_interval, comparisons))
            else "no group has a ratio with an interval; see why above"
        )
        return f"the gate could judge nothing: {why}"
    slower = [
        f"{name_of(item.group)} takes {item.ratio.centre:.3f} times as long as its baseline"
        for item in judged
        if item.ratio is not None and item.verdict == "slower" and item.ratio.centre > fail_above
    ]
    return f"slower than compare_fail_above ({fail_above:g}) allows: {'; '.join(slower)}" if slower else ""


def _side(group: Group) -> Side:
    return Side(
        target=group.key.target,
        model_size=group.key.model_size,
        cpu_model=group.key.cpu_model,
        threads=group.key.threads,
        isolation_mode=group.key.isolation_mode,
        runs=len(group.runs),
        iterations=sum(run.iterations for run in group.runs),
        processes=sum(run.processes for run in group.runs),
        mean_ms=_mean_ms(group),
        first=group.runs[0].timestamp,
        last=group.runs[-1].timestamp,
    )
