# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import struct
from typing import Any

import pytest
from ansible_collections.rightsize.whisper.plugins.module_utils._container import RunError
from ansible_collections.rightsize.whisper.plugins.module_utils._serving_container import (
    Frames,
    read_message,
    serve_arguments,
)

from bench_runner import serve
from tests.unit.plugins.module_utils.test_container import REQUEST

SHA = "ab" * 32
READY = {
    "event": "ready",
    "model_size": "base",
    "threads": 1,
    "cpu_limit": 1.0,
    "audio": {"seconds": 15.0, "sha256": SHA},
    "checkpoint_sha256": SHA,
    "model_load_seconds": 0.5,
    "warmup_ms": [2000.0],
}
ANSWER = {"event": "answer", "id": 7, "service_ms": 2000.5, "transcript_sha256": SHA}


def framed(stream: int, content: bytes) -> bytes:
    return struct.pack(">BxxxI", stream, len(content)) + content


def test_frames_may_be_cut_anywhere() -> None:
    sent = framed(1, b"one\n") + framed(2, b"two\n") + framed(1, b"")
    for size in (1, 3, 8, 100):
        frames = Frames()
        found = [piece for at in range(0, len(sent), size) for piece in frames.feed(sent[at : at + size])]
        assert found == [(1, b"one\n"), (2, b"two\n"), (1, b"")]


def test_only_what_is_expected_is_taken_from_a_message() -> None:
    assert read_message(json.dumps({**ANSWER, "more": "{{ text }}"}).encode(), 1) == ANSWER
    assert read_message(json.dumps({**READY, "cpu_limit": None}).encode(), 1) == {
        "event": "ready",
        "cpu_limit": None,
        "threads": 1,
        "model_load_seconds": 0.5,
        "audio_sha256": SHA,
        "checkpoint_sha256": SHA,
    }


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"Killed",
        b"[]",
        b"\xff\x1b[31m",
        b"[" * 5000,
        {"event": "refused", "id": None, "message": "not a JSON line"},
        {**ANSWER, "service_ms": "fast"},
        {**ANSWER, "service_ms": -1},
        {**ANSWER, "service_ms": float("nan")},
        {**ANSWER, "id": True},
        {**ANSWER, "transcript_sha256": "x"},
        {key: value for key, value in READY.items() if key != "cpu_limit"},
        {**READY, "audio": None},
    ],
)
def test_what_is_no_answer_is_one_printable_line(message: Any) -> None:
    line = message if isinstance(message, bytes) else json.dumps(message).encode()
    with pytest.raises(RunError, match=r"worker 3 said .*; build the image again") as caught:
        read_message(line, 3)
    assert caught.value.kind == "garbled_result"
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400


def test_the_worker_takes_the_arguments() -> None:
    arguments = serve_arguments(REQUEST, 1000)
    options = serve.parser().parse_args(arguments)
    assert (options.model_size, options.threads, options.warmup, options.audio_bytes) == ("base", 1, 1, 1000)
    assert (options.deadline, options.run_id, options.progress) == (7200, REQUEST.run_id, "jsonl")
    assert serve.parser().parse_args(serve_arguments(REQUEST, None)).audio_bytes is None
