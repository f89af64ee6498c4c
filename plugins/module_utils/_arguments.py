# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Arguments that several modules take; the documentation fragments of the same names say what they mean."""

from __future__ import annotations

import typing as t

Spec = t.Dict[str, t.Dict[str, t.Any]]

ENGINE: Spec = {
    "engine_url": {"type": "str"},
    "allow_remote": {"type": "bool", "default": False},
}

WATCHED: Spec = {
    "progress_dir": {"type": "path"},
    "lease_seconds": {"type": "int", "default": 60},
}

BENCHMARK: Spec = {
    "model": {"type": "str", "default": "base"},
    "iterations": {"type": "int", "default": 50},
    "processes": {"type": "int", "default": 5},
    "precision": {"type": "float", "default": 0},
    "precision_of": {"type": "str", "choices": ["latency", "ratio"], "default": "latency"},
    "max_processes": {"type": "int", "default": 40},
    "time_budget": {"type": "int", "default": 0},
    "threads": {"type": "int", "default": 1},
    "warmup": {"type": "int", "default": 1},
    "fallback": {"type": "bool", "default": False},
    "labels": {"type": "dict", "default": {}},
    "journal": {"type": "path"},
    "resume": {"type": "bool", "default": False},
}

CLUSTER: Spec = {
    "context": {"type": "str", "required": True},
    "kubeconfig": {"type": "path"},
    "namespace": {"type": "str"},
}
