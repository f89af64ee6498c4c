# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from ansible_collections.rightsize.whisper.plugins.module_utils._result import (
    MAX_RESULT_BYTES,
    ResultError,
    check_result,
    parse_document,
    read_result,
)
from hypothesis import given
from hypothesis import strategies as st

RUN_ID = "20261123t120000-0a1b2c3d"


def a_result(**changes: Any) -> dict[str, Any]:
    return {
        "schema_version": "1.0",
        "run_id": RUN_ID,
        "iterations": 3,
        "avg_latency_ms": 2000.0,
        "avg_latency_seconds": 2.0,
        "total_time_seconds": 6.0,
        "rps": 0.5,
        "processes": [{"wall_ms": [1900.0, 2100.0]}, {"wall_ms": [2000.0]}],
        **changes,
    }


def refusal(data: bytes, **keywords: Any) -> ResultError:
    with pytest.raises(ResultError) as caught:
        read_result(data, {"run_id": RUN_ID}, **keywords)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300
    return caught.value


def encoded(**changes: Any) -> bytes:
    return json.dumps(a_result(**changes)).encode()


def test_a_good_result_is_read() -> None:
    assert read_result(encoded(), {"run_id": RUN_ID, "iterations": 3}, elapsed_seconds=6.5) == a_result()


@pytest.mark.parametrize("version", ["1.0", "1.7", "1.12"])
def test_a_newer_minor_version_is_read(version: str) -> None:
    assert read_result(encoded(schema_version=version, novelty=1), {})["novelty"] == 1


@pytest.mark.parametrize("version", ["2.0", "0.9", "10.0", "1", "1.0.0", "", None, 1, 1.0, ["1.0"], "x" * 5000])
def test_another_schema_is_refused(version: object) -> None:
    error = refusal(encoded(schema_version=version))
    assert error.kind == "unknown_schema"
    assert "reads 1.x" in str(error)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no result"),
        (b" \n\t", "no result"),
        (b'{"a": 1', "not one JSON document"),
        (b'{"a": 1} {"b": 2}', "not one JSON document"),
        (b"[1]", "no JSON object"),
        (b'"text"', "no JSON object"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": [-Infinity]}', "-Infinity"),
        (b'{"a": 1e999}', "finite"),
        (b'{"a": ' + b"9" * 5000 + b"}", "5000 digits"),
        (b'{"a": 1, "a": 2}', "twice"),
        (b'{"a": "\xff"}', "not UTF-8"),
        (b'{"a": "\\ud800"}', "surrogate"),
        (b'{"a": "\\u001b[2J"}', "control character"),
        (b'{"\\u009b31m": 1}', "control character"),
        (b'{"a": {"b": ["\\u0000"]}}', "control character"),
        (b'{"a":' * 13 + b"1" + b"}" * 13, "deep"),
        (b'{"a":' * 500_000, "deep"),
        (b"[" * 1_000_000, "deep"),
    ],
)
def test_what_is_no_strict_json_is_garbled(data: bytes, words: str) -> None:
    error = refusal(data)
    assert error.kind == "garbled_result"
    assert words in str(error)


def test_the_size_is_checked_before_anything_is_parsed() -> None:
    assert refusal(b"[" * (MAX_RESULT_BYTES + 1)).kind == "result_too_large"


def test_line_breaks_and_markup_in_texts_are_left_to_whoever_prints_them() -> None:
    text = "one\ntwo\t| {{ lookup('pipe', 'id') }} | <b>"
    assert parse_document(json.dumps({"text": text}).encode())["text"] == text


@pytest.mark.parametrize(
    ("expected", "words"),
    [
        ({"run_id": "another-run-0001"}, "run_id"),
        ({"model_size": "small"}, "model_size None where 'small'"),
        ({"iterations": 50}, "iterations 3 where 50"),
    ],
)
def test_an_answer_to_another_question_is_refused(expected: dict[str, Any], words: str) -> None:
    with pytest.raises(ResultError, match=words) as caught:
        check_result(a_result(), expected)
    assert caught.value.kind == "wrong_result"


@pytest.mark.parametrize(
    "changes",
    [
        {"warnings": "noisy"},
        {"warnings": None},
        {"warnings": ["noisy"]},
        {"warnings": [{"code": "noisy"}]},
        {"warnings": [{"code": "noisy", "message": 1}]},
        {"isolation": []},
        {"image": "sha256:0"},
        {"host": 1},
    ],
)
def test_parts_of_another_shape_are_refused(changes: dict[str, Any]) -> None:
    assert refusal(encoded(**changes)).kind == "garbled_result"


@pytest.mark.parametrize(
    "changes",
    [
        {"avg_latency_ms": 0},
        {"avg_latency_ms": -2000.0},
        {"avg_latency_ms": True},
        {"avg_latency_ms": "2000"},
        {"avg_latency_ms": 1990.0},
        {"avg_latency_seconds": 2.1},
        {"total_time_seconds": 7.0},
        {"rps": 5.0},
        {"rps": None},
        {"iterations": 4},
        {"iterations": None},
        {"processes": []},
        {"processes": None},
        {"processes": [{"wall_ms": [1900.0, 2100.0]}, "no process"]},
        {"processes": [{"wall_ms": [-1.0, 2100.0, 3901.0]}]},
        {"processes": [{"wall_ms": [0, 3000.0, 3000.0]}]},
        {"processes": [{"wall_ms": ["2000", 2000.0, 2000.0]}]},
    ],
)
def test_figures_that_contradict_each_other_are_refused(changes: dict[str, Any]) -> None:
    assert refusal(encoded(**changes)).kind == "implausible_result"


def test_more_cannot_have_been_measured_than_time_went_by() -> None:
    error = refusal(encoded(), elapsed_seconds=5.9)
    assert error.kind == "implausible_result"
    assert "the run took 5.900 s" in str(error)


def test_figures_rounded_by_the_runner_are_accepted() -> None:
    wall_ms = [31234.567, 31011.101, 30999.9]
    average = sum(wall_ms) / 3
    read_result(
        encoded(
            processes=[{"wall_ms": wall_ms}],
            avg_latency_ms=round(average, 2),
            avg_latency_seconds=round(average / 1000, 3),
            total_time_seconds=round(sum(wall_ms) / 1000, 2),
            rps=round(1000 / average, 4),
        ),
        {},
    )


@given(st.binary(max_size=300))
def test_no_bytes_do_more_than_be_refused(data: bytes) -> None:
    with pytest.raises(ResultError):
        read_result(data, {"run_id": RUN_ID})


@given(st.data())
def test_no_truncation_is_taken_for_a_result(data: st.DataObject) -> None:
    whole = encoded()
    refusal(whole[: data.draw(st.integers(0, len(whole) - 1))])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(sorted(a_result())), json_values)
def test_no_value_anywhere_does_more_than_be_refused(key: str, value: object) -> None:
    with suppress(ResultError):
        check_result(a_result(**{key: value}), {"run_id": RUN_ID})
