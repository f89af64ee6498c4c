# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.rightsize.whisper.plugins.module_utils._container import RunError
from ansible_collections.rightsize.whisper.plugins.modules.guaranteed_pod import ARGUMENT_SPEC, read_audio, read_request

REQUIRED = {
    "context": "fake",
    "image": "runner:base",
    "target": "here",
    "run_id": "20261123t120000-0a1b2c3d",
    "result_dir": "/results",
}


def options(**changes: Any) -> dict[str, Any]:
    defaults = {name: spec.get("default") for name, spec in ARGUMENT_SPEC.items()}
    return {**defaults, **REQUIRED, **changes}


def test_defaults_ask_for_what_the_design_asks_for() -> None:
    request = read_request(options(), "whisper")
    assert (request.run.iterations, request.run.processes, request.run.threads, request.run.cpus) == (50, 5, 1, 1)
    assert (request.namespace, request.memory, request.run.memory_bytes) == ("whisper", "4Gi", 4 * 2**30)
    assert (request.pods, request.distinct_nodes, request.audio) == (1, True, None)


def test_labels_are_texts_whatever_yaml_reads() -> None:
    request = read_request(
        options(node_selector={"gpu": False, "generation": 4, "pool": "xeon"}, labels={"a": True}), "x"
    )
    assert request.node_selector == {"gpu": "false", "generation": "4", "pool": "xeon"}
    assert request.run.labels == {"a": "true"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"run_id": "Upper-Case-1"}, "run_id 'Upper-Case-1'"),
        ({"run_id": "short"}, "run_id 'short'"),
        ({"cpus": 0}, "cpus 0 is too little; give 1 or more"),
        ({"pods": 0}, "pods 0 is too little"),
        ({"pods": 101}, "more than the 100"),
        ({"timeout": 0}, "timeout 0"),
        ({"resume": True}, "resume needs the journal to go on from"),
        ({"memory": "4.5Gi"}, "memory '4.5Gi'"),
    ],
)
def test_what_makes_no_sense_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(RunError, match=words) as caught:
        read_request(options(**changes), "x")
    assert caught.value.kind == "bad_usage"


def test_audio_gets_a_name_that_is_safe(tmp_path: Path) -> None:
    audio = tmp_path / "..--my speech;$(x).ogg"
    audio.write_bytes(b"sound")
    assert read_audio(str(audio)) == ("__my_speech___x_.ogg", b"sound")
    audio.write_bytes(bytes(2**20))
    with pytest.raises(RunError, match="more than the 1044480 bytes that a ConfigMap holds"):
        read_audio(str(audio))
