# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.rightsize.whisper.plugins.filter.sizing_verification import FilterModule

from tests.unit.factories import xeon_pool
from tests.unit.load_tests import a_load_test

FILTERS = FilterModule().filters()
run, plan, report = (FILTERS[f"sizing_verification_{name}"] for name in ("run", "plan", "report"))
RESULT = xeon_pool()


def test_they_give_plain_types() -> None:
    for found in (run([RESULT]), plan(RESULT, 5), report(a_load_test(RESULT, requests=70), RESULT)):
        assert json.loads(json.dumps(found)) == found


def test_they_take_what_users_type() -> None:
    assert plan(RESULT, "5", "16", "0.4", "0.7", "pooled", "1", "1") == plan(RESULT, 5, 16, 0.4, 0.7, "pooled", 1, 1)


def test_no_run_is_an_empty_one() -> None:
    assert run([]) == run([RESULT], threads=2) == {}


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("plan", (RESULT, "many"), "could not convert string to float"),
        ("plan", (RESULT, 0), "must be a number above 0"),
        ("plan", (None, 5), "the result is a dictionary, not NoneType"),
        ("plan", ({}, 5), "it was cut short"),
        ("report", ([], RESULT), "the test is a dictionary, not list"),
        ("report", ({}, RESULT), "this is no test"),
        ("report", (a_load_test(RESULT), {}), "this is no result of bench_runner"),
        ("run", ({},), "give a list of results"),
        ("run", (["text"],), "has no attribute"),
    ],
)
def test_what_they_cannot_use_is_one_clear_line(name: str, arguments: tuple[Any, ...], words: str) -> None:
    with pytest.raises(AnsibleFilterError, match=f"^sizing_verification_{name}: .*{words}") as caught:
        FILTERS[f"sizing_verification_{name}"](*arguments)
    assert "\n" not in str(caught.value)


def test_a_latency_objective_asks_for_more_workers() -> None:
    plan = FilterModule().filters()["sizing_verification_plan"]
    without, tight = plan(xeon_pool(), 1), plan(xeon_pool(), 1, latency_seconds="6")
    assert tight["workers"] > without["workers"]
    assert tight["utilisation"] < without["utilisation"]
