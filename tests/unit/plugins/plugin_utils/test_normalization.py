# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.rightsize.whisper.plugins.plugin_utils.normalization import (
    Normalization,
    NormalizationError,
    is_same_machine,
    normalize,
)

from tests.unit.factories import mac_m4, xeon_pool

# The same machine, measured again a quarter of an hour later.
AGAIN = {"run_id": "20261123t121500-4d61634d", "timestamp": "2026-11-23T12:15:00Z", "target": "mac_m4_again"}


def codes(normalization: Normalization) -> list[str]:
    return [warning["code"] for warning in normalization.warnings]


def messages(normalization: Normalization, code: str) -> list[str]:
    return [warning["message"] for warning in normalization.warnings if warning["code"] == code]


def test_the_ratio_is_mean_over_mean() -> None:
    found = normalize(mac_m4(), xeon_pool())
    assert found.ratio.centre == pytest.approx(2107.4 / 1338.0, rel=1e-6)
    assert found.ratio.contains(found.ratio.centre)
    assert found.ratio.low == pytest.approx(1.534, abs=0.001)
    assert found.ratio.high == pytest.approx(1.617, abs=0.001)
    assert found.warnings == ()
    assert not found.tainted
    assert not found.self_check


def test_each_phase_has_its_ratio() -> None:
    found = normalize(mac_m4(), xeon_pool())
    assert found.encoder_ratio is not None
    assert found.decoder_ratio is not None
    assert found.encoder_ratio.centre == pytest.approx(1170.55 / 756.07, rel=1e-4)
    assert found.decoder_ratio.centre == pytest.approx(905.56 / 564.25, rel=1e-4)


def test_a_phase_that_took_no_time_has_no_ratio() -> None:
    target = xeon_pool()
    target["processes"][2]["decoder_ms"][3] = 0.0
    found = normalize(mac_m4(), target)
    assert found.decoder_ratio is None
    assert found.encoder_ratio is not None


def test_it_remembers_what_was_measured() -> None:
    found = normalize(mac_m4(), xeon_pool())
    assert (found.model_size, found.threads) == ("base", 1)
    assert found.reference.cpu_model == "Apple M4"
    assert found.target.run_id == "20261123t121500-58656f6e"
    assert (found.target.iterations, found.target.processes) == (50, 5)
    assert found.target.latency_ms.centre == pytest.approx(2107.4)


def test_different_work_is_refused_with_every_reason() -> None:
    with pytest.raises(NormalizationError, match=r"different work: .*model.*; .*threads.*; measure both") as caught:
        normalize(mac_m4(), xeon_pool(model_size="small", threads=4))
    assert "\n" not in str(caught.value)


def test_different_work_that_is_allowed_taints() -> None:
    found = normalize(mac_m4(), xeon_pool(model_size="small"), allow_different_work=True)
    assert found.tainted
    assert codes(found) == ["work_differs"]
    assert "the model differs" in found.warnings[0]["message"]


def test_allowing_different_work_changes_nothing_where_it_is_the_same() -> None:
    assert normalize(mac_m4(), xeon_pool(), allow_different_work=True) == normalize(mac_m4(), xeon_pool())


def test_equivalent_work_is_noted() -> None:
    found = normalize(mac_m4(), xeon_pool(transcript={"sha256": "0f" * 32, "tokens": 54}))
    assert found.same_work.verdict == "equivalent"
    assert messages(found, "work_equivalent") == [
        "the tokens differ, within rounding: 0.0% of the words, 1.9% of the token count"
    ]
    assert not found.tainted


@pytest.mark.parametrize(
    ("changes", "code", "words", "tainted"),
    [
        ({"isolated": False}, "not_isolated", "target xeon_pool: was not limited", True),
        ({"isolation": {"emulated": True}}, "emulated", "target xeon_pool: ran under emulation", True),
        ({"partial": True}, "partial", "target xeon_pool: was cut short after 50 iterations", False),
        (
            {"isolation": {"mode": "cpuset"}},
            "isolation_differs",
            "quota on the reference and cpuset on the target",
            False,
        ),
        ({"cpu_limit": 2.0}, "cpu_limit_differs", "1 on the reference and 2 on the target", False),
        ({"cpu_limit": None}, "cpu_limit_differs", "1 on the reference and none on the target", False),
        ({"software": {"torch": "2.9.0+cpu"}}, "software_differs", "torch is 2.13.0+cpu on the reference", False),
        ({"warnings": [{"code": "noisy", "message": "7.1% apart"}]}, "noisy", "target xeon_pool: 7.1% apart", False),
    ],
)
def test_what_bears_on_the_ratio_is_warned_of(changes: dict[str, Any], code: str, words: str, tainted: bool) -> None:
    found = normalize(mac_m4(), xeon_pool(**changes))
    assert codes(found) == [code]
    assert words in found.warnings[0]["message"]
    assert found.tainted == tainted


def test_the_warnings_of_both_sides_are_inherited_with_their_origin() -> None:
    noisy = {"warnings": [{"code": "noisy", "message": "7.1% apart"}]}
    found = normalize(mac_m4(**noisy), xeon_pool(**noisy))
    assert messages(found, "noisy") == ["reference mac_m4: 7.1% apart", "target xeon_pool: 7.1% apart"]


@pytest.mark.parametrize("code", ["not_isolated", "cpu_limit_mismatch", "emulated"])
def test_a_run_that_says_itself_why_it_is_not_isolated_is_not_repeated(code: str) -> None:
    told = {"isolated": False, "isolation": {"emulated": code == "emulated"}}
    found = normalize(mac_m4(), xeon_pool(warnings=[{"code": code, "message": "so"}], **told))
    assert codes(found) == [code]
    assert found.tainted


def test_few_processes_give_a_ratio_without_interval() -> None:
    found = normalize(mac_m4(wall_ms=[[1300.0] * 25, [1310.0] * 25]), xeon_pool())
    assert found.ratio.centre == pytest.approx(2107.4 / 1305)
    assert (found.ratio.low, found.ratio.high) == (None, None)
    assert codes(found) == ["few_processes"]


def test_one_machine_measured_twice_is_a_self_check() -> None:
    found = normalize(mac_m4(), mac_m4(**AGAIN))
    assert found.self_check
    assert codes(found) == ["self_check"]
    assert found.ratio.contains(1.0)
    assert not found.tainted


def test_a_self_check_that_fails_says_so() -> None:
    found = normalize(mac_m4(), mac_m4(**AGAIN, wall_ms=[[1450.0] * 10, [1460.0] * 10, [1455.0] * 10]))
    assert codes(found) == ["self_check", "self_check_failed"]
    assert "gave 1.087, and 1 is not in the 95% interval" in found.warnings[1]["message"]
    assert found.tainted


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({}, True),
        ({"cpu_model": "Apple M4 Pro"}, False),
        ({"host": {"engine_id": "another engine"}}, False),
        ({"host": None}, False),
    ],
)
def test_a_machine_is_known_by_its_cpu_and_its_engine(changes: dict[str, Any], same: bool) -> None:
    assert is_same_machine(mac_m4(), mac_m4(**changes)) == same


def test_a_node_is_a_machine() -> None:
    assert is_same_machine(xeon_pool(), xeon_pool())
    assert not is_same_machine(xeon_pool(), xeon_pool(kubernetes={"node": "another node"}))
    assert not is_same_machine(xeon_pool(kubernetes=None), xeon_pool(kubernetes=None))


@pytest.mark.parametrize("missing", ["processes", "run_id", "isolation", "warnings", "cpu_model"])
def test_what_is_no_result_is_refused(missing: str) -> None:
    target = xeon_pool()
    del target[missing]
    with pytest.raises(NormalizationError, match="no result of bench_runner") as caught:
        normalize(mac_m4(), target)
    assert missing in str(caught.value)


@pytest.mark.parametrize("side", ["reference", "target"])
def test_no_ratio_is_made_of_what_cannot_be_true(side: str) -> None:
    impossible = [{"code": "physically_impossible", "message": "the encoder took 1.0 ms"}]
    results = {"reference": mac_m4(), "target": xeon_pool()}
    results[side]["warnings"] = impossible
    with pytest.raises(NormalizationError, match=f"cannot be true: {side} .* the encoder took 1.0 ms"):
        normalize(**results, allow_different_work=True)


@pytest.mark.parametrize("code", ["bimodal", "drift", "first_last_differ", "other_load", "precision_not_reached"])
def test_what_disturbed_a_run_is_carried_into_the_ratio(code: str) -> None:
    made = normalize(mac_m4(warnings=[{"code": code, "message": "by 5 %"}]), xeon_pool())
    assert messages(made, code) == ["reference mac_m4: by 5 %"]
