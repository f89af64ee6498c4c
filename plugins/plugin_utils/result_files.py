# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading results for a comparison: result files, histories, and folders of both.

What cannot be used costs the rest nothing: it is told in a problem, one line each. Of a history the index is read
(`_history_index`), which is brought up to date first: its lines were checked when they were appended.
"""

from __future__ import annotations

import bisect
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.rightsize.whisper.plugins.module_utils._history import History, open_history
from ansible_collections.rightsize.whisper.plugins.module_utils._history_index import Measured
from ansible_collections.rightsize.whisper.plugins.module_utils._history_record import (
    HistoryError,
    accept,
    parse_line,
    read_schema,
)
from ansible_collections.rightsize.whisper.plugins.module_utils._result import (
    MAX_RESULT_BYTES,
    ResultError,
    parse_document,
)
from ansible_collections.rightsize.whisper.plugins.plugin_utils.compared_runs import (
    OTHER_PURPOSES,
    Choice,
    Kind,
    Kinds,
    Results,
    Run,
    is_benchmark,
    run_ids,
)
from ansible_collections.rightsize.whisper.plugins.plugin_utils.escaping import one_line
from ansible_collections.rightsize.whisper.plugins.plugin_utils.generated_files import begins_as_ours
from ansible_collections.rightsize.whisper.plugins.plugin_utils.statistics import Sample, StatisticsError

SCHEMA_FILE = Path(__file__).resolve().parents[2] / "bench_runner" / "result.schema.json"
# How many problems are told one by one.
PROBLEMS_SHOWN = 20
EVERY_RUN = Choice()


class HistoryRuns:
    """The runs of a history, the oldest first; a source of what its index does not tell. Places are bytes of the file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.runs: list[Run] = []

    def run_ids(self, places: Iterable[int]) -> Iterator[str]:
        return (result["run_id"] for _place, result in self._results(places))

    def process_means_ms(self, places: Iterable[int]) -> Iterator[tuple[float, ...]]:
        for place, result in self._results(places):
            try:
                yield Sample.of_result(result).process_means
            except StatisticsError as error:
                raise HistoryError(f"{self.path}, byte {place}: {error}; mend it, or take it away") from error

    def _results(self, places: Iterable[int]) -> Iterator[tuple[int, dict[str, Any]]]:
        """What is appended meanwhile moves nothing."""
        try:
            with self.path.open("rb") as file:
                for place in places:
                    file.seek(place)
                    yield place, parse_line(file.readline(MAX_RESULT_BYTES))
        except (OSError, ValueError) as error:
            raise HistoryError(f"{self.path} changes while it is read ({error}); run again") from error


class ResultFiles:
    """Reads runs, each once, and keeps what was wrong. Only benchmarks of targets are taken."""

    def __init__(self) -> None:
        self._kinds = Kinds()
        self._results = Results(self._kinds)
        self._of_files: dict[str, Run] = {}
        self._histories: dict[tuple[int, int], HistoryRuns] = {}
        self._schema = read_schema(str(SCHEMA_FILE))
        self._problems: list[str] = []
        self._untold = 0

    @property
    def problems(self) -> list[str]:
        return [*self._problems, *([f"{self._untold} more like these"] if self._untold else [])]

    def read(self, paths: Sequence[str], choice: Choice = EVERY_RUN) -> list[Run]:
        """The runs in files and folders that are `choice`; one that is known already is the same object.

        What is to be read with another choice, too, is read with `EVERY_RUN` first: a history is read once.
        """
        found: dict[int, Run] = {}
        for path in paths:
            for file in self._files(Path(path)):
                found.update((id(run), run) for run in self._read_file(file, choice))
        return list(found.values())

    def _files(self, path: Path) -> Iterator[Path]:
        if not path.is_dir():
            yield path
            return
        try:
            files = [file for file in path.iterdir() if file.suffix in (".json", ".jsonl")]
        except OSError as error:
            self._problem(f"{path}: {error.strerror}")
            return
        if not files:
            self._problem(f"{path}: a folder without result files (*.json) or histories (*.jsonl)")
        # Histories first: a result that is in one, too, is found there.
        yield from sorted(files, key=lambda file: (file.suffix == ".json", file))

    def _read_file(self, path: Path, choice: Choice) -> Iterable[Run]:
        try:
            status = path.stat()
            # A pipe would wait for ever.
            if not stat.S_ISREG(status.st_mode):
                self._problem(f"{path}: neither a file nor a folder")
            elif path.suffix == ".json":
                return self._read_result(path, choice)
            else:
                return self._read_history(path, (status.st_dev, status.st_ino), choice)
        except OSError as error:
            self._problem(f"{path}: {error.strerror}")
        except HistoryError as error:
            self._problem(str(error))
        return ()

    def _read_result(self, path: Path, choice: Choice) -> list[Run]:
        with path.open("rb") as file:
            data = file.read(MAX_RESULT_BYTES + 1)
        # What was written beside the results.
        if begins_as_ours(data):
            return []
        try:
            result: dict[str, Any] = parse_document(data)
            accept(result, self._schema)
            if result.get("partial"):
                raise ResultError("partial", "the run was cut short, so it is left out")
            run, run_id = self._results.add(result), result["run_id"]
        except (HistoryError, ResultError, StatisticsError, ValueError) as error:
            self._problem(f"{path}: {error}")
            return []
        if not (is_benchmark(result["labels"]) and choice.takes(run)):
            return []
        known = self._known(run_id, run.timestamp)
        if known is not None and not _same(known, run):
            self._problem(f"{path}: the run {run_id} is known with another result, so this one is left out")
            return []
        return [known or self._of_files.setdefault(run_id, run)]

    def _read_history(self, path: Path, identity: tuple[int, int], choice: Choice) -> list[Run]:
        if identity in self._histories:
            return [run for run in self._histories[identity].runs if choice.takes(run)]
        source = HistoryRuns(path.absolute())

        def collect(parts: dict[int, dict[str, Any]], rows: Iterator[Measured]) -> list[Run]:
            kinds = self._usable_kinds(path, parts)
            return [
                Run(kinds[row.kind], row.timestamp, row.mean_ms, row.iterations, row.processes, source, row.offset)
                for row in rows
                if row.kind in kinds
            ]

        with open_history(str(source.path)) as history:
            runs = history.measured(collect, **choice.for_history, without_labels=OTHER_PURPOSES)
            self._tell_of(path, history)
            if self._histories or self._of_files:
                runs = list(self._new(path, runs))
        source.runs = runs
        self._histories[identity] = source
        return runs

    def _usable_kinds(self, path: Path, kinds: dict[int, dict[str, Any]]) -> dict[int, Kind]:
        usable = {}
        for number, parts in kinds.items():
            try:
                usable[number] = self._kinds.of(parts)
            except StatisticsError as error:
                self._problem(f"{path}: some of its lines cannot be used: {error}")
        return usable

    def _tell_of(self, path: Path, history: History) -> None:
        """What the history has beside usable runs."""
        damaged = history.damaged_lines()
        for line in damaged:
            self._problem(f"{path}, line {line.line}: {line.reason}")
        self._untold += history.damaged - len(damaged)
        partial, lines = history.partial_lines(PROBLEMS_SHOWN)
        for number in lines:
            self._problem(f"{path}, line {number}: the run was cut short, so it is left out")
        self._untold += partial - len(lines)

    def _new(self, path: Path, runs: list[Run]) -> Iterator[Run]:
        """The runs, those that are known as what they are known as."""
        for run, run_id in zip(runs, run_ids(runs), strict=True):
            known = self._known(run_id, run.timestamp)
            if known is None or _same(known, run):
                yield known or run
            else:
                self._problem(
                    f"{path}, byte {run.place}: the run {run_id} is known with another result, so this one is left out"
                )

    def _known(self, run_id: str, timestamp: str) -> Run | None:
        if run_id in self._of_files:
            return self._of_files[run_id]
        for source in self._histories.values():
            start = bisect.bisect_left(source.runs, timestamp, key=lambda run: run.timestamp)
            for run in source.runs[start:]:
                if run.timestamp != timestamp:
                    break
                if run.source is source and next(source.run_ids([run.place])) == run_id:
                    return run
        return None

    def _problem(self, text: str) -> None:
        if len(self._problems) < PROBLEMS_SHOWN:
            self._problems.append(one_line(text, 400))
        else:
            self._untold += 1


def _same(one: Run, other: Run) -> bool:
    """Whether both tell the same of a run, wherever they are."""
    return one[:4] == other[:4]
