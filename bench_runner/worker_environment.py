# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The environment of a measuring process: every thread pool gets the size that was asked for."""

from __future__ import annotations

import os
from pathlib import Path

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
PACKAGES = Path(__file__).parents[1]


def worker_environment(threads: int) -> dict[str, str]:
    """This process's environment with the thread pools' sizes, dynamic resizing off, and this package importable."""
    path = os.pathsep.join(filter(None, [str(PACKAGES), os.environ.get("PYTHONPATH")]))
    pools = dict.fromkeys(THREAD_VARIABLES, str(threads))
    return {**os.environ, **pools, "OMP_DYNAMIC": "FALSE", "MKL_DYNAMIC": "FALSE", "PYTHONPATH": path}
