# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the instrument can be believed on a target: what must be equal is measured as equal.

The same configuration is measured twice, then with half a CPU, then once more. A check passes where the whole interval
of its ratio lies within 3 % of 1 (two one-sided tests), fails where the interval leaves out 1 and the ratio is further
from it, and is undecided otherwise. Of results that no CPU could give nothing passes, and of runs that were not isolated
nothing is known. Half a CPU ideally takes twice as long; what it takes is told, and judged by nobody:
a quota's throttling has a cost of its own, and that is what one wants to know.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ansible_collections.rightsize.whisper.plugins.plugin_utils.escaping import file_name
from ansible_collections.rightsize.whisper.plugins.plugin_utils.statistics import (
    AIM,
    Sample,
    StatisticsError,
    Summary,
    estimate_ratio,
)

PARTS = ("first", "second", "half", "last")
# The runner's word for a result whose clock or encoder lies.
IMPOSSIBLE = "physically_impossible"
Verdict = Literal["passed", "failed", "undecided", "told"]


class CalibrationError(ValueError):
    """Runs that prove nothing; the message is one line for the user."""


@dataclass(frozen=True)
class Check:
    """A ratio, what it ideally is, and whether that was shown."""

    name: str
    ratio: Summary
    ideal: float
    verdict: Verdict


@dataclass(frozen=True)
class Certificate:
    """What was proved of the instrument on one target; `passed` is None where that is undecided."""

    target: str
    file_stem: str
    cpu_model: str
    model_size: str
    timestamp: str
    calibration_id: str
    passed: bool | None
    checks: tuple[Check, ...]
    run_ids: Mapping[str, str]
    warnings: tuple[str, ...]
    table: tuple[str, ...]


def certify(results: Mapping[str, Mapping[str, Any]], calibration_id: str) -> Certificate:
    """The certificate of the runs by part; `half` may be missing, where there are whole CPUs alone."""
    missing = [part for part in PARTS if part not in results and part != "half"]
    if missing:
        raise CalibrationError(f"the calibration lacks its run {missing[0]!r}")
    try:
        samples = {part: Sample.of_result(result) for part, result in results.items()}
        first = results["first"]
        checks = [
            _equal("the same configuration, measured again", samples["second"], samples["first"]),
            _equal("the first configuration, repeated last", samples["last"], samples["first"]),
        ]
        if "half" in samples:
            ratio = estimate_ratio(samples["half"], samples["first"])
            checks.append(Check("half a CPU against one", ratio, 2.0, "told"))
        return Certificate(
            target=first["target"],
            file_stem=file_name(first["target"]),
            cpu_model=first["cpu_model"],
            model_size=first["model_size"],
            timestamp=first["timestamp"],
            calibration_id=calibration_id,
            passed=_passed(checks, results),
            checks=tuple(checks),
            run_ids={part: result["run_id"] for part, result in results.items()},
            warnings=_warnings(results),
            table=tuple(map(_line, checks)),
        )
    except (KeyError, TypeError, AttributeError, StatisticsError) as error:
        raise CalibrationError(f"this is no result of bench_runner ({error}); check it against its schema") from error


def _equal(name: str, again: Sample, before: Sample) -> Check:
    ratio = estimate_ratio(again, before)
    return Check(name, ratio, 1.0, _verdict(ratio))


def _verdict(ratio: Summary) -> Verdict:
    if ratio.low is None or ratio.high is None:
        return "undecided"
    if ratio.low >= 1 / (1 + AIM) and ratio.high <= 1 + AIM:
        return "passed"
    too_far = not 1 / (1 + AIM) <= ratio.centre <= 1 + AIM
    return "failed" if too_far and not ratio.contains(1.0) else "undecided"


def _line(check: Check) -> str:
    """For a terminal."""
    ratio = check.ratio
    interval = "no interval" if ratio.low is None or ratio.high is None else f"{ratio.low:.3f} to {ratio.high:.3f}"
    return f"{check.name}: {ratio.centre:.3f} ({interval}), ideally {check.ideal:.2f}: {check.verdict}"


def _passed(checks: list[Check], results: Mapping[str, Mapping[str, Any]]) -> bool | None:
    verdicts = {check.verdict for check in checks}
    warned = {warning["code"] for result in results.values() for warning in result["warnings"]}
    if "failed" in verdicts or IMPOSSIBLE in warned:
        return False
    isolated = all(result["isolated"] for result in results.values())
    return None if "undecided" in verdicts or not isolated else True


def _warnings(results: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    found = (f"{part}: {warning['message']}" for part, result in results.items() for warning in result["warnings"])
    return tuple(dict.fromkeys(found))
