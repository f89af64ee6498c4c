# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest

from bench_runner import physics
from bench_runner.models import ENCODERS, SHAPES, Encoder
from tests.unit.factories import mac_m4, xeon_pool


def judged(result: dict[str, Any], share_of_time: float = 1.0) -> list[str]:
    """The codes for a result whose encoder took so much of its time."""
    encoder_ms = [share_of_time * value for process in result["processes"] for value in process["encoder_ms"]]
    per_cycle = physics.flops_per_cycle(result["architecture"], result["software"]["cpu_capability"], matrix_unit=False)
    windows = result["transcript"]["windows"]
    return [
        warned.code
        for warned in physics.of_encoder(result["model_size"], encoder_ms, windows, result["threads"], per_cycle)
    ]


@pytest.mark.parametrize("result", [mac_m4(), xeon_pool()], ids=["arm64", "x86_64"])
def test_a_real_result_passes_and_one_of_a_tenth_of_the_time_does_not(result: dict[str, Any]) -> None:
    assert judged(result) == []
    assert judged(result, 0.1) == ["physically_impossible"]


def test_one_impossible_iteration_is_enough() -> None:
    result = mac_m4()
    result["processes"][2]["encoder_ms"][3] = 0.0
    assert judged(result) == ["physically_impossible"]


@pytest.mark.parametrize(
    ("model", "giga"), [("tiny.en", 37), ("base", 87), ("small", 344), ("medium", 1138), ("large-v2", 2273)]
)
def test_the_operations_of_the_encoder(model: str, giga: int) -> None:
    assert round(physics.encoder_flops(model) / 1e9) == giga


def test_the_encoder_of_every_model_is_known() -> None:
    assert ENCODERS.keys() == SHAPES.keys()
    assert ENCODERS["tiny"] == Encoder(384, 4, 80)
    assert ENCODERS["large-v1"] == Encoder(1280, 32, 80)
    assert ENCODERS["large"] == ENCODERS["turbo"] == Encoder(1280, 32, 128)


def test_what_a_core_can_do() -> None:
    assert physics.flops_per_cycle("x86_64", "AVX512", matrix_unit=False) == 64
    assert physics.flops_per_cycle("arm64", "DEFAULT", matrix_unit=False) == 32
    assert physics.flops_per_cycle("arm64", "SVE512", matrix_unit=False) == 64
    assert physics.flops_per_cycle("arm64", "DEFAULT", matrix_unit=True) == 512
    assert physics.flops_per_cycle("riscv64", "DEFAULT", matrix_unit=False) is None
    assert not list(physics.of_encoder("base", [0.001], 1, 1, None))


def test_more_windows_and_fewer_cores_take_longer() -> None:
    needed = 1000 * 2 * physics.encoder_flops("base") / (2 * 64 * 6.5e9)
    assert not list(physics.of_encoder("base", [needed * 1.001], 2, 2, 64))
    assert list(physics.of_encoder("base", [needed * 0.999], 2, 2, 64))
    assert list(physics.of_encoder("base", [needed * 1.001], 2, 1, 64))
    assert not list(physics.of_encoder("base", [0.0], 0, 1, 64))


def test_iterations_fit_into_their_process() -> None:
    assert not list(physics.of_clock([[1000.0, 900], [500]], [2.0, 0.6]))
    (warned,) = physics.of_clock([[1000.0, 900], [500]], [2.0, 0.4])
    assert "process 2 sum up to 0.500 s" in warned.message
    assert [warned.code for warned in physics.of_clock([[-1.0]], [2.0])] == ["physically_impossible"]
