# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The events of a run, kept on its host process by process: what is left where the run, its controller or its host dies.

Another run is handed them on its command line, since nothing is mounted into its container.
"""

from __future__ import annotations

import base64
import gzip
import typing as t
from pathlib import Path

from ._container import RunError, Warned
from ._locked_file import replace_file, what_is_wrong
from ._progress import MAX_JOURNAL_BYTES, Journal, finished_processes

# The kernel takes 128 KiB for one argument; so much holds some 500 iterations.
MAX_PACKED = 120_000


class KeptJournal:
    """The file at `path`, replaced whole as often as a process is done; without a path nothing is kept."""

    def __init__(self, path: t.Optional[str]) -> None:
        self._path = Path(path) if path else None
        self._processes = 0

    def packed(self) -> t.Optional[str]:
        """What an earlier run left, for `bench_runner --resume-packed`; None where there is nothing."""
        if self._path is None:
            return None
        try:
            with self._path.open("rb") as file:
                content = file.read(MAX_JOURNAL_BYTES)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise RunError("bad_usage", f"cannot read the journal {self._path}: {what_is_wrong(error)}") from error
        packed = base64.b64encode(gzip.compress(content, mtime=0)).decode()
        if len(packed) > MAX_PACKED:
            raise RunError(
                "bad_usage", f"the journal {self._path} is too long to be handed on; measure anew, without resume"
            )
        self._processes = finished_processes(content)
        return packed

    def forget(self) -> None:
        """A run that does not go on begins anew."""
        if self._path is not None:
            try:
                self._path.unlink()
            except FileNotFoundError:
                return
            except OSError as error:
                raise RunError(
                    "bad_usage", f"cannot remove the journal {self._path}: {what_is_wrong(error)}"
                ) from error

    def keep(self, journal: Journal) -> t.List[Warned]:
        """Write the events once they hold more finished processes than the file; a full disk ends no measurement."""
        if self._path is None or journal.processes_done <= self._processes:
            return []
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            replace_file(self._path, journal.text.encode())
        except OSError as error:
            self._path = None
            message = f"the run's journal could not be kept ({what_is_wrong(error)}); were it interrupted, it would begin anew"
            return [Warned(code="journal_not_kept", message=message)]
        self._processes = journal.processes_done
        return []
