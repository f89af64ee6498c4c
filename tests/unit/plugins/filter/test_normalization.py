# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.rightsize.whisper.plugins.filter.normalization import FilterModule

from tests.unit.factories import mac_m4, xeon_pool

filters = FilterModule().filters()


def is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(is_plain(key) and is_plain(item) for key, item in value.items())
    if isinstance(value, list):
        return all(map(is_plain, value))
    return value is None or type(value) in (bool, int, float, str)


def test_normalization_ratio_gives_plain_types() -> None:
    found = filters["normalization_ratio"](xeon_pool(), mac_m4())
    assert is_plain(found)
    assert json.loads(json.dumps(found)) == found
    assert found["ratio"]["centre"] == pytest.approx(1.575, abs=0.001)
    assert found["same_work"]["verdict"] == "identical"


def test_normalization_ratio_takes_the_target_first() -> None:
    found = filters["normalization_ratio"](xeon_pool(), mac_m4())
    assert (found["reference"]["target"], found["target"]["target"]) == ("mac_m4", "xeon_pool")


def test_normalization_ratio_says_why_it_refuses() -> None:
    with pytest.raises(AnsibleFilterError, match="normalization_ratio: no ratio is made of different work: the model"):
        filters["normalization_ratio"](xeon_pool(model_size="small"), mac_m4())
    assert filters["normalization_ratio"](xeon_pool(model_size="small"), mac_m4(), allow_different_work=True)["tainted"]


def test_same_work_is_a_verdict_and_no_error() -> None:
    found = filters["same_work"](xeon_pool(threads=2), mac_m4())
    assert is_plain(found)
    assert found["verdict"] == "different"
    assert found["reasons"] == ["the number of threads differs (1 on the reference, 2 on the target)"]


def test_latency_interval() -> None:
    found = filters["latency_interval"](xeon_pool())
    assert is_plain(found)
    assert found["low"] < found["centre"] < found["high"]
    with pytest.raises(AnsibleFilterError, match="latency_interval: this is no result of bench_runner"):
        filters["latency_interval"]({"failed": True})


@pytest.mark.parametrize("value", [None, "", [], 3])
def test_the_type_of_a_value_is_named(value: Any) -> None:
    for name, arguments in (
        ("normalization_ratio", (value, mac_m4())),
        ("normalization_ratio", (mac_m4(), value)),
        ("same_work", (mac_m4(), value)),
        ("latency_interval", (value,)),
    ):
        with pytest.raises(
            AnsibleFilterError, match=f"{name}: a result .* is a dictionary, not {type(value).__name__}"
        ):
            filters[name](*arguments)
