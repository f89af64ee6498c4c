# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How figures and foreign errors are put into words."""

from __future__ import annotations

import traceback
from pathlib import Path


def duration(seconds: float) -> str:
    """`45 s`, `3 min 20 s` or `1 h 5 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def mebibytes(size_bytes: int) -> str:
    """`512 MiB`."""
    return f"{round(size_bytes / 1024**2)} MiB"


def one_line(error: BaseException) -> str:
    """What an error of somebody else's says, without line ends and of bearable length."""
    return " ".join(str(error).split())[:300]


def unexpected(error: BaseException) -> str:
    """One line that helps to find what nobody thought of: kind, text and place."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{place}: {one_line(error)}"
