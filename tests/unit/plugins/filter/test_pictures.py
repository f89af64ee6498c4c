# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.rightsize.whisper.plugins.filter.pictures import FilterModule

from tests.unit.factories import mac_m4, xeon_pool

report_pictures, report_page = (FilterModule().filters()[name] for name in ("report_pictures", "report_page"))


def test_it_gives_plain_types() -> None:
    found = report_pictures(mac_m4(), [xeon_pool()])
    assert json.loads(json.dumps(found)) == found
    assert [picture["file"] for picture in found] == ["pictures/latency.svg"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((mac_m4(), "text"), "candidates is a list, not str"),
        ((mac_m4(), [], {}), "normalizations is a list, not dict"),
        ((mac_m4(), [None]), "a result or a kept ratio is a dictionary, not NoneType"),
        ((mac_m4(), [{}]), "this is no result of bench_runner"),
        ((mac_m4(processes=[]), []), "there are no measured iterations"),
    ],
)
def test_what_is_no_result_is_one_clear_line(arguments: tuple[Any, ...], words: str) -> None:
    with pytest.raises(AnsibleFilterError, match=rf"^report_pictures: {words}[^\n]*$"):
        report_pictures(*arguments)


def test_a_page_is_made() -> None:
    assert "<h1>A report</h1>" in report_page("# A report\n", {})
    assert "<h1>A report</h1>" in report_page("# A report\n")


@pytest.mark.parametrize("arguments", [(None,), ("text", [1])])
def test_what_is_no_report_is_one_clear_line(arguments: tuple[Any, ...]) -> None:
    with pytest.raises(AnsibleFilterError, match=r"^report_page: (a report is a text|pictures is a dictionary), not "):
        report_page(*arguments)


def test_a_controller_without_the_library_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "markdown_it", None)
    with pytest.raises(AnsibleFilterError, match=r"^report_page: [^\n]*: python3 -m pip install markdown-it-py"):
        report_page("# A report\n")
