# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence


def table(cells: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Lines of rows that have as many cells each, in columns; texts are as they come."""
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return tuple("  ".join(map(str.ljust, row, widths)).rstrip() for row in cells)
