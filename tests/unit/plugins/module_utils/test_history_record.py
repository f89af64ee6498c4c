# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.rightsize.whisper.plugins.module_utils._history_record import (
    SCHEMA_MINOR,
    HistoryError,
    accept,
    parse_line,
    read_schema,
)
from ansible_collections.rightsize.whisper.plugins.module_utils._result import SCHEMA_MAJOR

from bench_runner import SCHEMA_VERSION
from tests.unit.factories import SCHEMA_FILE, mac_m4, xeon_pool

SCHEMA = read_schema(str(SCHEMA_FILE))
HOSTILE = (
    "\x1b]0;owned\x07\x1b[2J\x00\r\n\u202e | {{ lookup('pipe', 'id') }} {% raw %} <script>alert(1)</script> `|` 😀"
)


def refusal(result: dict[str, Any]) -> str:
    with pytest.raises(HistoryError) as caught:
        accept(result, SCHEMA)
    message = str(caught.value)
    assert message.isprintable()
    assert len(message) < 400
    return message


@pytest.mark.parametrize("result", [mac_m4(), xeon_pool()])
def test_a_result_is_one_line(result: dict[str, Any]) -> None:
    record = accept(result, SCHEMA)
    assert record.line.endswith(b"}\n")
    assert record.line.count(b"\n") == 1
    assert record.line.isascii()
    assert parse_line(record.line) == result


def test_the_schema_version_written_here_is_the_runner_s() -> None:
    assert f"{SCHEMA_MAJOR}.{SCHEMA_MINOR}" == SCHEMA_VERSION


def test_texts_are_data_whatever_is_in_them() -> None:
    result = mac_m4(cpu_model=HOSTILE, target=HOSTILE, labels={"note": HOSTILE}, transcript={"text": HOSTILE})
    record = accept(result, SCHEMA)
    assert record.line.count(b"\n") == 1
    assert all(32 <= byte < 127 for byte in record.line[:-1])
    assert parse_line(record.line) == result


def test_a_newer_minor_version_may_have_more_keys() -> None:
    assert accept(mac_m4(schema_version="1.7", energy_joules=3.5), SCHEMA).result["energy_joules"] == 3.5


def test_this_version_may_not() -> None:
    assert "the key 'energy_joules', unknown to schema 1.0" in refusal(mac_m4(energy_joules=3.5))


@pytest.mark.parametrize("version", ["2.0", "0.9", "1", "1.0.0", "", None, 1.0, "1.0\n", "x" * 1000])
def test_another_major_version_is_refused(version: Any) -> None:
    message = refusal(mac_m4(schema_version=version))
    assert "schema version" in message
    assert "reads 1.x" in message


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"threads": "1"}, "$.threads: '1' is not of type 'integer'"),
        ({"threads": 0}, "$.threads"),
        ({"rps": None}, "$.rps"),
        ({"isolation": {"mode": "prayer"}}, "$.isolation.mode"),
        ({"warnings": [{"code": "NOT A CODE", "message": ""}]}, "$.warnings[0].code"),
        ({"run_id": "UPPER-CASE-ID"}, "$.run_id"),
        ({"timestamp": "yesterday"}, "$.timestamp"),
        ({"target": "x" * 5000}, "$.target"),
        ({"target": "\x1b[2J" * 100}, "$.target"),
        ({"labels": {"\x1b[2J": 3}}, "$.labels"),
    ],
)
def test_the_schema_decides(changes: dict[str, Any], words: str) -> None:
    message = refusal(mac_m4(**changes))
    assert "not valid at" in message
    assert words in message


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"avg_latency_ms": 1300.0}, "avg_latency_ms 1300.0 where its iterations give 1338"),
        ({"rps": 5.0}, "rps 5.0"),
        ({"iterations": 49}, "49 iterations but lists 50"),
        ({"timestamp": "2026-02-30T12:00:00Z"}, "no time in UTC"),
        ({"timestamp": "2026-02-28T12:00:00Z\n"}, "no time in UTC"),
        ({"run_id": "20261123t120000-4d61634d\n"}, "run id"),
        ({"target": "\ud800"}, "surrogate"),
        ({"host": {"load": float("nan")}}, "cannot be written as JSON"),
        ({"host": {"load": float("inf")}}, "cannot be written as JSON"),
        ({"host": {"note": "x" * 5_000_000}}, "more than the 4194304 allowed"),
    ],
)
def test_so_does_what_a_schema_cannot_say(changes: dict[str, Any], words: str) -> None:
    assert words in refusal(mac_m4(**changes))


def test_a_fraction_of_a_second_is_a_time() -> None:
    accept(mac_m4(timestamp="2026-11-23T12:00:00.123456Z"), SCHEMA)


def test_a_missing_key_is_named() -> None:
    result = mac_m4()
    del result["transcript"]
    assert "'transcript' is a required property" in refusal(result)


def test_an_abyss_is_refused() -> None:
    abyss: list[Any] = []
    for _level in range(100_000):
        abyss = [abyss]
    assert "cannot be written as JSON" in refusal(mac_m4(host={"abyss": abyss}))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (json.dumps(mac_m4()).encode()[:-100], "not JSON, perhaps cut short"),
        (b'{"run_id": NaN}', "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[1]", "not a JSON object"),
        (b"{}", "no run id"),
        (b'{"run_id": "../../etc/passwd"}', "no run id"),
        (b'{"run_id": "run-00000001"}', "schema version None, while 1.x is read here"),
        (b'{"run_id": "run-00000001", "schema_version": "2.0"}', "schema version '2.0', while 1.x is read here"),
    ],
)
def test_a_line_that_is_no_result_says_why(line: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_line(line)


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "No such file"), (b"{", "not JSON"), (b"[]", "no JSON Schema"), (b"{}", "no JSON Schema")],
)
def test_a_schema_that_is_none_is_named(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "result.schema.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(HistoryError, match=words) as caught:
        read_schema(str(path))
    assert str(path) in str(caught.value)
