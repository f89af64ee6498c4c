# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import gzip
import json
import random
import sys
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from bench_runner import pod
from tests.unit.factories import SCHEMA_FILE, xeon_pool

SCHEMA = Draft202012Validator(json.loads(SCHEMA_FILE.read_text()))


def a_document(**changes: Any) -> bytes:
    return json.dumps(xeon_pool(**changes)).encode()


def many_iterations(count: int) -> bytes:
    """A result whose figures do not compress well, as measured ones do not."""
    chance = random.Random(count)
    columns = [[round(chance.uniform(2000, 2200), 4) for _unused in range(count // 5)] for _unused in range(5)]
    result = xeon_pool(wall_ms=columns)
    for process in result["processes"]:
        process["cpu_ms"] = [round(wall * chance.uniform(0.98, 1), 4) for wall in process["wall_ms"]]
    return json.dumps(result).encode()


def carried(message: str) -> Any:
    return json.loads(gzip.decompress(base64.b64decode(json.loads(message)["result"])))


def test_a_frame_has_numbered_lines_that_a_container_runtime_does_not_break() -> None:
    begin, *pieces, end = pod.frame(many_iterations(2000))
    assert begin.split()[:4] == ["rightsize-whisper", "BEGIN", xeon_pool()["run_id"], str(len(pieces))]
    assert end == f"rightsize-whisper END {xeon_pool()['run_id']}"
    assert len(pieces) > 2
    assert [line.split()[1] for line in pieces] == [str(number) for number in range(1, len(pieces) + 1)]
    assert max(map(len, pieces)) < 8192


@pytest.mark.parametrize(("count", "fits"), [(5, True), (50, True), (100, True), (1000, False)])
def test_a_termination_message_is_small_and_holds_what_fits(count: int, fits: bool) -> None:
    document = many_iterations(count)
    message = pod.termination_message(document)
    assert len(message) <= 3500
    summary = json.loads(message)
    assert (summary["iterations"], summary["bytes"]) == (count, len(document))
    assert ("result" in summary) is fits


def test_what_a_termination_message_holds_keeps_to_the_schema_and_to_the_latencies() -> None:
    document = many_iterations(50)
    result, whole = carried(pod.termination_message(document)), json.loads(document)
    SCHEMA.validate(result)
    assert [process["wall_ms"] for process in result["processes"]] == [p["wall_ms"] for p in whole["processes"]]
    assert result["transcript"] == whole["transcript"]


def test_every_abridgement_keeps_to_the_schema_and_none_is_longer_than_the_one_before() -> None:
    sizes = []
    for shorter in pod.abridgements(json.loads(many_iterations(50))):
        SCHEMA.validate(shorter)
        sizes.append(len(json.dumps(shorter)))
    assert sizes == sorted(sizes, reverse=True)


def test_the_result_goes_to_the_log_and_to_the_message(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = a_document()
    message = tmp_path / "termination-log"
    message.touch()
    monkeypatch.setattr(pod, "TERMINATION_LOG", message)
    monkeypatch.setattr(pod.cli, "main", lambda _unused: sys.stdout.buffer.write(document + b"\n") and 0)
    assert pod.main([]) == 0
    assert capsys.readouterr().out.splitlines() == list(pod.frame(document))
    assert message.read_text() == pod.termination_message(document)


def test_a_run_that_fails_leaves_the_message_to_the_kubelet(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    message = tmp_path / "termination-log"
    message.touch()
    monkeypatch.setattr(pod, "TERMINATION_LOG", message)
    monkeypatch.setattr(pod.cli, "main", lambda _unused: 4)
    assert pod.main([]) == 4
    assert (capsys.readouterr().out, message.read_text()) == ("", "")


def test_outside_a_pod_there_is_no_message(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    document = a_document()
    monkeypatch.setattr(pod, "TERMINATION_LOG", tmp_path / "none")
    monkeypatch.setattr(pod.cli, "main", lambda _unused: sys.stdout.buffer.write(document) and 0)
    assert pod.main([]) == 0
    assert list(tmp_path.iterdir()) == []
