# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much memory a run needed at most."""

from __future__ import annotations

import resource
import sys

from bench_runner.cgroup import ControlGroup


def figures(group: ControlGroup, *, in_container: bool) -> dict[str, int | str | None]:
    """What the whole control group used, which in a container is the run alone; and the largest process's resident set.

    The group's figure includes the page cache of the files read, which the kernel can take back.
    """
    group_peak_bytes = group.memory_peak_bytes() if in_container else None
    rss_bytes = largest_child_rss_bytes()
    return {
        "peak_bytes": rss_bytes if group_peak_bytes is None else group_peak_bytes,
        "source": "rss" if group_peak_bytes is None else "cgroup",
        "rss_peak_bytes": rss_bytes,
    }


def largest_child_rss_bytes() -> int:
    """The largest resident set of a process that this one has waited for. Linux counts KiB, macOS bytes."""
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
