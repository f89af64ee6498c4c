# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.rightsize.whisper.plugins.module_utils._container import (
    RunError,
    architecture,
    check_architecture,
    check_record,
    confinement,
    format_memory,
    parse_memory,
    runner_arguments,
    unprivileged_user,
)

from tests.unit.containers import REQUEST as A_REQUEST

GIB = 2**30
REQUEST = replace(A_REQUEST, memory_bytes=4 * GIB, timeout_seconds=7200)


@pytest.mark.parametrize(
    ("text", "count"), [("4Gi", 4 * GIB), ("512Mi", 2**29), ("2G", 2 * 10**9), ("1073741824", GIB), ("1Ti", 2**40)]
)
def test_memory_is_read_as_kubernetes_writes_it(text: str, count: int) -> None:
    assert parse_memory(text) == count


@pytest.mark.parametrize("text", ["", "0", "-1Gi", "4.5Gi", "4gb", "4 Gi", "Gi", "4Gi\n", "1e3", "٤Gi", "9" * 30])
def test_other_memory_is_bad_usage(text: str) -> None:
    with pytest.raises(RunError, match="write it like 4Gi") as caught:
        parse_memory(text)
    assert caught.value.kind == "bad_usage"


def test_memory_reads_well() -> None:
    assert [format_memory(4 * GIB), format_memory(2**28), format_memory(3 * 2**29)] == ["4 GiB", "256 MiB", "1.5 GiB"]


@pytest.mark.parametrize(("image", "engine"), [("amd64", "x86_64"), ("arm64", "aarch64"), ("riscv64", "riscv64")])
def test_one_architecture_has_several_names(image: str, engine: str) -> None:
    assert architecture(image) == architecture(engine)
    check_architecture(REQUEST, image, engine)


def test_emulation_is_refused_unless_asked_for() -> None:
    with pytest.raises(RunError, match="is for arm64 but the engine runs on x86_64") as caught:
        check_architecture(REQUEST, "arm64", "x86_64")
    assert caught.value.kind == "wrong_architecture"
    check_architecture(replace(REQUEST, allow_emulation=True), "arm64", "x86_64")


@pytest.mark.parametrize("user", ["65532:65532", "1000", "0100:0"])
def test_a_user_that_is_provably_not_root_is_kept(user: str) -> None:
    assert unprivileged_user(user) == user


@pytest.mark.parametrize("user", ["", "0", "00", "0:1000", "root", "nobody", "1000:staff", "-1", "1000\n"])
def test_any_other_user_is_replaced(user: str) -> None:
    assert unprivileged_user(user) == "65532:65532"


def test_no_value_can_become_a_flag() -> None:
    request = replace(REQUEST, target="--output=/x", cpu_model="-M4", audio="/some/file.wav", labels={"a": "b c"})
    arguments = runner_arguments(request, "sha256:1")
    assert all(argument.startswith("--") and "=" in argument for argument in arguments)
    assert {"--target=--output=/x", "--cpu-model=-M4", "--audio=-", "--label=a=b c"} <= set(arguments)
    assert {"--iterations=50", "--expect-cpus=1", "--deadline=7200", "--progress=jsonl"} <= set(arguments)


def test_one_cpu_is_exactly_one() -> None:
    config = confinement(REQUEST, None)
    assert config["nano_cpus"] == 1_000_000_000
    assert config["mem_limit"] == config["memswap_limit"] == 4 * GIB
    assert "cpuset_cpus" not in config
    assert confinement(REQUEST, "7")["cpuset_cpus"] == "7"
    assert "auto_remove" not in config


def test_the_threads_that_are_asked_for_may_start() -> None:
    assert confinement(replace(REQUEST, threads=256), None)["pids_limit"] > 2 * 256 + 100


def a_record(**changes: Any) -> dict[str, Any]:
    return {
        "HostConfig": {
            "NanoCpus": 1_000_000_000,
            "CpusetCpus": "",
            "Memory": 4 * GIB,
            "MemorySwap": 4 * GIB,
            "NetworkMode": "none",
            "ReadonlyRootfs": True,
            "Privileged": False,
            **changes,
        }
    }


def test_a_record_that_says_what_was_asked_passes() -> None:
    assert check_record(REQUEST, a_record(), None) == []
    assert check_record(REQUEST, a_record(CpusetCpus="7"), "7") == []


@pytest.mark.parametrize(
    "changes",
    [
        {"NanoCpus": 0},
        {"NanoCpus": 999_999_999},
        {"Memory": 0},
        {"CpusetCpus": "0"},
        {"NetworkMode": "bridge"},
        {"ReadonlyRootfs": False},
        {"Privileged": True},
    ],
)
def test_a_record_that_says_otherwise_stops_the_run(changes: dict[str, Any]) -> None:
    with pytest.raises(RunError, match=next(iter(changes))) as caught:
        check_record(REQUEST, a_record(**changes), None)
    assert caught.value.kind == "limits_refused"


def test_swap_that_cannot_be_limited_is_warned_of() -> None:
    assert [warning["code"] for warning in check_record(REQUEST, a_record(MemorySwap=-1), None)] == ["swap_not_limited"]


def test_a_precision_is_asked_for_with_all_that_belongs_to_it() -> None:
    request = replace(REQUEST, precision=0.02, precision_of="ratio", time_budget_seconds=600)
    asked = runner_arguments(request, "sha256:1")
    for argument in ("--precision=0.02", "--precision-of=ratio", "--max-processes=40", "--time-budget=600"):
        assert argument in asked
    assert "--time-budget=0" not in runner_arguments(replace(REQUEST, precision=0.02), "sha256:1")
    assert not [argument for argument in runner_arguments(REQUEST, "sha256:1") if "precision" in argument]


def test_with_a_precision_nobody_knows_how_many_iterations_there_will_be() -> None:
    assert REQUEST.expected_result["iterations"] == REQUEST.iterations
    assert "iterations" not in replace(REQUEST, precision=0.02).expected_result
    assert replace(REQUEST, precision=0.02).iterations_in_words == "iterations"
