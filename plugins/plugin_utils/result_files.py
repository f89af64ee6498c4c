# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading results for a comparison: result files, histories, and folders of both.

What cannot be used costs the rest nothing: it is told in a problem, one line each. A history is read line by line.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.rightsize.whisper.plugins.module_utils._history_index import read_lines
from ansible_collections.rightsize.whisper.plugins.module_utils._history_record import identify
from ansible_collections.rightsize.whisper.plugins.module_utils._result import (
    MAX_RESULT_BYTES,
    ResultError,
    check_result,
    parse_document,
)
from ansible_collections.rightsize.whisper.plugins.plugin_utils.compared_runs import Reader, Run
from ansible_collections.rightsize.whisper.plugins.plugin_utils.escaping import one_line
from ansible_collections.rightsize.whisper.plugins.plugin_utils.statistics import StatisticsError

GENERATED_BY = "rightsize.whisper"
# How many problems are told one by one.
PROBLEMS_SHOWN = 20


class ResultFiles:
    """Runs by their ids, each once, and what was wrong."""

    def __init__(self) -> None:
        self.runs: dict[str, Run] = {}
        self._reader = Reader()
        self._problems: list[str] = []
        self._untold = 0

    @property
    def problems(self) -> list[str]:
        return [*self._problems, *([f"{self._untold} more like these"] if self._untold else [])]

    def read(self, paths: Sequence[str]) -> frozenset[str]:
        """Read files and folders; gives the ids of the runs that are in them, whether new or known."""
        found: set[str] = set()
        for path in paths:
            for file in self._files(Path(path)):
                found.update(self._read_file(file))
        return frozenset(found)

    def _files(self, path: Path) -> Iterator[Path]:
        if not path.is_dir():
            yield path
            return
        try:
            files = sorted(file for file in path.iterdir() if file.suffix in (".json", ".jsonl"))
        except OSError as error:
            self._problem(f"{path}: {error.strerror}")
            return
        if not files:
            self._problem(f"{path}: a folder without result files (*.json) or histories (*.jsonl)")
        yield from files

    def _read_file(self, path: Path) -> Iterator[str]:
        try:
            # A pipe would wait for ever.
            if not stat.S_ISREG(path.stat().st_mode):
                self._problem(f"{path}: neither a file nor a folder")
            elif path.suffix == ".json":
                yield from self._read_result(path)
            else:
                yield from self._read_history(path)
        except OSError as error:
            self._problem(f"{path}: {error.strerror}")

    def _read_result(self, path: Path) -> Iterator[str]:
        with path.open("rb") as file:
            data = file.read(MAX_RESULT_BYTES + 1)
        if _is_ours(data):
            return
        yield from self._take(str(path), data)

    def _read_history(self, path: Path) -> Iterator[str]:
        with path.open("rb", buffering=0) as file:
            for number, line in enumerate(read_lines(file.fileno(), 0, os.fstat(file.fileno()).st_size), start=1):
                if line.length > MAX_RESULT_BYTES:
                    self._problem(f"{path}, line {number}: longer than the {MAX_RESULT_BYTES} bytes of a result")
                elif line.data.strip():
                    yield from self._take(f"{path}, line {number}", line.data)

    def _take(self, place: str, data: bytes) -> Iterator[str]:
        try:
            result: dict[str, Any] = parse_document(data)
            check_result(result, {})
            identify(result.get("run_id"), result["schema_version"])
            if result.get("partial"):
                self._problem(f"{place}: the run was cut short, so it is left out")
                return
            run = self._reader.run(result)
        except (ResultError, StatisticsError, ValueError) as error:
            self._problem(f"{place}: {error}")
            return
        known = self.runs.setdefault(run.run_id, run)
        if known != run:
            self._problem(f"{place}: the run {run.run_id} is known with another result, so this one is left out")
            return
        yield run.run_id

    def _problem(self, text: str) -> None:
        if len(self._problems) < PROBLEMS_SHOWN:
            self._problems.append(one_line(text, 400))
        else:
            self._untold += 1


def _is_ours(data: bytes) -> bool:
    """Whether this is what a comparison has written beside the results."""
    if not data[:100].lstrip().startswith(b'{\n    "generated_by"'):
        return False
    try:
        return bool(json.loads(data).get("generated_by") == GENERATED_BY)
    except ValueError:
        return False
