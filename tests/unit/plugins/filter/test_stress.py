# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.rightsize.whisper.plugins.filter.stress import FilterModule

from tests.unit.plugins.plugin_utils.test_throttling import JUDGED

stress_plan = FilterModule().filters()["stress_plan"]
stress_report = FilterModule().filters()["stress_report"]


def test_they_give_plain_types() -> None:
    for found in (stress_plan([1, 2], 1, [0.5], 2, 7), stress_report(JUDGED, "a-stress-test", 7)):
        assert json.loads(json.dumps(found)) == found


def test_they_take_what_users_type() -> None:
    assert stress_plan(["1", "2"], "1", ["0.5"], "2", "7") == stress_plan([1, 2], 1, [0.5], 2, 7)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("1,2,4", 1, [], 3, 7), "threads and cpu_limits are lists"),
        (([1, 2], 1, "0.5", 3, 7), "threads and cpu_limits are lists"),
        (([1, "two"], 1, [], 3, 7), "invalid literal for int"),
        (([2, 4], 1, [], 3, 7), "lack 1"),
    ],
)
def test_what_is_no_plan_is_one_clear_line(arguments: tuple[Any, ...], words: str) -> None:
    with pytest.raises(AnsibleFilterError, match=f"^stress_plan: .*{words}"):
        stress_plan(*arguments)


@pytest.mark.parametrize("value", [None, "", [], {"rows": 3}])
def test_what_is_no_judgement_is_named(value: Any) -> None:
    with pytest.raises(AnsibleFilterError, match=r"^stress_report: .*judgement"):
        stress_report(value, "a-stress-test", 7)
