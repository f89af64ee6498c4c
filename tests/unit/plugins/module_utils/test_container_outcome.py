# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.rightsize.whisper.plugins.module_utils._container import RunError
from ansible_collections.rightsize.whisper.plugins.module_utils._container_outcome import (
    Ending,
    complete,
    explain,
    read_outcome,
    taints,
)
from ansible_collections.rightsize.whisper.plugins.module_utils._progress import Journal

from tests.unit.containers import REQUEST

RUN_ID = REQUEST.run_id


def an_ending(code: int, *lines: str, oom: bool = False, elapsed: float = 10.0) -> Ending:
    journal = Journal(RUN_ID)
    journal.feed("".join(line + "\n" for line in lines).encode())
    return Ending(exit_code=code, out_of_memory=oom, elapsed_seconds=elapsed, journal=journal)


def event(name: str, **values: Any) -> str:
    return json.dumps({"event": name, "run_id": RUN_ID, **values})


ITERATION = event("iteration", number=1, of=50)


@pytest.mark.parametrize(
    ("ending", "kind", "message"),
    [
        (
            an_ending(137, ITERATION, oom=True),
            "out_of_memory",
            "out of memory after 1 of 50 iterations at the limit of 256 MiB; raise memory",
        ),
        (
            an_ending(5, event("error", code=5, message="a process was killed")),
            "out_of_memory",
            "out of memory after 0 of 50 iterations at the limit of 256 MiB; raise memory",
        ),
        (
            an_ending(137, ITERATION),
            "container_killed",
            "the container was stopped from outside after 1 of 50 iterations (exit code 137); run again",
        ),
        (
            an_ending(6, ITERATION, elapsed=59.0),
            "container_killed",
            "the container was stopped from outside after 1 of 50 iterations (exit code 6); run again",
        ),
        (
            an_ending(6, ITERATION, elapsed=61.0),
            "timed_out",
            "the run did not end within 60 s after 1 of 50 iterations; raise timeout or lower iterations",
        ),
        (
            an_ending(1, "exec /usr/bin/python3: exec format error"),
            "wrong_architecture",
            "image rightsize-whisper-runner:base holds programs of another architecture than its label says; build it on "
            "this engine",
        ),
        (
            an_ending(2, event("error", code=2, message="no model 'huge'; name one")),
            "bad_usage",
            "no model 'huge'; name one",
        ),
        (an_ending(3, event("error", code=3, message="no\x1b\nsound")), "audio", "no\N{REPLACEMENT CHARACTER} sound"),
        (an_ending(1, "Traceback", "ValueError: x"), "runner_error", "Traceback / ValueError: x"),
        (an_ending(139), "runner_error", "the runner ended with code 139 after 0 of 50 iterations"),
        (an_ending(2, event("error", message=["not", "text"])), "bad_usage", "['not', 'text']"),
    ],
)
def test_an_ending_is_explained(ending: Ending, kind: str, message: str) -> None:
    error = explain(REQUEST, ending)
    assert (error.kind, str(error)) == (kind, message)


def test_output_counts_only_after_a_good_end() -> None:
    with pytest.raises(RunError, match="code 1"):
        read_outcome(REQUEST, an_ending(1), b"{}")
    with pytest.raises(RunError, match="no result; it came from image") as caught:
        read_outcome(REQUEST, an_ending(0), b"")
    assert caught.value.kind == "garbled_result"


def a_result(**changes: Any) -> dict[str, Any]:
    return {
        "architecture": "x86_64",
        "cpu_limit": 1,
        "isolated": True,
        "isolation": {"mode": "quota", "emulated": False},
        "warnings": [],
        **changes,
    }


@pytest.mark.parametrize(
    ("changes", "codes"),
    [
        ({}, []),
        ({"cpu_limit": None}, ["cpu_limit_mismatch"]),
        ({"cpu_limit": 2}, ["cpu_limit_mismatch"]),
        ({"cpu_limit": 2, "warnings": [{"code": "cpu_limit_mismatch", "message": "it is 2"}]}, []),
        ({"isolated": False}, ["not_isolated"]),
        ({"isolation": None}, []),
        ({"isolation": {"emulated": True}}, ["emulated"]),
    ],
)
def test_what_the_runner_found_taints(changes: dict[str, Any], codes: list[str]) -> None:
    assert [warning["code"] for warning in taints(REQUEST, a_result(**changes), "x86_64")] == codes


def test_a_cpuset_that_did_not_arrive_taints() -> None:
    request = replace(REQUEST, cpuset=True)
    assert [warning["code"] for warning in taints(request, a_result(), "x86_64")] == ["cpuset_mismatch"]
    assert taints(request, a_result(isolation={"mode": "both"}), "x86_64") == []


def test_a_result_of_another_architecture_is_refused_or_tainted() -> None:
    with pytest.raises(RunError, match="measured on arm64") as caught:
        taints(REQUEST, a_result(architecture="arm64"), "x86_64")
    assert caught.value.kind == "wrong_architecture"
    allowed = replace(REQUEST, allow_emulation=True)
    assert [warning["code"] for warning in taints(allowed, a_result(architecture="arm64"), "x86_64")] == ["emulated"]


def test_a_result_is_completed_with_what_only_this_side_knows() -> None:
    warnings = [{"code": "emulated", "message": "it was"}]
    given = a_result(warnings=[{"code": "noisy", "message": "it is"}], image=None, host=None)
    done = complete(given, REQUEST, warnings, True, "sha256:1", {"Name": "vm", "NCPU": 2})  # type: ignore[arg-type]
    assert [warning["code"] for warning in done["warnings"]] == ["noisy", "emulated"]
    assert done["isolated"] is False
    assert done["image"] == {"id": "sha256:1", "name": REQUEST.image}
    assert (done["host"]["engine"], done["host"]["cpus"]) == ("vm", 2)


def test_a_result_without_taint_stays_as_isolated_as_the_runner_found_it() -> None:
    assert complete(a_result(), REQUEST, [], False, "sha256:1", {})["isolated"] is True
    assert complete(a_result(isolated=False), REQUEST, [], False, "sha256:1", {})["isolated"] is False
