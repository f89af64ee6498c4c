# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter that makes a text safe for Markdown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.utils.unsafe_proxy import wrap_var
from ansible_collections.rightsize.whisper.plugins.plugin_utils import escaping


def markdown(text: Any, max_length: int = escaping.MAX_LENGTH) -> str:
    """The text as Markdown that shows just that text."""
    return str(wrap_var(escaping.markdown(text, max_length)))


class FilterModule:
    """Maps the names."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"markdown": markdown}
