# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An index of the history: where each run is, and the few figures by which runs are listed.

It is derived from the file alone, kept beside it, and may be deleted at any time. It follows the file's tail: what was
appended since the last look, by whomever, is read, and nothing else. If the file was changed in another way (its size or
its time went elsewhere than forward, or the last known line is another), the index is built anew.

SQLite, which Python brings along, keeps it, and takes the figures out of the lines too: ten times as fast as to decode
them. A million records are some 190 MB here, of which a question reads what it asks for; the file is never loaded.

What a comparison looks at beside the figures (the CPU, the audio, the build of torch, …) many runs have in common. It is
kept once, as a kind.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import sqlite3
import typing as t

from ._history_record import identify
from ._result import MAX_RESULT_BYTES

if t.TYPE_CHECKING:
    from collections.abc import Iterator

# Another format is built anew.
FORMAT = 3
# A rebuild that is killed goes on from its last commit.
LINES_PER_COMMIT = 5000
BUFFER_BYTES = 1024 * 1024
KINDS_REMEMBERED = 10_000

# SQLite's largest integer has 63 bits.
MAX_NUMBER = 1 << 62
# The file that lives only as long as its connection.
TEMPORARY = ""

# Column -> where it is in a result, and the types that it has there.
SUMMARY: t.Dict[str, t.Tuple[str, t.Tuple[type, ...]]] = {
    "timestamp": ("$.timestamp", (str,)),
    "target": ("$.target", (str,)),
    "architecture": ("$.architecture", (str,)),
    "cpu_model": ("$.cpu_model", (str,)),
    "model_size": ("$.model_size", (str,)),
    "threads": ("$.threads", (int,)),
    "iterations": ("$.iterations", (int,)),
    "avg_latency_ms": ("$.avg_latency_ms", (int, float)),
    "isolated": ("$.isolated", (bool,)),
    "partial": ("$.partial", (bool,)),
    "isolation_mode": ("$.isolation.mode", (str,)),
    "labels": ("$.labels", (dict,)),
}
# Where the parts of a kind are in a result.
KIND = (
    "target",
    "model_size",
    "cpu_model",
    "threads",
    "cpu_limit",
    "isolated",
    "isolation.mode",
    "isolation.emulated",
    "audio",
    "checkpoint",
    "decode",
    "transcript",
    "software.whisper",
    "software.torch",
    "software.build",
    "software.cpu_capability",
    "image.id",
)
PATHS = ", ".join(
    f"'{path}'" for path in ["$.run_id", "$.schema_version"] + [path for path, _types in SUMMARY.values()]
)
KIND_PATHS = ", ".join(f"'$.{path}'" for path in KIND)
# Newer SQLite would extract from relaxed JSON, too; json_valid holds to the standard.
EXTRACT = f"""
    SELECT json_extract(:line, {PATHS}), json_extract(:line, {KIND_PATHS}), json_array_length(:line, '$.processes')
    WHERE json_valid(:line)
"""
INSERT = f"INSERT INTO records VALUES ({', '.join('?' * (6 + len(SUMMARY)))})"
TABLES = f"""
    BEGIN;
    DROP TABLE IF EXISTS records;
    DROP TABLE IF EXISTS kinds;
    DROP TABLE IF EXISTS damaged;
    DROP TABLE IF EXISTS state;
    CREATE TABLE records (line INTEGER PRIMARY KEY, offset INTEGER, length INTEGER, run_id TEXT UNIQUE,
        {", ".join(SUMMARY)}, kind INTEGER, processes INTEGER);
    CREATE TABLE kinds (id INTEGER PRIMARY KEY, sha256 BLOB UNIQUE, parts TEXT);
    CREATE INDEX by_target ON records (target);
    CREATE TABLE damaged (line INTEGER PRIMARY KEY, offset INTEGER, length INTEGER, reason TEXT);
    CREATE TABLE state (lines INTEGER, records INTEGER, damaged INTEGER, end INTEGER, size INTEGER, mtime_ns INTEGER,
        last_offset INTEGER, last_sha256 TEXT);
    INSERT INTO state VALUES (0, 0, 0, 0, 0, 0, 0, '');
    PRAGMA user_version = {FORMAT};
    COMMIT;
"""


class DamagedLine(t.NamedTuple):
    """A line of the history that holds no result, or none that is new."""

    line: int
    offset: int
    length: int
    reason: str


class Measured(t.NamedTuple):
    """The figures of a run: the byte at which its line begins, when it started, its mean in ms, and of how many iterations
    and processes."""

    offset: int
    kind: int
    timestamp: str
    mean_ms: float
    iterations: int
    processes: int


class Line(t.NamedTuple):
    """A line of the file; `data` is cut where the line is longer than any result."""

    offset: int
    length: int
    data: bytes
    ended: bool


@dataclasses.dataclass
class State:
    """How far the index has come: complete lines up to the byte `end`, of a file that then had this size and time."""

    lines: int = 0
    records: int = 0
    damaged: int = 0
    end: int = 0
    size: int = 0
    mtime_ns: int = 0
    last_offset: int = 0
    last_sha256: str = ""


class Index:
    """Answers questions about the history; `catch_up` before asking, under the lock of the history."""

    def __init__(self, path: str) -> None:
        self._connection = sqlite3.connect(path)
        self._connection.row_factory = sqlite3.Row
        self._kinds: t.Dict[bytes, int] = {}
        try:
            if self._connection.execute("PRAGMA user_version").fetchone()[0] != FORMAT:
                self._connection.executescript(TABLES)
            self.state = self._saved()
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        self._connection.close()

    def catch_up(self, descriptor: int) -> None:
        """Take in what the file has beyond what is known.

        A last line without its end is visible until the next look and never kept: it may still grow, or be ended.
        """
        self._connection.rollback()
        self._kinds.clear()
        self.state = self._saved()
        status = os.fstat(descriptor)
        known = (self.state.size, self.state.mtime_ns) == (status.st_size, status.st_mtime_ns)
        if not known and not self._continues(descriptor, status.st_size):
            self._forget()
        tail = None
        for line in read_lines(descriptor, self.state.end, status.st_size):
            if not line.ended:
                tail = line
                break
            self._add(line)
            if self.state.lines % LINES_PER_COMMIT == 0:
                self._save(descriptor, self.state.end, 0)
        if not known:
            self._save(descriptor, status.st_size, status.st_mtime_ns)
        if tail is not None:
            self._add(tail)

    def find(self, run_id: str) -> t.Optional[t.Tuple[int, int, int]]:
        """Line, offset and length of a run."""
        row = self._connection.execute(
            "SELECT line, offset, length FROM records WHERE run_id = ?", (run_id,)
        ).fetchone()
        return None if row is None else tuple(row)

    def newest(
        self,
        count: int,
        equal: t.Mapping[str, str],
        labels: t.Mapping[str, str],
        without_labels: t.Sequence[str] = (),
        per_target: bool = False,
    ) -> t.List[t.Dict[str, t.Any]]:
        """Summaries of the runs appended last, newest first, where the columns in `equal` have these values.

        They have all of these labels and none of the others; `per_target` gives the newest of each target alone.
        """
        conditions: t.List[t.Tuple[str, ...]] = [(f"{column} = ?", value) for column, value in equal.items()]
        conditions += [("json_extract(labels, ?) = ?", path(name), value) for name, value in labels.items()]
        conditions += [("json_extract(labels, ?) IS NULL", path(name)) for name in without_labels]
        where = " AND ".join(condition for condition, *_values in conditions) or "TRUE"
        values = [value for _condition, *given in conditions for value in given]
        if per_target:
            where = f"line IN (SELECT MAX(line) FROM records WHERE {where} GROUP BY target)"
        rows = self._connection.execute(
            f"SELECT run_id, {', '.join(SUMMARY)} FROM records WHERE {where} ORDER BY line DESC LIMIT ?",
            (*values, count),
        )
        return [_as_python(dict(row)) for row in rows]

    def measured(
        self,
        among: t.Mapping[str, t.Collection[str]],
        since: str = "",
        until: str = "",
        without_labels: t.Sequence[str] = (),
    ) -> Iterator[Measured]:
        """The runs that were not cut short, the oldest first, where the columns in `among` have one of these values.

        A `since` or an `until` is the beginning of a time, inclusive; without labels as for `newest`.
        """
        where = "NOT partial"
        values: t.List[str] = []
        for column, wanted in among.items():
            where += f" AND {column} IN ({', '.join('?' * len(wanted))})"
            values += wanted
        if since:
            where += " AND substr(timestamp, 1, 19) >= ?"
            values.append(since)
        if until:
            where += f" AND substr(timestamp, 1, {len(until)}) <= ?"
            values.append(until)
        without = " AND ".join("json_extract(labels, ?) IS NULL" for _label in without_labels) or "TRUE"
        rows = self._connection.cursor()
        # A plain row is quicker to make.
        rows.row_factory = None
        rows.execute(
            "SELECT offset, kind, timestamp, avg_latency_ms, iterations, processes FROM records "
            f"WHERE {where} AND (labels = '{{}}' OR {without}) ORDER BY timestamp, run_id",
            (*values, *map(path, without_labels)),
        )
        return map(Measured._make, rows)

    def kinds(self) -> t.Dict[int, t.Dict[str, t.Any]]:
        """Of each kind the parts of a result that make it."""
        rows = self._connection.execute("SELECT id, parts FROM kinds")
        return {number: _nested(json.loads(parts)) for number, parts in rows}

    def partial_lines(self, count: int) -> t.Tuple[int, t.List[int]]:
        """How many runs were cut short, and the first of the lines that hold them."""
        total = self._connection.execute("SELECT COUNT(*) FROM records WHERE partial").fetchone()[0]
        rows = self._connection.execute("SELECT line FROM records WHERE partial ORDER BY line LIMIT ?", (count,))
        return total, [line for (line,) in rows]

    def damaged_lines(self, count: int) -> t.List[DamagedLine]:
        """The last lines that hold no result, in their order."""
        rows = self._connection.execute("SELECT * FROM damaged ORDER BY line DESC LIMIT ?", (count,))
        return [DamagedLine(*row) for row in rows][::-1]

    def _saved(self) -> State:
        return State(*self._connection.execute("SELECT * FROM state").fetchone())

    def _forget(self) -> None:
        self._connection.execute("DELETE FROM records")
        self._connection.execute("DELETE FROM damaged")
        self._connection.execute("DELETE FROM kinds")
        self._kinds.clear()
        self.state = State()

    def _save(self, descriptor: int, size: int, mtime_ns: int) -> None:
        self.state.size, self.state.mtime_ns = size, mtime_ns
        self.state.last_sha256 = self._last_line_sha256(descriptor)
        self._connection.execute("DELETE FROM state")
        self._connection.execute("INSERT INTO state VALUES (?, ?, ?, ?, ?, ?, ?, ?)", dataclasses.astuple(self.state))
        self._connection.commit()

    def _continues(self, descriptor: int, size: int) -> bool:
        """Whether the file only grew: it is larger, and the last line known is still there."""
        return size > self.state.size and self.state.last_sha256 in ("", self._last_line_sha256(descriptor))

    def _last_line_sha256(self, descriptor: int) -> str:
        length = min(self.state.end - self.state.last_offset, MAX_RESULT_BYTES)
        return hashlib.sha256(os.pread(descriptor, length, self.state.last_offset)).hexdigest()

    def _add(self, line: Line) -> None:
        state = self.state
        state.lines += 1
        state.end = line.offset + line.length
        state.last_offset = line.offset
        if not line.data.strip():
            return
        try:
            columns = self._columns(line)
            try:
                self._connection.execute(INSERT, (state.lines, line.offset, line.length, *columns))
            except sqlite3.IntegrityError:
                first = self.find(t.cast(str, columns[0]))
                raise ValueError(f"repeats the run {columns[0]}" + (f" of line {first[0]}" if first else "")) from None
            state.records += 1
        except ValueError as error:
            damaged = (state.lines, line.offset, line.length, str(error))
            self._connection.execute("INSERT INTO damaged VALUES (?, ?, ?, ?)", damaged)
            state.damaged += 1

    def _columns(self, line: Line) -> t.Tuple[object, ...]:
        """The run id and the summary of a line; a ValueError says why it holds no result."""
        if line.length > MAX_RESULT_BYTES:
            raise ValueError(f"longer than the {MAX_RESULT_BYTES} bytes that a result may have")
        try:
            text = line.data.decode("utf-8")
        except UnicodeDecodeError:
            raise ValueError("not UTF-8") from None
        # SQLite takes a NUL for the end of the text.
        row = None if "\0" in text else self._connection.execute(EXTRACT, {"line": text}).fetchone()
        if row is None:
            raise ValueError("not JSON, perhaps cut short")
        figures, parts, processes = row
        run_id, version, *values = json.loads(figures)
        identify(run_id, version)
        for value, (column, (_path, types)) in zip(values, SUMMARY.items()):
            if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
                raise ValueError(f"no result: {column} is not as it should be")
            if isinstance(value, str):
                # Half a surrogate pair raises UnicodeEncodeError, which is a ValueError.
                value.encode("utf-8")
            elif isinstance(value, dict):
                continue
            elif isinstance(value, (int, float)) and not 0 <= value < MAX_NUMBER:
                raise ValueError(f"no result: {column} is out of bounds")
        summary = (json.dumps(value) if isinstance(value, dict) else value for value in values)
        return (run_id, *summary, self._kind(parts), processes or 0)

    def _kind(self, parts: str) -> int:
        """The number of the kind that has these parts."""
        sha256 = hashlib.sha256(parts.encode("utf-8")).digest()
        if sha256 not in self._kinds:
            if len(self._kinds) >= KINDS_REMEMBERED:
                self._kinds.clear()
            self._connection.execute("INSERT OR IGNORE INTO kinds (sha256, parts) VALUES (?, ?)", (sha256, parts))
            row = self._connection.execute("SELECT id FROM kinds WHERE sha256 = ?", (sha256,)).fetchone()
            self._kinds[sha256] = row[0]
        return self._kinds[sha256]


def _nested(values: t.Sequence[t.Any]) -> t.Dict[str, t.Any]:
    """The parts of a kind where they are in a result."""
    result: t.Dict[str, t.Any] = {}
    for place, value in zip(KIND, values):
        *folders, name = place.split(".")
        part = result
        for folder in folders:
            part = part.setdefault(folder, {})
        part[name] = value
    return result


def path(label: str) -> str:
    """Where a label's value is, for SQLite."""
    if '"' in label:
        raise ValueError(f"there is no label {label!r}: labels have no quotation marks")
    return f'$."{label}"'


def _as_python(row: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
    """SQLite has no bool and no mapping."""
    row.update(isolated=bool(row["isolated"]), partial=bool(row["partial"]), labels=json.loads(row["labels"]))
    return row


def read_lines(descriptor: int, start: int, end: int) -> Iterator[Line]:
    """The lines between two offsets, without ever holding more than a result may have."""
    with open(descriptor, "rb", buffering=BUFFER_BYTES, closefd=False) as file:
        file.seek(start)
        while start < end:
            data = piece = file.readline(MAX_RESULT_BYTES)
            length = len(data)
            while piece and not piece.endswith(b"\n"):
                piece = file.readline(MAX_RESULT_BYTES)
                length += len(piece)
            yield Line(start, length, data, ended=piece.endswith(b"\n"))
            start += length
