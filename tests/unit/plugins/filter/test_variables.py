# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.rightsize.whisper.plugins.filter.variables import FilterModule

variables_problem = FilterModule().filters()["variables_problem"]
CHECKOUT = Path(__file__).resolve().parents[4]


def test_every_variable_that_the_documentation_names_is_known() -> None:
    texts = [
        path.read_text()
        for folder in ("docs", "inventory", "playbooks", "roles")
        for path in (CHECKOUT / folder).rglob("*.[ym]*")
    ]
    named = set(re.findall(r"\bbenchmark_\w*[a-z0-9]\b", "\n".join([*texts, (CHECKOUT / "README.md").read_text()])))
    assert len(named) > 50
    assert variables_problem(sorted(named)) == ""


def test_a_misspelt_one_is_not() -> None:
    assert variables_problem(["benchmark_iteratoins"]).endswith("is benchmark_iterations meant?")


@pytest.mark.parametrize("names", ["benchmark_model", None, 3])
def test_what_is_no_list_is_named(names: Any) -> None:
    with pytest.raises(AnsibleFilterError, match="names are a list, not "):
        variables_problem(names)
