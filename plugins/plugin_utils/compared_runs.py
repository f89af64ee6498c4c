# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs as a comparison needs them: what each was, its mean, and what may hide behind it.

A million of them fit into memory: what many runs share is kept once, as their kind, and of a run in a history its id and
its processes stay where they are until somebody asks.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from operator import attrgetter
from typing import Any, NamedTuple, Protocol

from ansible_collections.rightsize.whisper.plugins.plugin_utils.statistics import (
    Sample,
    StatisticsError,
)

# What bears on a latency and is easily overlooked: a warning's code, its words, where it is in a result.
FACTS = (
    ("threads", "the number of threads", ("threads",)),
    ("isolation_mode", "the isolation mode", ("isolation", "mode")),
    ("cpu_limit", "the CPU limit", ("cpu_limit",)),
    ("isolated", "whether the run was isolated", ("isolated",)),
    ("emulated", "whether the run was emulated", ("isolation", "emulated")),
    ("audio", "the audio (SHA-256)", ("audio", "sha256")),
    ("checkpoint", "the checkpoint (SHA-256)", ("checkpoint", "sha256")),
    ("whisper", "the version of whisper", ("software", "whisper")),
    ("torch", "the version of torch", ("software", "torch")),
    ("torch_build", "the build of torch", ("software", "build")),
    ("isa", "the instruction set that torch uses", ("software", "cpu_capability")),
    ("image", "the image", ("image", "id")),
)
# What `same_work` looks at.
WORK = ("audio", "model_size", "checkpoint", "threads", "decode", "transcript")

# What other playbooks and a user's own clips have measured has one of these labels: no benchmark of a target.
OTHER_PURPOSES = ("stress", "calibration", "clips")

_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}:[0-9]{2}Z)?")


@dataclass(frozen=True, order=True)
class Key:
    """What makes runs one group."""

    target: str
    model_size: str
    cpu_model: str
    threads: int
    isolation_mode: str


@dataclass(frozen=True, eq=False)
class Kind:
    """What many runs share; each exists once. `facts` are in the order of FACTS, as text; `work` is what `same_work`
    judges, as JSON."""

    key: Key
    facts: tuple[str, ...]
    work: str


class Source(Protocol):
    """Where runs are; it knows them by their places."""

    def run_ids(self, places: Iterable[int]) -> Iterator[str]:
        """The ids of these runs."""

    def process_means_ms(self, places: Iterable[int]) -> Iterator[tuple[float, ...]]:
        """Of each of these runs the means of its processes."""


class Run(NamedTuple):
    """One run; its mean in milliseconds, and how many iterations and processes it had."""

    kind: Kind
    timestamp: str
    mean_ms: float
    iterations: int
    processes: int
    source: Source
    place: int

    @property
    def key(self) -> Key:
        return self.kind.key


def run_ids(runs: Iterable[Run]) -> Iterator[str]:
    """The ids of the runs."""
    for source, group in itertools.groupby(runs, key=lambda run: run.source):
        yield from source.run_ids(run.place for run in group)


def process_means_ms(runs: Iterable[Run]) -> Iterator[tuple[float, ...]]:
    """Of each run the means of its processes, in milliseconds."""
    for source, group in itertools.groupby(runs, key=lambda run: run.source):
        yield from source.process_means_ms(run.place for run in group)


@dataclass
class Group:
    """Runs of one key, the oldest first."""

    key: Key
    runs: list[Run] = field(default_factory=list)

    @cached_property
    def run_means_ms(self) -> Sequence[float]:
        """The mean of each run."""
        return [run.mean_ms for run in self.runs]

    @cached_property
    def by_runs(self) -> Sample:
        """The mean of each run, as what repeats independently."""
        return Sample(tuple((mean,) for mean in self.run_means_ms), repeated="runs")

    @cached_property
    def by_processes(self) -> Sample:
        """The mean of each process of all runs, as if that repeated independently."""
        return Sample(tuple((mean,) for mean in self.process_means_ms))

    @property
    def process_means_ms(self) -> Sequence[float]:
        """The mean of each process of all runs."""
        return list(itertools.chain.from_iterable(process_means_ms(self.runs)))

    @cached_property
    def kinds(self) -> Collection[Kind]:
        """The different kinds of its runs, once there are all of them; there are few."""
        return dict.fromkeys(run.kind for run in self.runs)

    def of_runs(self, runs: Iterable[Run]) -> Group:
        """The group with these of its runs alone."""
        return Group(self.key, list(runs))

    def values(self, fact: int) -> list[str]:
        """The different values of a fact, by its place in FACTS."""
        return sorted({kind.facts[fact] for kind in self.kinds})


@dataclass(frozen=True)
class Choice:
    """Which runs are wanted; what is empty chooses all. `since` and `until` are beginnings of a time in UTC, inclusive."""

    targets: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    since: str = ""
    until: str = ""

    def __post_init__(self) -> None:
        for name in ("since", "until"):
            text = getattr(self, name)
            if text and not _TIME.fullmatch(text):
                raise StatisticsError(
                    f"{name} is {ascii(text)[:60]}: name a day or a time in UTC, such as 2026-11-23T12:00:00Z"
                )

    def takes(self, run: Run) -> bool:
        """Whether the run is wanted. Times of one form sort as text, and a day holds all of its times."""
        return (
            (not self.targets or run.key.target in self.targets)
            and (not self.models or run.key.model_size in self.models)
            and run.timestamp[:19] >= self.since[:19]
            and (not self.until or run.timestamp[: len(self.until[:19])] <= self.until[:19])
        )

    @property
    def for_history(self) -> dict[str, Any]:
        """The same, as `History.measured` asks its index."""
        among = {"target": self.targets, "model_size": self.models}
        return {
            "among": {column: wanted for column, wanted in among.items() if wanted},
            "since": self.since[:19],
            "until": self.until[:19],
        }


class Kinds:
    """Makes kinds of results, each once."""

    def __init__(self) -> None:
        self._known: dict[tuple[Any, ...], Kind] = {}

    def of(self, result: Mapping[str, Any]) -> Kind:
        """The kind of a result, or of those parts of it; a StatisticsError says why it is none."""
        try:
            parts = (
                _key(result),
                tuple(_fact(result, path) for _code, _words, path in FACTS),
                json.dumps({part: result[part] for part in WORK}, sort_keys=True),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise StatisticsError(f"this is no result of bench_runner ({error!r})") from error
        return self._known.setdefault(parts, Kind(*parts))


class Results:
    """A source of runs that are in memory."""

    def __init__(self, kinds: Kinds) -> None:
        self._kinds = kinds
        self._run_ids: list[str] = []
        self._process_means_ms: list[tuple[float, ...]] = []

    def add(self, result: Mapping[str, Any]) -> Run:
        """The run of a result; a StatisticsError says why it is none."""
        kind, sample = self._kinds.of(result), Sample.of_result(result)
        self._run_ids.append(str(result["run_id"]))
        self._process_means_ms.append(sample.process_means)
        return Run(
            kind=kind,
            timestamp=str(result["timestamp"]),
            # As the history's index has it; `check_result` has held it against the iterations.
            mean_ms=float(result["avg_latency_ms"]),
            iterations=len(sample.iterations),
            processes=len(result["processes"]),
            source=self,
            place=len(self._run_ids) - 1,
        )

    def run_ids(self, places: Iterable[int]) -> Iterator[str]:
        return (self._run_ids[place] for place in places)

    def process_means_ms(self, places: Iterable[int]) -> Iterator[tuple[float, ...]]:
        return (self._process_means_ms[place] for place in places)


def is_benchmark(labels: Mapping[str, Any]) -> bool:
    """Whether what has these labels is a benchmark of a target."""
    return not set(OTHER_PURPOSES) & set(labels)


def grouped(runs: Iterable[Run]) -> list[Group]:
    """The runs by their keys: the group with the oldest run first, in each the oldest run first."""
    groups: dict[Key, Group] = {}
    # Runs of one kind have one key, and a million of them few kinds.
    of_kind: dict[Kind, Group] = {}
    for run in sorted(runs, key=attrgetter("timestamp")):
        group = of_kind.get(run.kind)
        if group is None:
            group = of_kind[run.kind] = groups.setdefault(run.key, Group(run.key))
        group.runs.append(run)
    return list(groups.values())


def _key(result: Mapping[str, Any]) -> Key:
    texts = [result["target"], result["model_size"], result["cpu_model"], result["isolation"]["mode"]]
    threads = result["threads"]
    if not all(isinstance(text, str) for text in texts) or not isinstance(threads, int):
        raise TypeError("a target, a model, a CPU or threads are not as they should be")
    target, model_size, cpu_model, mode = texts
    return Key(target, model_size, cpu_model, threads, mode)


def _fact(result: Mapping[str, Any], path: tuple[str, ...]) -> str:
    value: Any = result
    for part in path:
        value = value.get(part) if isinstance(value, Mapping) else None
    return "not recorded" if value is None else str(value)
