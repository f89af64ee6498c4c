# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The variables that users set. Ansible ignores one that nobody reads, so a misspelt one changes nothing, in silence."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

PREFIX = "benchmark_"


def read_names(defaults: Iterable[str]) -> frozenset[str]:
    """The variables with the prefix that these texts, the defaults of roles, read."""
    return frozenset(name for text in defaults for name in re.findall(rf"\b{PREFIX}\w*[a-z0-9]\b", text))


def misnamed(names: Iterable[str], known: frozenset[str]) -> str:
    """One line on those with the prefix that nobody reads, each with the name that may be meant; empty where all are known."""
    unknown = sorted(name for name in names if name.startswith(PREFIX) and name not in known)
    return "; ".join(f"nothing reads the variable {name}: {_advice(name, known)}" for name in unknown)


def _advice(name: str, known: frozenset[str]) -> str:
    # The prefix is no likeness.
    endings = [other.removeprefix(PREFIX) for other in known]
    meant = difflib.get_close_matches(name.removeprefix(PREFIX), endings, 1)
    return f"is {PREFIX}{meant[0]} meant?" if meant else f"names that begin with {PREFIX} are this collection's"
