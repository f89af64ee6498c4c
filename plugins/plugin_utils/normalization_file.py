# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The file that keeps every normalization ratio, `normalization.yml`.

An entry is added as text below the last one. Nothing else in the file is touched, so comments, keys and the order that
somebody gave it stay; and before the file is replaced, the new text is read back and must hold what the old one held,
and the entry.
"""

from __future__ import annotations

import contextlib
import math
import os
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

import yaml

from ..module_utils._locked_file import locked_file, sync_folder_of, what_is_wrong, write_fully
from ..module_utils._progress import printable

KEY = "normalizations"
HEADER = f"""\
---
# How many times as long the same inference takes on a target as on the reference.
# Written by the module rightsize.whisper.normalization_store: every comparison adds an entry below the last one.
# Entries are never changed or removed. Comments and keys of your own stay.
{KEY}:
"""

Entry = dict[str, Any]


class NormalizationFileError(Exception):
    """The file, or what was meant for it, is not as it should be; the message is one line for the user."""


class Stored(NamedTuple):
    """The text of the file before and after, and how many entries it has now."""

    before: str
    after: str
    entries: int


def entry_of(normalization: Mapping[str, Any]) -> Entry:
    """What is kept of a ratio as the filter normalization_ratio returns it."""
    try:
        ratio, reference, target = (normalization[key] for key in ("ratio", "reference", "target"))
        # Text by text: of times with and without fractions of a second, Z would decide.
        time = max((side["timestamp"] for side in (reference, target)), key=lambda text: text.rstrip("Z"))
        return {
            "model_size": normalization["model_size"],
            "reference_cpu_model": reference["cpu_model"],
            "target_cpu_model": target["cpu_model"],
            "ratio": ratio["centre"],
            "interval": _interval(ratio),
            "encoder_ratio": _figures(normalization["encoder_ratio"]),
            "decoder_ratio": _figures(normalization["decoder_ratio"]),
            "threads": normalization["threads"],
            "time": time,
            "reference": _side(reference),
            "target": _side(target),
            "same_work": normalization["same_work"]["verdict"],
            "self_check": normalization["self_check"],
            "tainted": normalization["tainted"],
            "warnings": [{key: warning[key] for key in ("code", "message")} for warning in normalization["warnings"]],
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise NormalizationFileError(
            f"this is no ratio ({printable(repr(error))}); pass on what the filter normalization_ratio returns"
        ) from error


def store(path: str, entry: Entry, check_mode: bool = False) -> Stored:
    """Add the entry, unless the file has the ratio of these two runs; locked, and replaced as a whole."""
    if check_mode and not os.path.lexists(path):
        return _stored(path, "", entry)
    flags = os.O_RDONLY if check_mode else os.O_RDWR | os.O_CREAT
    try:
        with locked_file(path, flags, 0o666) as descriptor:
            stored = _stored(path, _text(path, descriptor), entry)
            if stored.after != stored.before and not check_mode:
                _replace(path, descriptor, stored.after)
            return stored
    except OSError as error:
        raise NormalizationFileError(f"cannot write {path}: {what_is_wrong(error)}") from error


def with_entry(text: str, entry: Entry) -> Stored:
    """The text of the file with the entry in it; a ValueError if the text is not such a file."""
    if not text.strip():
        return Stored(text, HEADER + _as_text(entry, indent=2), 1)
    document, root = _parsed(text)
    entries = document[KEY]
    for known in entries:
        if _runs(known) == _runs(entry):
            if not math.isclose(known.get("ratio", math.nan), entry["ratio"], rel_tol=1e-9):
                raise ValueError(f"it has the ratio of the same two runs as {known.get('ratio')}, not {entry['ratio']}")
            return Stored(text, text, len(entries))
    after = _inserted(text, root, entry)
    try:
        added = _parsed(after)[0] == {**document, KEY: [*entries, entry]}
    except ValueError:
        added = False
    if not added:
        raise ValueError(f"nothing can be added below the last entry of {KEY}, a list that must be in block style")
    return Stored(text, after, len(entries) + 1)


def _stored(path: str, text: str, entry: Entry) -> Stored:
    try:
        return with_entry(text, entry)
    except ValueError as error:
        raise NormalizationFileError(f"{path} is left as it is: {error}; mend it, or move it away") from error


def _parsed(text: str) -> tuple[dict[str, Any], Any]:
    """What the file holds, and the nodes that say where it does."""
    # The fast one, where PyYAML was built with libyaml; both are safe, and read the same.
    make_loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        loader = make_loader(text)
        root = loader.get_single_node()
        document = loader.construct_document(root) if root else None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        raise ValueError("it is no YAML" + (f" (line {mark.line + 1})" if mark else "")) from error
    entries = document.get(KEY) if isinstance(document, dict) else None
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise ValueError(f"it has no list of entries at the key {KEY}")
    return cast(dict[str, Any], document), root


def _inserted(text: str, root: Any, entry: Entry) -> str:
    """The text with the entry below the last line of the list."""
    (entries,) = (value for key, value in root.value if key.value == KEY)
    last = entries
    while not isinstance(last, yaml.ScalarNode) and last.value and not last.flow_style:
        last = last.value[-1][1] if isinstance(last, yaml.MappingNode) else last.value[-1]
    lines = text.splitlines(keepends=True)
    # A literal block ends at the beginning of the next line.
    below = last.end_mark.line + (last.end_mark.column > 0)
    before = "".join(lines[:below])
    if not before.endswith("\n"):
        before += "\n"
    return before + _as_text(entry, entries.start_mark.column) + "".join(lines[below:])


def _as_text(entry: Entry, indent: int) -> str:
    return textwrap.indent(yaml.safe_dump([entry], sort_keys=False, width=120), " " * indent)


def _runs(entry: Entry) -> list[Any]:
    sides = (entry.get(side) for side in ("reference", "target"))
    return [side.get("run_id") if isinstance(side, dict) else None for side in sides]


def _interval(summary: Mapping[str, Any]) -> dict[str, float] | None:
    if summary["low"] is None:
        return None
    return {key: summary[key] for key in ("low", "high", "confidence")}


def _figures(summary: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if summary is None else {"ratio": summary["centre"], "interval": _interval(summary)}


def _side(side: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: side[key] for key in ("run_id", "target", "isolation_mode", "iterations", "processes")}
    return {**kept, "avg_latency_ms": side["latency_ms"]["centre"]}


def _text(path: str, descriptor: int) -> str:
    with open(descriptor, "rb", closefd=False) as file:
        try:
            return file.read().decode("utf-8")
        except UnicodeDecodeError as error:
            raise NormalizationFileError(
                f"{path} is left as it is: it is not UTF-8; mend it, or move it away"
            ) from error


def _replace(path: str, descriptor: int, text: str) -> None:
    """Replace the locked file by one with this text, of the same mode and owner; on an error all is as before."""
    old = os.fstat(descriptor)
    # One name is enough: whoever writes holds the lock.
    new_path = Path(path).with_name(f".{Path(path).name}.new")
    try:
        new = os.open(new_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            write_fully(new, text.encode("utf-8"))
            with contextlib.suppress(PermissionError):
                os.fchown(new, old.st_uid, old.st_gid)
            os.fchmod(new, old.st_mode & 0o7777)
        finally:
            os.close(new)
        new_path.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            new_path.unlink()
            if old.st_size == 0:
                # It was made to be locked.
                Path(path).unlink()
        raise
    sync_folder_of(path)
