# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Versions and settings of what computes: half of the difference between two machines may lie here. Loads torch."""

from __future__ import annotations

import os
import platform
from typing import Any

import numpy
import torch
import whisper

from bench_runner.worker_environment import THREAD_VARIABLES


def describe() -> dict[str, Any]:
    """What this process computes with, as the libraries report it themselves."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "whisper": whisper.__version__,
        "numpy": numpy.__version__,
        "kernel": platform.release(),
        "threads": {
            "torch_intra_op": torch.get_num_threads(),
            "torch_inter_op": torch.get_num_interop_threads(),
            **{name: os.environ.get(name) for name in THREAD_VARIABLES},
        },
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "build": _one_line(torch.__config__.show().partition("Build settings:")[0]),
        "parallel_info": _one_line(torch.__config__.parallel_info()),
    }


def _one_line(text: str) -> str:
    return " ".join(text.split()).rstrip(" -")[:2000]
