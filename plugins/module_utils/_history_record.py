# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A record of the history: one line, one result.

Texts in it came from a target and are data: JSON escapes keep whatever is in them on their line.
"""

from __future__ import annotations

import datetime
import json
import re
import traceback
import typing as t
from pathlib import Path

from ._progress import printable
from ._result import MAX_RESULT_BYTES, SCHEMA_MAJOR, ResultError, check_result

try:
    import jsonschema
    from jsonschema.exceptions import best_match

    JSONSCHEMA_IMPORT_ERROR: t.Optional[str] = None
except ImportError:
    JSONSCHEMA_IMPORT_ERROR = traceback.format_exc()

# The minor version of the schema beside which this was written. Newer ones add keys, and only they may.
SCHEMA_MINOR = 1
RUN_ID = re.compile(r"[a-z0-9][a-z0-9-]{6,61}[a-z0-9]")
VERSION = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})")
TIMESTAMP_FORMATS = ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S.%fZ")

Result = t.Dict[str, t.Any]


class HistoryError(Exception):
    """The history, or what was meant for it, is not as it should be; the message is one line for the user."""


class Record(t.NamedTuple):
    """A result that was accepted, and the line that holds it."""

    result: Result
    line: bytes

    @property
    def run_id(self) -> str:
        return t.cast(str, self.result["run_id"])


def read_schema(path: str) -> t.Dict[str, t.Any]:
    """The JSON Schema of a result."""
    try:
        schema = json.loads(Path(path).read_bytes())
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not JSON"
        raise HistoryError(f"cannot read the schema {path}: {reason}; name bench_runner/result.schema.json") from error
    if not isinstance(schema, dict) or not isinstance(schema.get("properties"), dict):
        raise HistoryError(f"{path} is no JSON Schema of a result; name bench_runner/result.schema.json")
    return schema


def accept(result: Result, schema: t.Dict[str, t.Any]) -> Record:
    """The record of a result that the schema accepts and whose figures agree."""
    line = _encoded(result)
    minor = minor_version(result.get("schema_version"))
    if minor is None:
        raise HistoryError(
            f"the result has schema version {_shown(result.get('schema_version'))}; this collection reads "
            f"{SCHEMA_MAJOR}.x: update it, or measure with an image that its own runner_image built"
        )
    _check_schema(result, schema)
    unknown = sorted(result.keys() - schema["properties"].keys())
    if unknown and minor <= SCHEMA_MINOR:
        raise HistoryError(f"the result has the key {_shown(unknown[0])}, unknown to schema {SCHEMA_MAJOR}.{minor}")
    if not RUN_ID.fullmatch(result["run_id"]):
        raise HistoryError(f"the run id {_shown(result['run_id'])} is not 8 to 63 of a-z, 0-9 and -")
    if not _is_time(result["timestamp"]):
        raise HistoryError(f"the timestamp {_shown(result['timestamp'])} is no time in UTC")
    try:
        check_result(result, {})
    except ResultError as error:
        raise HistoryError(str(error)) from error
    return Record(result, line)


def parse_line(line: bytes) -> Result:
    """The result in a line of the history; a ValueError says why it is none."""
    try:
        result = json.loads(line, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise ValueError("not JSON, perhaps cut short") from None
    if not isinstance(result, dict):
        raise ValueError("not a JSON object")
    identify(result.get("run_id"), result.get("schema_version"))
    return result


def identify(run_id: object, version: object) -> None:
    """A ValueError unless these are a run id, and a schema version that is read here."""
    if not isinstance(run_id, str) or not RUN_ID.fullmatch(run_id):
        raise ValueError("no run id")
    if minor_version(version) is None:
        raise ValueError(f"schema version {_shown(version)}, while {SCHEMA_MAJOR}.x is read here")


def minor_version(version: object) -> t.Optional[int]:
    """The minor part of a schema version; None if the major part is not the one known here."""
    match = VERSION.fullmatch(version) if isinstance(version, str) else None
    return int(match.group(2)) if match and int(match.group(1)) == SCHEMA_MAJOR else None


def _encoded(result: Result) -> bytes:
    try:
        line = json.dumps(result, separators=(",", ":"), allow_nan=False).encode("ascii") + b"\n"
        # Half a surrogate pair has an escape, but whoever prints it later fails.
        json.dumps(result, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise HistoryError("the result has half a surrogate pair in a text") from error
    except (ValueError, RecursionError) as error:
        raise HistoryError(f"the result cannot be written as JSON: {printable(error)}") from error
    if len(line) > MAX_RESULT_BYTES:
        raise HistoryError(f"the result has {len(line)} bytes, more than the {MAX_RESULT_BYTES} allowed")
    return line


def _check_schema(result: Result, schema: t.Dict[str, t.Any]) -> None:
    error = best_match(jsonschema.Draft202012Validator(schema).iter_errors(result))
    if error is not None:
        words = printable(error.message)
        raise HistoryError(
            f"the result is not valid at {printable(error.json_path)[:100]}: "
            + (words if len(words) <= 200 else words[:197] + "...")
        )


def _is_time(text: str) -> bool:
    for form in TIMESTAMP_FORMATS:
        try:
            datetime.datetime.strptime(text, form)
        except ValueError:
            continue
        return True
    return False


def _shown(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _refuse_constant(name: str) -> t.NoReturn:
    raise ValueError(name)
