# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run: fresh processes one after another, and everything that happens told as events, from which the result is made."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean
from typing import Any, TextIO

from bench_runner import audio, cgroup, checkpoint, environment, summary
from bench_runner.decode_options import DECODE_RECORD
from bench_runner.errors import BenchmarkError, ExitCode
from bench_runner.events import EventStream
from bench_runner.result import assemble, problems
from bench_runner.worker_environment import worker_environment

# A spread of process means beyond this is the machine's, not the model's: measured on a quiet one, 5 % in five processes.
SPREAD_WARNING = 0.06
STEAL_WARNING = 0.01
THROTTLED_WARNING = 0.10


@dataclass(frozen=True)
class Settings:
    """What is asked of a run."""

    model_size: str
    iterations: int
    processes: int
    threads: int
    warmup: int
    run_id: str
    target: str
    audio: str | None
    checkpoint: Path | None
    checkpoint_sha256: str | None
    cpu_model: str | None
    expect_cpus: float
    deadline_seconds: float | None
    labels: dict[str, str]
    image_id: str | None


class Interrupted(BenchmarkError):
    """A signal or the deadline ended the run."""

    def __init__(self, reason: str) -> None:
        super().__init__(ExitCode.INTERRUPTED, f"{reason}; the finished iterations are in the journal")


class Run:
    """One run of the benchmark."""

    def __init__(self, settings: Settings, events: EventStream) -> None:
        self._settings = settings
        self._events = events
        self._records: list[dict[str, Any]] = []
        self._wall_ms: list[float] = []
        self._transcripts: set[str] = set()
        self._group = cgroup.find()
        self._isolation = environment.isolation(self._group)

    def execute(self) -> dict[str, Any]:
        """Measure and give the result; raises BenchmarkError."""
        with interruptible(self._settings.deadline_seconds):
            self._introduce()
            clip = audio.load(self._settings.audio)
            weights = checkpoint.locate(
                self._settings.model_size,
                self._settings.checkpoint,
                self._settings.checkpoint_sha256,
                may_download=not self._isolation.container,
            )
            weights.check_memory(self._group.memory_limit_bytes())
            self._say("start", **self._header(), result=self._skeleton(clip, weights))
            self._warn_of_isolation()
            with tempfile.TemporaryDirectory(prefix="bench-runner-") as folder:
                samples = Path(folder) / "samples.f32"
                samples.write_bytes(clip.samples.astype("<f4").tobytes())
                for number, share in enumerate(self._shares(), start=1):
                    self._run_process(number, share, samples, weights.path)
            self._conclude()
        result = assemble(self._records, partial=False)
        self._check(result)
        return result

    def _header(self) -> dict[str, Any]:
        names = ("target", "model_size", "iterations", "processes", "threads")
        return {name: getattr(self._settings, name) for name in names}

    def _introduce(self) -> None:
        limit = self._isolation.cpu_limit
        self._say(
            "log",
            message=(
                f"{environment.architecture()}, {environment.cpu_model(self._settings.cpu_model)}, CPU limit "
                f"{'none' if limit is None else f'{limit:g}'}, {'in a container' if self._isolation.container else 'not in a container'}, "
                f"isolation mode {self._isolation.mode}"
            ),
        )

    def _skeleton(self, clip: audio.Clip, weights: checkpoint.Checkpoint) -> dict[str, Any]:
        """Every part of the result that is known before measuring."""
        settings = self._settings
        return {
            "run_id": settings.run_id,
            "timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "target": settings.target,
            "architecture": environment.architecture(),
            "cpu_model": environment.cpu_model(settings.cpu_model),
            "model_size": settings.model_size,
            "iterations_requested": settings.iterations,
            "threads": settings.threads,
            "cpu_limit": self._isolation.cpu_limit,
            "isolated": self._is_isolated(),
            "labels": settings.labels,
            "audio": {
                "name": clip.name,
                "seconds": clip.seconds,
                "sha256": clip.sha256,
                "file_sha256": clip.file_sha256,
            },
            "checkpoint": {"sha256": weights.sha256, "bytes": weights.size_bytes},
            "isolation": asdict(self._isolation),
            "memory": {"peak_bytes": None, "limit_bytes": self._group.memory_limit_bytes()},
            "image": {"id": settings.image_id} if settings.image_id else None,
            "kubernetes": None,
            "host": None,
        }

    def _is_isolated(self) -> bool:
        limit = self._isolation.cpu_limit
        return self._isolation.container and limit is not None and abs(limit - self._settings.expect_cpus) < 1e-9

    def _warn_of_isolation(self) -> None:
        expected = f"{self._settings.expect_cpus:g}"
        if not self._isolation.container:
            self._warn("not_isolated", "not in a container: the figures may be inaccurate; run it in the runner image")
        if not self._is_isolated():
            limit = self._isolation.cpu_limit
            found = "no CPU limit" if limit is None else f"a CPU limit of {limit:g}"
            self._warn(
                "cpu_limit_mismatch",
                f"{found}, not the {expected} CPU asked for: the figures may be inaccurate; limit it with --cpus={expected}",
            )
        if self._isolation.emulated:
            self._warn(
                "emulated",
                "the CPU's instructions are emulated: the figures say nothing about it; use an image of its own architecture",
            )

    def _shares(self) -> list[int]:
        """The iterations of each process, as even as can be."""
        each, more = divmod(self._settings.iterations, self._settings.processes)
        return [share for index in range(self._settings.processes) if (share := each + (index < more))]

    def _run_process(self, number: int, share: int, samples: Path, weights: Path) -> None:
        """Start a worker, hear what it says to its end."""
        settings = self._settings
        of = len(self._shares())
        self._say("process", process=number, of=of, phase="loading")
        order = {
            "model_size": settings.model_size,
            "checkpoint": str(weights),
            "samples": str(samples),
            "threads": settings.threads,
            "warmup": settings.warmup,
            "iterations": share,
        }
        kills_before = self._group.out_of_memory_kills()
        with worker(order) as (process, answers, chatter):
            for answer in answers:
                self._hear(number, of, answer)
                assert process.stdin is not None
                process.stdin.write("\n")
                process.stdin.flush()
            status = process.wait()
            if status:
                raise self._death(status, kills_before, chatter)
        self._say("process", process=number, of=of, phase="done")

    def _hear(self, number: int, of: int, answer: dict[str, Any]) -> None:
        match answer["kind"]:
            case "loaded":
                if number == 1:
                    self._say("facts", facts={"software": answer["software"]})
                self._say("process", process=number, of=of, phase="warming up")
            case "warm":
                self._say(
                    "process",
                    process=number,
                    of=of,
                    phase="measuring",
                    model_load_seconds=answer["model_load_seconds"],
                    warmup_ms=answer["warmup_ms"],
                )
            case "iteration":
                self._hear_iteration(number, answer)
            case "error":
                raise BenchmarkError(ExitCode(answer["code"]), answer["message"])

    def _hear_iteration(self, number: int, answer: dict[str, Any]) -> None:
        transcript = answer["transcript"]
        if not self._transcripts:
            self._say("facts", facts={"transcript": transcript, "decode": DECODE_RECORD})
        elif transcript["sha256"] not in self._transcripts:
            self._warn(
                "transcript_differs",
                "the transcript differs between iterations of one run: they did not do the same work",
            )
        self._transcripts.add(transcript["sha256"])
        self._wall_ms.append(answer["iteration"]["wall_ms"])
        mean_ms = fmean(self._wall_ms)
        self._say(
            "iteration",
            process=number,
            number=len(self._wall_ms),
            of=self._settings.iterations,
            **answer["iteration"],
            throttling=answer["throttling"],
            mean_ms=round(mean_ms, 3),
            eta_seconds=round(self._time_left_seconds(mean_ms), 1),
        )

    def _time_left_seconds(self, mean_ms: float) -> float:
        """Iterations to come, and what each process to come spends before it measures, as the first one did."""
        starts = [
            record["time"] for record in self._records if record["event"] == "process" and record["phase"] == "loading"
        ]
        first_iteration = next((record for record in self._records if record["event"] == "iteration"), None)
        begun = next(
            (
                record["time"]
                for record in self._records
                if record["event"] == "process" and record["phase"] == "measuring"
            ),
            None,
        )
        start_up = begun - starts[0] if begun is not None and first_iteration is not None else 0.0
        processes_to_come = len(self._shares()) - len(starts)
        return (self._settings.iterations - len(self._wall_ms)) * mean_ms / 1000 + processes_to_come * start_up

    def _death(self, status: int, kills_before: int, chatter: TextIO) -> BenchmarkError:
        limit = self._group.memory_limit_bytes()
        if status == -signal.SIGKILL and self._group.out_of_memory_kills() > kills_before:
            return BenchmarkError(
                ExitCode.OUT_OF_MEMORY,
                f"the kernel killed the measuring process for want of memory: the limit is "
                f"{checkpoint.mebibytes(limit) if limit else 'that of the machine'}; raise it or take a smaller model",
            )
        chatter.seek(0)
        last = next((line.strip() for line in reversed(chatter.read().splitlines()) if line.strip()), "it said nothing")
        how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
        return BenchmarkError(ExitCode.INTERNAL, f"the measuring process {how}: {last[:300]}")

    def _conclude(self) -> None:
        peak = self._group.memory_peak_bytes() if self._isolation.container else None
        memory = {"peak_bytes": peak or _children_peak_bytes(), "limit_bytes": self._group.memory_limit_bytes()}
        self._say("facts", facts={"memory": memory})
        self._warn_of_noise()
        self._say("end", iterations=len(self._wall_ms), mean_ms=round(fmean(self._wall_ms), 3))

    def _warn_of_noise(self) -> None:
        """Name what disturbed the measurement, with its figure."""
        result = assemble(self._records, partial=False)
        means = [fmean(process["wall_ms"]) for process in result["processes"]]
        spread = summary.spread_between(means)
        if spread > SPREAD_WARNING:
            self._warn(
                "noisy",
                f"the means of the processes lie {spread:.1%} apart (largest to smallest): other work disturbs the machine; quiet it and run again",
            )
        throttling, total = result["throttling"], result["total_time_seconds"]
        steal = throttling["steal_seconds"]
        if steal is not None and steal / total > STEAL_WARNING:
            self._warn(
                "steal",
                f"the hypervisor took {steal / total:.1%} of the time for others; use a host that is not overcommitted",
            )
        if throttling["periods"] and self._settings.threads <= self._settings.expect_cpus:
            share = throttling["throttled_periods"] / throttling["periods"]
            if share >= THROTTLED_WARNING:
                self._warn(
                    "throttled",
                    f"{share:.0%} of the periods were throttled although the threads fit the limit; something else runs in the container",
                )

    def _check(self, result: dict[str, Any]) -> None:
        found = problems(result)
        if found is None:
            self._say("log", message="the package jsonschema is missing: the result was not checked against its schema")
        elif found:
            raise BenchmarkError(ExitCode.INTERNAL, f"the result does not keep to its own schema: {found[0]}")

    def _warn(self, code: str, message: str) -> None:
        self._say("warning", code=code, message=message)

    def _say(self, event: str, **fields: Any) -> None:
        self._records.append({"event": event, "time": time.time(), **fields})
        self._events.emit(event, **fields)


@contextmanager
def worker(order: dict[str, Any]) -> Iterator[tuple[subprocess.Popen[str], Iterator[dict[str, Any]], TextIO]]:
    """A fresh process at work: the process, what it answers, and what its libraries print. Killed if left early."""
    reading, writing = os.pipe()
    with tempfile.TemporaryFile("w+", errors="replace") as chatter, os.fdopen(reading) as answers:
        process = subprocess.Popen(
            [sys.executable, "-m", "bench_runner.worker"],
            stdin=subprocess.PIPE,
            stdout=chatter,
            stderr=chatter,
            text=True,
            pass_fds=[writing],
            env=worker_environment(order["threads"]),
        )
        os.close(writing)
        try:
            assert process.stdin is not None
            process.stdin.write(json.dumps({**order, "descriptor": writing}) + "\n")
            process.stdin.flush()
            yield process, map(json.loads, answers), chatter
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


@contextmanager
def interruptible(deadline_seconds: float | None) -> Iterator[None]:
    """Turn SIGINT, SIGTERM and the deadline into `Interrupted`."""

    def stop(number: int, _frame: object) -> None:
        for ended in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM):
            signal.signal(ended, signal.SIG_IGN)
        reason = (
            f"the deadline of {deadline_seconds:g} s has passed"
            if number == signal.SIGALRM
            else f"stopped by {signal.Signals(number).name}"
        )
        raise Interrupted(reason)

    previous = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)}
    if deadline_seconds is not None:
        signal.setitimer(signal.ITIMER_REAL, deadline_seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in previous.items():
            signal.signal(number, handler)


def _children_peak_bytes() -> int:
    """The largest resident set of a process that this one has waited for. Linux counts KiB, macOS bytes."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
