# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The normalization ratio: how many times as long the same inference takes on a target as on the reference.

It is the mean latency of all measured iterations over the other's mean; `statistics` says why means, and where its
interval comes from. It carries every warning of the two runs, and those that only the comparison shows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.rightsize.whisper.plugins.plugin_utils.same_work import SameWork, compare_work
from ansible_collections.rightsize.whisper.plugins.plugin_utils.statistics import (
    Caveat,
    Sample,
    StatisticsError,
    Summary,
    estimate_mean,
    estimate_ratio,
)

# A ratio with one of these is printed, but nobody should size a service by it.
TAINTS = frozenset({"work_differs", "emulated", "not_isolated", "cpu_limit_mismatch", "self_check_failed"})

# What bench_runner says of a result that no CPU could give (bench_runner/physics.py).
INVALID = "physically_impossible"


class NormalizationError(ValueError):
    """Two results of which no ratio is made; the message is one line for the user."""


@dataclass(frozen=True)
class Measured:
    """What a ratio remembers of one of its two runs."""

    run_id: str
    target: str
    architecture: str
    cpu_model: str
    timestamp: str
    iterations: int
    processes: int
    isolation_mode: str
    latency_ms: Summary


@dataclass(frozen=True)
class Normalization:
    """Latency of the target over latency of the reference, whole and by phase, and what to beware of."""

    model_size: str
    threads: int
    ratio: Summary
    encoder_ratio: Summary | None
    decoder_ratio: Summary | None
    reference: Measured
    target: Measured
    same_work: SameWork
    self_check: bool
    tainted: bool
    warnings: tuple[Caveat, ...]


def normalize(
    reference: Mapping[str, Any], target: Mapping[str, Any], allow_different_work: bool = False
) -> Normalization:
    """The ratio of two results. Different work is refused, or where that is allowed, taints the ratio.

    A result that says of itself that it cannot be true is refused in any case.
    """
    try:
        for side, result in (("reference", reference), ("target", target)):
            _refuse_invalid(side, result)
        same_work = compare_work(reference, target)
        if same_work.verdict == "different" and not allow_different_work:
            raise NormalizationError(
                f"no ratio is made of different work: {'; '.join(same_work.reasons)}; "
                "measure both targets with the same settings, or allow different work"
            )
        return _normalization(reference, target, same_work)
    except StatisticsError as error:
        raise NormalizationError(str(error)) from error
    except (KeyError, TypeError, AttributeError) as error:
        raise NormalizationError(
            f"this is no result of bench_runner ({error!r}); check it against its schema"
        ) from error


def _refuse_invalid(side: str, result: Mapping[str, Any]) -> None:
    for warning in result["warnings"]:
        if warning["code"] == INVALID:
            raise NormalizationError(
                f"no ratio is made of a result that cannot be true: {side} {result['target']}, run {result['run_id']}: "
                f"{warning['message']}"
            )


def is_same_machine(reference: Mapping[str, Any], target: Mapping[str, Any]) -> bool:
    """Whether both ran on one CPU model behind one Docker engine, or on one Kubernetes node: a self-check."""
    identities = [
        ((result.get("host") or {}).get("engine_id"), (result.get("kubernetes") or {}).get("node"))
        for result in (reference, target)
    ]
    return reference["cpu_model"] == target["cpu_model"] and identities[0] == identities[1] != (None, None)


def _normalization(reference: Mapping[str, Any], target: Mapping[str, Any], same_work: SameWork) -> Normalization:
    ratio = estimate_ratio(Sample.of_result(target), Sample.of_result(reference))
    self_check = is_same_machine(reference, target)
    warnings = (
        *_different_work(same_work),
        *(_self_check(ratio) if self_check else ()),
        *_side_warnings("reference", reference),
        *_side_warnings("target", target),
        *_differences(reference, target),
        *ratio.warnings,
    )
    return Normalization(
        model_size=target["model_size"],
        threads=target["threads"],
        ratio=ratio,
        encoder_ratio=_phase_ratio(reference, target, "encoder_ms"),
        decoder_ratio=_phase_ratio(reference, target, "decoder_ms"),
        reference=_measured(reference),
        target=_measured(target),
        same_work=same_work,
        self_check=self_check,
        tainted=any(warning["code"] in TAINTS for warning in warnings),
        warnings=warnings,
    )


def _measured(result: Mapping[str, Any]) -> Measured:
    sample = Sample.of_result(result)
    return Measured(
        run_id=result["run_id"],
        target=result["target"],
        architecture=result["architecture"],
        cpu_model=result["cpu_model"],
        timestamp=result["timestamp"],
        iterations=len(sample.iterations),
        processes=len(sample.processes),
        isolation_mode=result["isolation"]["mode"],
        latency_ms=estimate_mean(sample),
    )


def _phase_ratio(reference: Mapping[str, Any], target: Mapping[str, Any], key: str) -> Summary | None:
    """The ratio of a phase; None where one of the runs spent no time in it."""
    phases = [[process[key] for process in result["processes"]] for result in (reference, target)]
    if not all(value > 0 for processes in phases for process in processes for value in process):
        return None
    return estimate_ratio(Sample.of_result(target, key), Sample.of_result(reference, key))


def _different_work(same_work: SameWork) -> Iterator[Caveat]:
    if same_work.verdict == "different":
        yield Caveat(
            code="work_differs",
            message=f"the runs did different work, so the ratio is not one of machines: {'; '.join(same_work.reasons)}",
        )
    elif same_work.verdict == "equivalent":
        yield Caveat(
            code="work_equivalent",
            message=f"the tokens differ, within rounding: {same_work.word_error_rate:.1%} of the words, "
            f"{same_work.token_difference:.1%} of the token count",
        )


def _self_check(ratio: Summary) -> Iterator[Caveat]:
    yield Caveat(
        code="self_check",
        message="reference and target are one machine: the ratio checks the method and says nothing of other hardware",
    )
    if ratio.contains(1.0) is False:
        yield Caveat(
            code="self_check_failed",
            message=f"one machine measured twice gave {ratio.centre:.3f}, and 1 is not in the {ratio.confidence:.0%} "
            "interval: something else used the machine, or its speed changed; measure again when it is quiet",
        )


def _side_warnings(side: str, result: Mapping[str, Any]) -> Iterator[Caveat]:
    """The run's own warnings, and the same said of its facts where the run did not say it."""
    warned = {warning["code"] for warning in result["warnings"]}
    for warning in result["warnings"]:
        yield Caveat(code=warning["code"], message=f"{side} {result['target']}: {warning['message']}")
    facts = {
        "emulated": (result["isolation"]["emulated"], "ran under emulation, which says nothing of its CPU"),
        "not_isolated": (
            not result["isolated"] and not warned & TAINTS,
            "was not limited to the CPUs asked for, so its figures may be inaccurate",
        ),
        "partial": (result["partial"], f"was cut short after {result['iterations']} iterations"),
    }
    for code, (holds, words) in facts.items():
        if holds and code not in warned:
            yield Caveat(code=code, message=f"{side} {result['target']}: {words}")


def _differences(reference: Mapping[str, Any], target: Mapping[str, Any]) -> Iterator[Caveat]:
    """What was not the same on both sides and bears on the latency, beside the machine."""
    modes = reference["isolation"]["mode"], target["isolation"]["mode"]
    if modes[0] != modes[1]:
        yield Caveat(
            code="isolation_differs",
            message=f"the isolation mode was {modes[0]} on the reference and {modes[1]} on the target; with two or more "
            "threads, a quota and a CPU of one's own differ, so measure both alike (cpuset of isolated_container)",
        )
    if reference["cpu_limit"] != target["cpu_limit"]:
        yield Caveat(
            code="cpu_limit_differs",
            message=f"the CPU limit was {_limit(reference)} on the reference and {_limit(target)} on the "
            "target; the ratio is defined for one CPU on both",
        )
    for name in ("torch", "whisper"):
        versions = reference["software"][name], target["software"][name]
        if versions[0] != versions[1]:
            yield Caveat(
                code="software_differs",
                message=f"{name} is {versions[0]} on the reference and {versions[1]} on the target, so the ratio "
                "compares versions too; build both images from one lock file",
            )


def _limit(result: Mapping[str, Any]) -> str:
    return "none" if result["cpu_limit"] is None else f"{result['cpu_limit']:g}"
