# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The history: every result, one a line, in a file that is only ever appended to.

- One write under a lock, then fsync. A write that fails is taken back, so that the file is as it was.
- A line that a crash cut short stays as it is. It is reported, and the next append ends it before its own line.
- An index beside the file (`.NAME.index`) finds runs and lists them; it is derived, and built anew when it is missing.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import tempfile
import typing as t
from pathlib import Path

from ._history_index import TEMPORARY, DamagedLine, Index, Measured
from ._history_record import HistoryError, Record, Result, parse_line
from ._locked_file import locked_file, sync_folder_of, what_is_wrong, write_fully
from ._result import ResultError, check_result

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# How many damaged lines are told one by one.
DAMAGED_SHOWN = 20

Answer = t.TypeVar("Answer")


class _Stale(Exception):
    """The index says that a run is where the file has something else."""


@contextlib.contextmanager
def open_history(path: str, create: bool = False) -> Iterator[History]:
    """The history in the file `path`, locked while the context lasts; one that may only be read is not written."""
    with contextlib.ExitStack() as stack:
        try:
            try:
                flags = os.O_RDWR | os.O_APPEND | (os.O_CREAT if create else 0)
                descriptor, writable = stack.enter_context(locked_file(path, flags)), True
            except OSError as error:
                if create or error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
                    raise
                descriptor, writable = stack.enter_context(locked_file(path, os.O_RDONLY)), False
        except OSError as error:
            raise HistoryError(f"cannot open the history {path}: {what_is_wrong(error)}") from error
        history = History(path, descriptor, writable)
        stack.callback(history.close)
        yield history


def check_creatable(path: str) -> None:
    """Raise a `HistoryError` where the history, which is not there yet, could not be made."""
    try:
        with tempfile.TemporaryFile(dir=Path(path).parent):
            pass
    except OSError as error:
        raise HistoryError(f"cannot make the history {path}: {what_is_wrong(error)}") from error


def save_aside(record: Record) -> str:
    """Save a result that the history could not take, in the folder for temporary files; gives the path."""
    descriptor, path = tempfile.mkstemp(prefix=f"result-{record.run_id}-", suffix=".json")
    try:
        write_fully(descriptor, record.line)
    except BaseException:
        Path(path).unlink()
        raise
    finally:
        os.close(descriptor)
    return path


class History:
    """The history, locked; use `open_history`."""

    def __init__(self, path: str, descriptor: int, writable: bool) -> None:
        self.path = path
        self._warnings: t.List[str] = []
        self._descriptor = descriptor
        self._writable = writable
        self._index_path = Path(path).with_name(f".{Path(path).name}.index")
        self._index = self._opened_index()

    def close(self) -> None:
        self._index.close()

    @property
    def records(self) -> int:
        """How many runs there are."""
        return self._index.state.records

    @property
    def damaged(self) -> int:
        """How many lines hold no result."""
        return self._index.state.damaged

    def damaged_lines(self) -> t.List[DamagedLine]:
        """Which lines hold no result: the last few."""
        return self._ask(lambda index: index.damaged_lines(DAMAGED_SHOWN))

    def all_warnings(self) -> t.List[str]:
        """What is not as it should be, and harms nothing."""
        if not self.damaged:
            return self._warnings
        lines = "; ".join(f"line {line.line} (byte {line.offset}): {line.reason}" for line in self.damaged_lines()[-3:])
        plural = "line that holds" if self.damaged == 1 else "lines that hold"
        told = f"{self.path} has {self.damaged} {plural} no result, left as found; the last: {lines}"
        return [*self._warnings, told]

    def newest(
        self,
        count: int,
        labels: t.Optional[t.Mapping[str, str]] = None,
        without_labels: t.Sequence[str] = (),
        per_target: bool = False,
        **equal: str,
    ) -> t.List[t.Dict[str, t.Any]]:
        """Summaries of the runs that were appended last, newest first; `equal` names columns and their values."""
        return self._ask(lambda index: index.newest(count, equal, labels or {}, without_labels, per_target))

    def measured(
        self, collect: Callable[[t.Dict[int, t.Dict[str, t.Any]], Iterator[Measured]], Answer], **which: t.Any
    ) -> Answer:
        """What `collect` makes of the kinds, and of the runs that `which` chooses (see the index), the oldest first."""
        return self._ask(lambda index: collect(index.kinds(), index.measured(**which)))

    def partial_lines(self, count: int) -> t.Tuple[int, t.List[int]]:
        """How many runs were cut short, and the first of the lines that hold them."""
        return self._ask(lambda index: index.partial_lines(count))

    def read(self, run_id: str) -> Result:
        """The whole result of a run."""
        result = self.find(run_id)
        if result is None:
            raise HistoryError(f"{self.path} has no run {run_id}")
        try:
            check_result(result, {})
        except ResultError as error:
            raise HistoryError(f"{self.path}, run {run_id}: {error}") from error
        return result

    def find(self, run_id: str) -> t.Optional[Result]:
        """The result of a run as it is in the file; None if there is none."""
        return self._ask(lambda index: self._found(index, run_id))

    def holds(self, record: Record) -> bool:
        """Whether the result is already there. The same run with another result is refused."""
        known = self.find(record.run_id)
        if known is None:
            return False
        if known != parse_line(record.line):
            raise HistoryError(
                f"{self.path} already has the run {record.run_id} with another result; "
                "give every run a run id of its own"
            )
        return True

    def append(self, record: Record) -> None:
        """Append a result that is not there yet."""
        try:
            self._write(record.line)
        except OSError as error:
            raise HistoryError(f"cannot append to the history {self.path}: {what_is_wrong(error)}") from error
        try:
            self._index.catch_up(self._descriptor)
        except sqlite3.Error as error:
            self._index.state.records += 1
            self._warnings.append(f"the index {self._index_path} was not updated ({error}); the next run does it")

    def _write(self, line: bytes) -> None:
        before = os.fstat(self._descriptor)
        torn = before.st_size > 0 and os.pread(self._descriptor, 1, before.st_size - 1) != b"\n"
        try:
            write_fully(self._descriptor, b"\n" + line if torn else line)
            if before.st_size == 0:
                sync_folder_of(self.path)
        except BaseException:
            # What cannot be taken back is a line cut short, as after a crash.
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, before.st_size)
                # To the index, the file was not touched.
                os.utime(self._descriptor, ns=(before.st_atime_ns, before.st_mtime_ns))
            raise

    def _found(self, index: Index, run_id: str) -> t.Optional[Result]:
        place = index.find(run_id)
        if place is None:
            return None
        _line, offset, length = place
        try:
            result = parse_line(os.pread(self._descriptor, length, offset))
        except ValueError as error:
            raise _Stale(str(error)) from error
        if result["run_id"] != run_id:
            raise _Stale(f"found {result['run_id']} in place of {run_id}")
        return result

    def _ask(self, question: Callable[[Index], Answer]) -> Answer:
        """Ask the index; if it turns out to be damaged or stale, build it anew and ask once more."""
        try:
            return question(self._index)
        except (_Stale, sqlite3.DatabaseError):
            self._index.close()
            if self._writable:
                with contextlib.suppress(OSError):
                    self._index_path.unlink()
            self._index = self._opened_index()
        try:
            return question(self._index)
        except (_Stale, sqlite3.Error) as error:
            raise HistoryError(f"{self.path} or its index changes while it is read ({error}); run again") from error

    def _opened_index(self) -> Index:
        """The index that lies beside the file, or where none can be kept there, one for now."""
        reason = "the history may only be read"
        if self._writable:
            try:
                try:
                    return self._caught_up(str(self._index_path))
                except sqlite3.OperationalError:
                    raise
                except sqlite3.DatabaseError:
                    # No database, or a damaged one: it is derived from the history, and made again.
                    self._index_path.unlink()
                    return self._caught_up(str(self._index_path))
            except (sqlite3.DatabaseError, OSError) as error:
                reason = what_is_wrong(error) if isinstance(error, OSError) else str(error)
        self._warnings.append(f"no index can be kept at {self._index_path} ({reason}), so all of the history is read")
        try:
            return self._caught_up(TEMPORARY)
        except sqlite3.Error as error:
            raise HistoryError(
                f"cannot index the history {self.path}: {error}; free space for temporary files"
            ) from error

    def _caught_up(self, path: str) -> Index:
        if path != TEMPORARY:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600))
        index = Index(path)
        try:
            index.catch_up(self._descriptor)
        except BaseException:
            index.close()
            raise
        return index
