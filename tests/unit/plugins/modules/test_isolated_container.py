# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.rightsize.whisper.plugins.module_utils._container import RunError, read_request
from ansible_collections.rightsize.whisper.plugins.modules.isolated_container import ARGUMENT_SPEC


def options(**changes: Any) -> dict[str, Any]:
    defaults = {name: option.get("default") for name, option in ARGUMENT_SPEC.items()}
    return {**defaults, "image": "i", "target": "here", "run_id": "20261123t120000-0a1b2c3d", **changes}


def test_the_defaults_are_one_cpu_and_no_emulation() -> None:
    request = read_request(options())
    assert request.nano_cpus == 1_000_000_000
    assert request.memory_bytes == 4 * 2**30
    assert (request.cpuset, request.allow_emulation) == (False, False)


def test_empty_texts_are_no_answers_and_labels_are_texts() -> None:
    request = read_request(options(audio="", cpu_model="", labels={"try": 3}))
    assert (request.audio, request.cpu_model, request.labels) == (None, None, {"try": "3"})


@pytest.mark.parametrize(
    "changes",
    [
        {"run_id": "short"},
        {"run_id": "-20261123t120000"},
        {"run_id": "20261123t120000\n"},
        {"run_id": "x" * 64},
        {"cpus": 0.0},
        {"cpus": -1.0},
        {"cpus": float("nan")},
        {"cpus": float("inf")},
        {"cpus": 2.0, "cpuset": True},
        {"memory": "4 GB"},
        {"timeout": 0},
        {"resume": True},
    ],
)
def test_what_no_run_could_do_is_bad_usage(changes: dict[str, Any]) -> None:
    with pytest.raises(RunError) as caught:
        read_request(options(**changes))
    assert caught.value.kind == "bad_usage"
