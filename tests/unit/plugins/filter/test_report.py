# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.rightsize.whisper.plugins.filter.report import FilterModule

from tests.unit.factories import mac_m4, xeon_pool

report_contents = FilterModule().filters()["report_contents"]


def test_it_gives_plain_types() -> None:
    found = report_contents(mac_m4(), [xeon_pool()], "5")
    assert json.loads(json.dumps(found)) == found
    (comparison,) = found["comparisons"]
    assert comparison["sizing"]["recommended"]["workers"] == 16
    assert comparison["values_file"]["name"] == "values-base.yaml"


def test_candidates_without_a_result_are_named() -> None:
    found = report_contents(mac_m4(), [], 5, unmeasured={"xeon_pool": ""})
    assert found["comparisons"] == []
    assert [warning["code"] for warning in found["warnings"]] == ["not_measured"]


@pytest.mark.parametrize("rps", [0, "nan", "five"])
def test_a_rate_that_is_none_is_one_clear_line(rps: Any) -> None:
    with pytest.raises(AnsibleFilterError, match=r"^report_contents: target_rps is [^\n]*: name a number[^\n]*$"):
        report_contents(mac_m4(), [xeon_pool()], rps)


@pytest.mark.parametrize("value", [None, "text", 3, {}])
def test_what_is_no_list_of_results_is_named(value: Any) -> None:
    with pytest.raises(AnsibleFilterError, match=f"candidates is a list of results, not {type(value).__name__}"):
        report_contents(mac_m4(), value, 5)


@pytest.mark.parametrize("value", [None, "text", 3])
def test_what_is_no_result_is_named(value: Any) -> None:
    for arguments in ((value, [xeon_pool()]), (mac_m4(), [value])):
        with pytest.raises(AnsibleFilterError, match=f"a result .* is a dictionary, not {type(value).__name__}"):
            report_contents(*arguments, 5)
    with pytest.raises(AnsibleFilterError, match="report_contents: this is no result of bench_runner"):
        report_contents(mac_m4(), [{}], 5)
