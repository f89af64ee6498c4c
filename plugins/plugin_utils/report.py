# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the report says, as values: a template, or another formatter, turns them into text and computes nothing.

Texts that came from a target are as they came; whoever prints them escapes them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.rightsize.whisper.plugins.plugin_utils.escaping import file_name, one_line
from ansible_collections.rightsize.whisper.plugins.plugin_utils.figures import Figure, figures
from ansible_collections.rightsize.whisper.plugins.plugin_utils.helm_values import MARKER, ValuesFile, values_file
from ansible_collections.rightsize.whisper.plugins.plugin_utils.load import Load, SizingError
from ansible_collections.rightsize.whisper.plugins.plugin_utils.normalization import (
    TAINTS,
    Normalization,
    NormalizationError,
    normalize,
)
from ansible_collections.rightsize.whisper.plugins.plugin_utils.sizing import (
    Measurements,
    Prediction,
    Sizing,
    predict,
    size_cpus,
)
from ansible_collections.rightsize.whisper.plugins.plugin_utils.statistics import Caveat, StatisticsError
from ansible_collections.rightsize.whisper.plugins.plugin_utils.values_dialects import DEFAULT_CHART, Chart

MAX_ANSWER = 600
# What is wrong with an answer comes before what makes it less sure.
FIRST = TAINTS | {"no_ratio", "no_sizing", "not_measured", "objective_infeasible", "tainted_ratio"}


class ReportError(ValueError):
    """Of what was given, no report can be made; the message is one line for the user."""


@dataclass(frozen=True)
class Run:
    """Where figures come from."""

    target: str
    run_id: str
    timestamp: str
    image_id: str | None
    image_name: str | None
    checkpoint_sha256: str
    audio_name: str
    audio_seconds: float
    audio_sha256: str


@dataclass(frozen=True)
class Comparison:
    """One candidate against the reference. `refusal` says why there is no answer, and then there are no values.

    There is none without a ratio or a sizing, nor with a sizing that cannot meet the objective, which says what is possible.
    """

    target: str
    figures: tuple[Figure, ...]
    normalization: Normalization | None
    sizing: Sizing | None
    # Of fewer and more workers than the recommended ones.
    predictions: tuple[Prediction, ...]
    self_check_passed: bool | None
    refusal: Caveat | None
    values_file: ValuesFile | None
    # One line for the terminal.
    answer: str

    @property
    def warnings(self) -> tuple[Caveat, ...]:
        found = self.sizing or self.normalization
        return (
            *((self.refusal,) if self.refusal else ()),
            *(found.warnings if found else ()),
            *(self.values_file.warnings if self.values_file else ()),
        )


@dataclass(frozen=True)
class Warned:
    """A warning, and the candidates that it is about: none are named where it is about all."""

    code: str
    message: str
    targets: tuple[str, ...]


@dataclass(frozen=True)
class Report:
    """Everything that the report prints."""

    marker: str
    model_size: str
    reference: str
    load: Load
    comparisons: tuple[Comparison, ...]
    # One line for the terminal about each candidate that has no result.
    unmeasured: tuple[str, ...]
    warnings: tuple[Warned, ...]
    runs: tuple[Run, ...]


def make_report(
    reference: Mapping[str, Any],
    candidates: Sequence[Mapping[str, Any]],
    load: Load,
    unmeasured: Mapping[str, str] | None = None,
    allow_different_work: bool = False,
    clips: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
    thread_runs: Sequence[Mapping[str, Any]] = (),
    chart: Chart = DEFAULT_CHART,
) -> Report:
    """Compare every candidate with the reference, and size it.

    `unmeasured` has candidates without result, and why; `clips` results of a user's own audio by the target's name, and
    `thread_runs` results of any target with more threads.
    """
    try:
        return _report(
            reference, candidates, load, unmeasured or {}, allow_different_work, clips or {}, thread_runs, chart
        )
    except StatisticsError as error:
        raise ReportError(str(error)) from error
    except (KeyError, TypeError, AttributeError) as error:
        raise ReportError(f"this is no result of bench_runner ({error!r}); check it against its schema") from error


def _report(
    reference: Mapping[str, Any],
    candidates: Sequence[Mapping[str, Any]],
    load: Load,
    unmeasured: Mapping[str, str],
    allow_different_work: bool,
    clips: Mapping[str, Sequence[Mapping[str, Any]]],
    thread_runs: Sequence[Mapping[str, Any]],
    chart: Chart,
) -> Report:
    # The names of files do not depend on which candidates could be measured.
    names = _values_file_names(candidates, alone=len(candidates) + len(unmeasured) == 1)
    comparisons = [
        _compare(
            reference,
            candidate,
            load,
            allow_different_work,
            name,
            Measurements(clips.get(candidate["target"], ()), thread_runs),
            chart,
        )
        for candidate, name in zip(candidates, names, strict=True)
    ]
    return Report(
        marker=MARKER,
        model_size=reference["model_size"],
        reference=reference["target"],
        load=load,
        comparisons=tuple(comparisons),
        unmeasured=tuple(_no_answer(name, _why_unmeasured(reason)) for name, reason in unmeasured.items()),
        warnings=tuple(_warnings(comparisons, unmeasured)),
        runs=tuple(_run(result) for result in (reference, *candidates)),
    )


def _compare(
    reference: Mapping[str, Any],
    candidate: Mapping[str, Any],
    load: Load,
    allow_different_work: bool,
    values_file_name: str,
    more: Measurements,
    chart: Chart,
) -> Comparison:
    normalization, sizing, refusal, values = None, None, None, None
    predictions: tuple[Prediction, ...] = ()
    try:
        normalization = normalize(reference, candidate, allow_different_work)
        sizing = size_cpus(normalization, candidate, load, more, chart.cpus_per_worker)
        predictions = tuple(predict(normalization, candidate, load, sizing.recommended.workers, more))
        if sizing.objective_infeasible is None:
            values = values_file(values_file_name, normalization, sizing, candidate, chart)
        else:
            refusal = Caveat(code="objective_infeasible", message=sizing.objective_infeasible)
    except NormalizationError as error:
        refusal = Caveat(code="no_ratio", message=str(error))
    except SizingError as error:
        refusal = Caveat(code="no_sizing", message=str(error))
    return Comparison(
        target=candidate["target"],
        figures=figures(reference, candidate),
        normalization=normalization,
        sizing=sizing,
        predictions=predictions,
        self_check_passed=normalization.ratio.contains(1.0) if normalization and normalization.self_check else None,
        refusal=refusal,
        values_file=values,
        answer=_answer(candidate["target"], normalization, sizing, refusal),
    )


def _answer(target: str, normalization: Normalization | None, sizing: Sizing | None, refusal: Caveat | None) -> str:
    if refusal is not None or sizing is None or normalization is None:
        return _no_answer(target, refusal["message"] if refusal else "not sized")
    recommended = sizing.recommended
    memory = recommended.memory_per_worker_mib
    objective = "" if sizing.load.objective is None else f", {sizing.load.objective}"
    words = [
        f"{target}: {sizing.load.target_rps:g} requests/s{objective}: replicas {recommended.workers} of "
        f"{recommended.cpus_per_worker} CPU{'' if recommended.cpus_per_worker == 1 else 's'}"
        f"{'' if memory is None else f' and {memory} MiB'}, CPUs in all "
        f"{recommended.total_cpus} (linear {sizing.linear.target_cores:.2f})",
        f"ratio {normalization.ratio.centre:.3f}",
        f"p95 {sizing.decision.response_p95_seconds:.1f} s predicted",
    ]
    if normalization.tainted:
        words.append("TAINTED, do not order by this")
    return one_line("; ".join(words), MAX_ANSWER)


def _no_answer(target: str, reason: str) -> str:
    return one_line(f"{target}: no answer: {reason}", MAX_ANSWER)


def _why_unmeasured(reason: str) -> str:
    return reason or "see the output of its run"


def _values_file_names(candidates: Iterable[Mapping[str, Any]], alone: bool) -> list[str]:
    """One name a candidate, all different even where a file system does not tell upper from lower case."""
    names: list[str] = []
    taken: set[str] = set()
    for candidate in candidates:
        stem = f"values-{file_name(candidate['model_size'])}"
        if not alone:
            stem += f"-{file_name(candidate['target'])}"
        name, number = stem, 1
        while name.casefold() in taken:
            number += 1
            name = f"{stem}-{number}"
        taken.add(name.casefold())
        names.append(f"{name}.yaml")
    return names


def _warnings(comparisons: Sequence[Comparison], unmeasured: Mapping[str, str]) -> list[Warned]:
    """Every warning once, the grave ones first, otherwise in the order in which they were found."""
    targets: dict[tuple[str, str], list[str]] = {}
    for name, reason in unmeasured.items():
        targets[("not_measured", f"{name} has no result: {_why_unmeasured(reason)}")] = []
    for comparison in comparisons:
        for warning in comparison.warnings:
            told = targets.setdefault((warning["code"], warning["message"]), [])
            if comparison.target not in told:
                told.append(comparison.target)
    warned = [
        Warned(code, message, () if len(about) == len(comparisons) else tuple(about))
        for (code, message), about in targets.items()
    ]
    return sorted(warned, key=lambda warning: warning.code not in FIRST)


def _run(result: Mapping[str, Any]) -> Run:
    image = result["image"] or {}
    return Run(
        target=result["target"],
        run_id=result["run_id"],
        timestamp=result["timestamp"],
        image_id=image.get("id"),
        image_name=image.get("name"),
        checkpoint_sha256=result["checkpoint"]["sha256"],
        audio_name=result["audio"]["name"],
        audio_seconds=result["audio"]["seconds"],
        audio_sha256=result["audio"]["sha256"],
    )
