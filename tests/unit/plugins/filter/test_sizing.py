# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.rightsize.whisper.plugins.filter.sizing import FilterModule

from tests.unit.factories import mac_m4, xeon_pool

cpu_sizing = FilterModule().filters()["cpu_sizing"]


def test_it_gives_plain_types() -> None:
    found = cpu_sizing(xeon_pool(), mac_m4(), 5)
    assert json.loads(json.dumps(found)) == found
    assert found["recommended"]["workers"] == 16
    assert (found["load"]["target_rps"], found["load"]["utilisation_ceiling"]) == (5.0, 0.7)


def test_it_takes_what_users_type() -> None:
    assert cpu_sizing(xeon_pool(), mac_m4(), "5", "0.7") == cpu_sizing(xeon_pool(), mac_m4(), 5)


@pytest.mark.parametrize("rps", [0, -1, "nan", math.inf, "five", None, True])
def test_a_rate_that_is_none_is_one_clear_line(rps: Any) -> None:
    with pytest.raises(AnsibleFilterError, match=r"^cpu_sizing: target_rps is [^\n]*: name a number[^\n]*$"):
        cpu_sizing(xeon_pool(), mac_m4(), rps)


def test_different_work_is_refused_unless_allowed() -> None:
    with pytest.raises(AnsibleFilterError, match="cpu_sizing: no ratio is made of different work"):
        cpu_sizing(xeon_pool(threads=2), mac_m4(), 5)
    assert cpu_sizing(xeon_pool(threads=2), mac_m4(), 5, allow_different_work=True)["warnings"]


@pytest.mark.parametrize("value", [None, "", [], 3])
def test_what_is_no_result_is_named(value: Any) -> None:
    for arguments in ((value, mac_m4()), (xeon_pool(), value)):
        with pytest.raises(AnsibleFilterError, match=f"a result .* is a dictionary, not {type(value).__name__}"):
            cpu_sizing(*arguments, 5)
