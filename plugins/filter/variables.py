# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter that checks how variables are spelt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.rightsize.whisper.plugins.plugin_utils.variable_names import misnamed, read_names

ROLES = Path(__file__).resolve().parents[2] / "roles"


def variables_problem(names: Any) -> str:
    """What is wrong with the names of variables; empty where nothing is."""
    if isinstance(names, str) or not isinstance(names, Sequence):
        raise AnsibleFilterError(f"variables_problem: names are a list, not {type(names).__name__}")
    known = read_names(path.read_text(encoding="utf-8") for path in ROLES.glob("*/defaults/main.yml"))
    return misnamed(map(str, names), known)


class FilterModule:
    """Maps the names."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"variables_problem": variables_problem}
