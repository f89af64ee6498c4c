# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What came of a container that ended: a result that can be accepted, with what taints it, or why there is none."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ._container import FAILURES, Request, RunError, Warned, architecture, format_memory
from ._progress import Journal, printable
from ._result import ResultError, read_result

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# What the end by SIGINT, SIGKILL and SIGTERM makes of an exit code.
KILLED_CODES = (130, 137, 143)
DEADLINE_CODE = 6


@dataclass(frozen=True)
class Ending:
    """How a container ended, as far as the engine and the events tell."""

    exit_code: int
    out_of_memory: bool
    elapsed_seconds: float
    journal: Journal
    # What it had done, in words; by default the iterations in the journal.
    progress: t.Optional[str] = None


def read_outcome(request: Request, ending: Ending, output: bytes) -> t.Dict[str, t.Any]:
    """The result in the container's output, checked; raises `RunError` where there is none."""
    if ending.exit_code != 0:
        raise explain(request, ending)
    try:
        # What an earlier run had finished took none of this one's time.
        elapsed_seconds = None if request.resume else ending.elapsed_seconds
        return read_result(output, request.expected_result, elapsed_seconds)
    except ResultError as error:
        raise RunError(
            error.kind, f"{error}; it came from image {request.image}: rebuild that with role runner_image"
        ) from error


def explain(request: Request, ending: Ending) -> RunError:
    """Why the container ended without a result: the runner's own words where it had any, else the engine's."""
    code, journal = ending.exit_code, ending.journal
    progress = how_far(request, journal) if ending.progress is None else ending.progress
    if ending.out_of_memory or FAILURES.get(code) == "out_of_memory":
        limit = format_memory(request.memory_bytes)
        return RunError("out_of_memory", f"out of memory{progress} at the limit of {limit}; raise memory")
    was_early = ending.elapsed_seconds < request.timeout_seconds
    if code in KILLED_CODES or (code == DEADLINE_CODE and was_early):
        return RunError(
            "container_killed", f"the container was stopped from outside{progress} (exit code {code}); run again"
        )
    if code == DEADLINE_CODE:
        return timed_out(request, journal)
    if "exec format error" in journal.last_words:
        return RunError(
            "wrong_architecture",
            f"image {request.image} holds programs of another architecture than its label says; build it on this engine",
        )
    said = one_line((journal.error or {}).get("message") or journal.last_words)
    return RunError(FAILURES.get(code, "runner_error"), said or f"the runner ended with code {code}{progress}")


def timed_out(request: Request, journal: Journal) -> RunError:
    return RunError(
        "timed_out",
        f"the run did not end within {request.timeout_seconds} s{how_far(request, journal)}; "
        "raise timeout or lower iterations",
    )


def how_far(request: Request, journal: Journal) -> str:
    return f" after {journal.iterations} {request.iterations_in_words}"


def one_line(text: object) -> str:
    return printable(" ".join(str(text).split()))[:500]


def taints(request: Request, result: Mapping[str, t.Any], engine_architecture: str) -> t.List[Warned]:
    """What the result says of where it was measured, against what was asked for; less the warnings that it has."""
    found: t.List[Warned] = []
    isolation = result.get("isolation") or {}
    measured_on = architecture(str(result.get("architecture")))
    if measured_on != architecture(engine_architecture) and not request.allow_emulation:
        raise RunError(
            "wrong_architecture",
            f"the result was measured on {measured_on} but the engine runs on {architecture(engine_architecture)}: the "
            "container was emulated, so build the image on this engine",
        )
    if measured_on != architecture(engine_architecture) or isolation.get("emulated"):
        found.append(Warned(code="emulated", message=f"{measured_on} was emulated; the figures say nothing about it"))
    if result.get("cpu_limit") != request.cpus:
        found.append(
            Warned(
                code="cpu_limit_mismatch",
                message=f"the container found a CPU limit of {result.get('cpu_limit')} where {request.cpus:g} was set: "
                "this engine does not enforce it, so use one that does",
            )
        )
    elif not result.get("isolated"):
        found.append(Warned(code="not_isolated", message="the runner found itself not isolated; distrust the figures"))
    if request.cpuset and isolation.get("mode") != "both":
        found.append(
            Warned(
                code="cpuset_mismatch",
                message=f"one CPU of its own was asked for, but the container found {isolation.get('mode')}",
            )
        )
    known = {warning.get("code") for warning in result.get("warnings") or []}
    return [warning for warning in found if warning["code"] not in known]


def complete(
    result: Mapping[str, t.Any],
    request: Request,
    warnings: Sequence[Warned],
    tainted: bool,
    image_id: str,
    engine: Mapping[str, t.Any],
) -> t.Dict[str, t.Any]:
    """The result with what only this side knows: the warnings from here, the image, the engine and its machine."""
    return {
        **result,
        "isolated": result.get("isolated") is True and not tainted,
        "warnings": [*(result.get("warnings") or []), *warnings],
        "image": {**(result.get("image") or {}), "id": image_id, "name": request.image},
        "host": {
            **(result.get("host") or {}),
            "engine": engine.get("Name"),
            "engine_id": engine.get("ID"),
            "engine_version": engine.get("ServerVersion"),
            "operating_system": engine.get("OperatingSystem"),
            "kernel": engine.get("KernelVersion"),
            "cpus": engine.get("NCPU"),
            "memory_bytes": engine.get("MemTotal"),
        },
    }
