# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.rightsize.whisper.plugins.filter.escaping import FilterModule

filters = FilterModule().filters()


def test_a_text_is_escaped() -> None:
    assert filters["markdown"]("a <b> | *c*") == "a &#60;b&#62; &#124; \\*c\\*"
    assert filters["markdown_code"]("20261123t120000-4d61634d") == "`20261123t120000-4d61634d`"


def test_another_value_is_shown_as_text() -> None:
    assert filters["markdown"](None) == "None"
    assert filters["markdown"]([1]) == "\\[1\\]"


@pytest.mark.parametrize("name", ["markdown", "markdown_code"])
@pytest.mark.parametrize("length", [0, -1, "5", None, True])
def test_a_length_that_is_none_is_refused(name: str, length: Any) -> None:
    with pytest.raises(AnsibleFilterError, match=f"^{name}: max_length is a whole number above 0, not "):
        filters[name]("text", length)
