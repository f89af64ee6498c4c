# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs as a comparison needs them: what each was, its means, and what may hide behind them.

A run keeps no iterations, and what many runs share is kept once, so that a long history stays small in memory.
"""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.rightsize.whisper.plugins.plugin_utils.statistics import (
    MIN_PROCESSES,
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


@dataclass(frozen=True)
class Run:
    """One run; means in milliseconds. `facts` are in the order of FACTS, as text; `work` is what `same_work` judges."""

    run_id: str
    key: Key
    timestamp: str
    mean_ms: float
    iterations: int
    process_means_ms: tuple[float, ...]
    facts: tuple[str, ...]
    work: str
    benchmark: bool = True


@dataclass
class Group:
    """Runs of one key, the oldest first."""

    key: Key
    runs: list[Run] = field(default_factory=list)

    @property
    def unit(self) -> str:
        """What repeats independently: runs where there are enough of them to tell, else the processes of the runs."""
        return "runs" if len(self.runs) >= MIN_PROCESSES else "processes"

    @property
    def means_ms(self) -> tuple[float, ...]:
        """The mean of every unit."""
        if self.unit == "runs":
            return tuple(run.mean_ms for run in self.runs)
        return tuple(mean for run in self.runs for mean in run.process_means_ms)

    @property
    def mean_ms(self) -> float:
        """Of runs the mean of their means; of processes that of all iterations, as the report prints it."""
        if self.unit == "runs":
            return statistics.fmean(self.means_ms)
        return statistics.fmean([run.mean_ms for run in self.runs], [run.iterations for run in self.runs])

    @property
    def works(self) -> list[dict[str, Any]]:
        """The different works that its runs did."""
        return [json.loads(work) for work in sorted({run.work for run in self.runs})]

    def values(self, fact: int) -> list[str]:
        """The different values of a fact, by its place in FACTS."""
        return sorted({run.facts[fact] for run in self.runs})


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
        """Whether the run is a benchmark, and wanted. Times of one form sort as text, and a day holds all of its times."""
        return (
            run.benchmark
            and (not self.targets or run.key.target in self.targets)
            and (not self.models or run.key.model_size in self.models)
            and run.timestamp[:19] >= self.since[:19]
            and (not self.until or run.timestamp[: len(self.until[:19])] <= self.until[:19])
        )


class Reader:
    """Makes runs of results, sharing what they have in common."""

    def __init__(self) -> None:
        self._shared: dict[Any, Any] = {}

    def run(self, result: Mapping[str, Any]) -> Run:
        """The run of a result; a StatisticsError says why it is none."""
        try:
            sample = Sample.of_result(result)
            return Run(
                run_id=str(result["run_id"]),
                key=self._one(_key(result)),
                timestamp=str(result["timestamp"]),
                mean_ms=sample.mean,
                iterations=len(sample.iterations),
                process_means_ms=sample.process_means,
                facts=self._one(tuple(_fact(result, path) for _code, _words, path in FACTS)),
                work=self._one(json.dumps({part: result[part] for part in WORK}, sort_keys=True)),
                benchmark=not set(OTHER_PURPOSES) & set(result["labels"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, StatisticsError):
                raise
            raise StatisticsError(f"this is no result of bench_runner ({error!r})") from error

    def _one(self, value: Any) -> Any:
        return self._shared.setdefault(value, value)


def grouped(runs: Iterable[Run]) -> list[Group]:
    """The runs by their keys: the group with the oldest run first, in each the oldest run first."""
    groups: dict[Key, Group] = {}
    for run in sorted(runs, key=lambda run: (run.timestamp, run.run_id)):
        groups.setdefault(run.key, Group(run.key)).runs.append(run)
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
