# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench_runner import audio, serve
from bench_runner.checkpoint import Checkpoint

WEIGHTS = Checkpoint(Path("base.pt"), "ab" * 32, 1000, True)


class FakeTranscriber:
    """Takes no time and counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self) -> tuple[float, str]:
        self.asked += 1
        return 2000.0 + self.asked, "cd" * 32


@pytest.fixture
def transcriber(monkeypatch: pytest.MonkeyPatch) -> FakeTranscriber:
    """In place of the model, and of its weights."""
    fake = FakeTranscriber()
    monkeypatch.setattr(serve.checkpoint, "locate", lambda *_given, **_options: WEIGHTS)
    monkeypatch.setattr(serve, "load", lambda *_given: (0.5, fake))
    return fake


def served(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], content: bytes, *options: str) -> Any:
    """The exit code, the answers, and what was said on standard error."""
    monkeypatch.setattr(serve.sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))
    code = serve.main([*options, "--progress", "jsonl", "--run-id", "a-serving-test"])
    told = capsys.readouterr()
    return code, [json.loads(line) for line in told.out.splitlines()], told.err


def test_it_says_that_it_is_ready_and_answers_in_order(
    transcriber: FakeTranscriber, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, (ready, *answers), errors = served(monkeypatch, capsys, b'{"id": 7}\n\n{"id": 3}\n', "--warmup", "2")
    assert (code, errors) == (0, "")
    assert (ready["event"], ready["warmup_ms"], ready["threads"]) == ("ready", [2001.0, 2002.0], 1)
    assert ready["audio"]["sha256"] == audio.load(None).sha256
    assert ready["checkpoint_sha256"] == WEIGHTS.sha256
    assert answers == [
        {"event": "answer", "id": 7, "service_ms": 2003.0, "transcript_sha256": "cd" * 32},
        {"event": "answer", "id": 3, "service_ms": 2004.0, "transcript_sha256": "cd" * 32},
    ]


@pytest.mark.parametrize(
    "line",
    [b"hello", b"[]", b"{}", b'{"id": -1}', b'{"id": true}', b'{"id": "7"}', b'{"id": 1e3}', b"\xff\xfe", b"[" * 4000],
)
def test_what_is_no_request_is_one_clear_line_and_costs_nobody_else(transcriber: FakeTranscriber, line: bytes) -> None:
    said: list[dict[str, Any]] = []
    serve.answer_requests(io.BytesIO(line + b'\n{"id": 1}\n'), transcriber, said.append)
    assert [answer["event"] for answer in said] == ["refused", "answer"]
    assert '{"id": 7}' in said[0]["message"]
    assert "\n" not in said[0]["message"]
    assert transcriber.asked == 1


def test_an_endless_line_is_refused_once_and_not_kept(transcriber: FakeTranscriber) -> None:
    said: list[dict[str, Any]] = []
    serve.answer_requests(io.BytesIO(b"x" * 100_000 + b'\n{"id": 1}\n'), transcriber, said.append)
    assert [answer["event"] for answer in said] == ["refused", "answer"]
    assert "more than 4096 bytes" in said[0]["message"]


def test_the_clip_may_come_before_the_requests(
    transcriber: FakeTranscriber, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = audio.BUNDLED_SAMPLE.read_bytes()
    code, (ready, answer), _errors = served(
        monkeypatch, capsys, clip + b'{"id": 1}\n', f"--audio-bytes={len(clip)}", "--warmup=0"
    )
    assert (code, ready["audio"]["sha256"], answer["id"]) == (0, audio.load(None).sha256, 1)


@pytest.mark.parametrize(
    ("content", "options", "code", "words"),
    [
        (b"", ["--audio", "-"], 2, "say with --audio-bytes how much of it is the clip"),
        (b"", ["--model-size", "huge"], 2, "there is no model 'huge'"),
        (b"", ["--audio-bytes", "0"], 2, "whole number from 1"),
        (b"abc", ["--audio-bytes", "4"], 3, "ended after 3 of 4 bytes"),
        (b"abcd", ["--audio-bytes", "4"], 3, "cannot decode the audio in standard input"),
    ],
)
def test_bad_usage_is_one_clear_line(
    transcriber: FakeTranscriber,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    content: bytes,
    options: list[str],
    code: int,
    words: str,
) -> None:
    found, answers, errors = served(monkeypatch, capsys, content, *options)
    assert (found, answers) == (code, [])
    assert words in json.loads(errors)["message"]


def test_no_memory_for_the_model_is_said_as_the_benchmark_says_it(
    transcriber: FakeTranscriber, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*_given: object) -> Any:
        raise MemoryError

    monkeypatch.setattr(serve, "load", fails)
    code, _answers, errors = served(monkeypatch, capsys, b"")
    assert code == 5
    assert "no memory left for the model" in json.loads(errors)["message"]
