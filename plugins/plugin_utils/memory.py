# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How much memory a worker needs, from what a run has used."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ansible_collections.rightsize.whisper.plugins.plugin_utils.service_times import ROUNDING

MEBIBYTE = 1024**2
# Beside the measured peak: what the benchmark does not do, such as receiving requests. (The default of KRR, too.)
HEADROOM = 0.15
# Peaks of two runs differ by some MiB; a coarse step keeps the order the same.
STEP_MIB = 64


def peak_bytes(result: Mapping[str, Any]) -> int | None:
    """The most memory that the run needed, in bytes; None where it could not read it.

    That is the resident set of its largest process. A control group's peak counts the page cache of the files read as
    well, which the kernel takes back before a limit is felt: the first run on a machine, which reads the image from the
    disk, has twice the peak of the second. Results that were made before resident sets were kept have the group's alone.
    """
    memory = result["memory"]
    of_group: int | None = memory["peak_bytes"]
    of_process: int | None = memory.get("rss_peak_bytes")
    return of_group if of_process is None else of_process


def limit_mib(needed_bytes: int | None) -> int | None:
    """Request and limit of a worker, in MiB: what it needs and the headroom, in whole steps."""
    if needed_bytes is None:
        return None
    steps = needed_bytes * (1 + HEADROOM) / (STEP_MIB * MEBIBYTE)
    # What exceeds a whole number by rounding alone is that number.
    return STEP_MIB * max(1, math.ceil(steps * (1 - ROUNDING)))
