# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading a result that nobody vouches for: it comes out of a container's output, a Pod's log or a file.

The JSON Schema says which keys there are; what is here needs no library, and catches what a schema cannot say.
"""

from __future__ import annotations

import json
import math
import re
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

# A result of 10,000 iterations is about 1 MiB.
MAX_RESULT_BYTES = 4 * 1024 * 1024
MAX_DEPTH = 12
# The kernel's "no limit" of cgroup v1 has 19.
MAX_INTEGER_DIGITS = 20
SCHEMA_MAJOR = 1

# C0 and C1 control characters apart from tab and line feed: a terminal would act on them.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class ResultError(Exception):
    """A result that cannot be accepted; `kind` names the reason for a program, the message for a person."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def read_result(data: bytes, expected: Mapping[str, t.Any], elapsed_seconds: float | None = None) -> dict[str, t.Any]:
    """The result in `data`, which must be the one that was asked for; see `check_result`."""
    result = parse_document(data)
    check_result(result, expected, elapsed_seconds)
    return result


def parse_document(data: bytes, max_bytes: int = MAX_RESULT_BYTES) -> dict[str, t.Any]:
    """One strict JSON object: no duplicate keys, no NaN, no abyss, no control characters, not too large."""
    if len(data) > max_bytes:
        raise ResultError("result_too_large", f"the result has {len(data)} bytes, more than the {max_bytes} allowed")
    if not data.strip():
        raise ResultError("garbled_result", "there is no result")
    try:
        document = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_unique_keys,
            parse_constant=_refuse_constant,
            parse_float=_finite_float,
            parse_int=_small_integer,
        )
    except RecursionError:
        raise _too_deep() from None
    except UnicodeDecodeError as error:
        raise ResultError("garbled_result", f"the result is not UTF-8 (byte {error.start})") from error
    except json.JSONDecodeError as error:
        raise ResultError(
            "garbled_result", f"the result is not one JSON document ({error.msg}, character {error.pos} of {len(data)})"
        ) from error
    if not isinstance(document, dict):
        raise ResultError("garbled_result", f"the result is no JSON object but {type(document).__name__}")
    _check_tree(document)
    return document


def check_result(
    result: Mapping[str, t.Any], expected: Mapping[str, t.Any], elapsed_seconds: float | None = None
) -> None:
    """Accept `result` only if its schema is known, it answers what was asked, and its figures agree with each other.

    `expected` holds top-level values that must be found as they are: the run id is the nonce that tells this run's
    result from any other. `elapsed_seconds` is how long the run was seen to take: it cannot have measured more.
    """
    _check_schema_version(result.get("schema_version"))
    for key, value in expected.items():
        if result.get(key) != value:
            raise ResultError(
                "wrong_result",
                f"the result says {key} {_shortened(result.get(key))} where {_shortened(value)} was asked for",
            )
    _check_shape(result)
    _check_figures(result, elapsed_seconds)


def _check_shape(result: Mapping[str, t.Any]) -> None:
    """The parts that are read before the schema judges, or where none can: what they are is known."""
    for key in ("isolation", "image", "host", "kubernetes"):
        if not isinstance(result.get(key), (dict, type(None))):
            raise ResultError("garbled_result", f"the result has {_shortened(result[key])} as {key}")
    warnings = result.get("warnings", [])
    for warning in warnings if isinstance(warnings, list) else [warnings]:
        texts = [warning.get("code"), warning.get("message")] if isinstance(warning, dict) else [None]
        if not all(isinstance(text, str) for text in texts):
            raise ResultError("garbled_result", f"the result has {_shortened(warning)} among its warnings")


def _check_schema_version(version: object) -> None:
    match = re.fullmatch(r"(\d{1,4})\.(\d{1,4})", version) if isinstance(version, str) else None
    if match is None or int(match.group(1)) != SCHEMA_MAJOR:
        raise ResultError(
            "unknown_schema",
            f"the result has schema version {_shortened(version)}, but this collection reads {SCHEMA_MAJOR}.x",
        )


def _check_figures(result: Mapping[str, t.Any], elapsed_seconds: float | None) -> None:
    wall_ms = list(_measured_iterations(result.get("processes")))
    iterations = result.get("iterations")
    if not wall_ms or iterations != len(wall_ms):
        raise ResultError(
            "implausible_result", f"the result says {_shortened(iterations)} iterations but lists {len(wall_ms)}"
        )
    total_seconds = math.fsum(wall_ms) / 1000
    average_seconds = total_seconds / len(wall_ms)
    _check_figure(result, "avg_latency_ms", average_seconds * 1000, 0.01)
    _check_figure(result, "avg_latency_seconds", average_seconds, 0.00001)
    _check_figure(result, "total_time_seconds", total_seconds, 0.001)
    _check_figure(result, "rps", 1 / average_seconds, 0.001)
    if elapsed_seconds is not None and total_seconds > elapsed_seconds:
        raise ResultError(
            "implausible_result",
            f"the result says that {total_seconds:.3f} s were measured, but the run took {elapsed_seconds:.3f} s",
        )


def _measured_iterations(processes: object) -> Iterator[float]:
    for process in processes if isinstance(processes, list) else []:
        values = process.get("wall_ms") if isinstance(process, dict) else None
        for value in values if isinstance(values, list) else []:
            if not _is_number(value) or value <= 0:
                raise ResultError("implausible_result", f"the result has an iteration of {_shortened(value)} ms")
            yield value


def _check_figure(result: Mapping[str, t.Any], key: str, computed: float, rounding: float) -> None:
    value = result.get(key)
    if not _is_number(value) or not math.isclose(t.cast(float, value), computed, rel_tol=1e-4, abs_tol=rounding):
        raise ResultError(
            "implausible_result",
            f"the result says {key} {_shortened(value)} where its iterations give {computed:.6g}",
        )


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _check_tree(value: object, depth: int = 1) -> None:
    if depth > MAX_DEPTH:
        raise _too_deep()
    if isinstance(value, str):
        _check_text(value)
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_text(key)
            _check_tree(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _check_tree(item, depth + 1)


def _check_text(text: str) -> None:
    control = _CONTROL.search(text)
    if control:
        raise ResultError("garbled_result", f"the result has the control character {control.group()!r} in a text")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ResultError("garbled_result", "the result has half a surrogate pair in a text") from error


def _too_deep() -> ResultError:
    return ResultError("garbled_result", f"the result is nested more than {MAX_DEPTH} deep")


def _unique_keys(pairs: Sequence[tuple[str, t.Any]]) -> dict[str, t.Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ResultError("garbled_result", "the result has a key twice in one object")
    return document


def _refuse_constant(name: str) -> t.NoReturn:
    raise ResultError("garbled_result", f"the result has {name} where a number belongs")


def _finite_float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ResultError("garbled_result", "the result has a number too large to be finite")
    return value


def _small_integer(text: str) -> int:
    if len(text.lstrip("-")) > MAX_INTEGER_DIGITS:
        raise ResultError("garbled_result", f"the result has an integer of {len(text)} digits")
    return int(text)


def _shortened(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
