# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters that make a text safe for Markdown; how is in plugin_utils."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible.utils.unsafe_proxy import wrap_var
from ansible_collections.rightsize.whisper.plugins.plugin_utils import escaping


def markdown(text: Any, max_length: Any = escaping.MAX_LENGTH) -> str:
    """The text as Markdown that shows just that text."""
    return str(wrap_var(escaping.markdown(text, _length("markdown", max_length))))


def markdown_code(text: Any, max_length: Any = escaping.MAX_LENGTH) -> str:
    """An identifier as a code span of Markdown."""
    return str(wrap_var(escaping.markdown_code(text, _length("markdown_code", max_length))))


def _length(name: str, max_length: Any) -> int:
    if not isinstance(max_length, int) or isinstance(max_length, bool) or max_length < 1:
        raise AnsibleFilterError(f"{name}: max_length is a whole number above 0, not {ascii(max_length)[:60]}")
    return max_length


class FilterModule:
    """Maps the names."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"markdown": markdown, "markdown_code": markdown_code}
