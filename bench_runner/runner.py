# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run: fresh processes one after another, and everything that happens told as events, from which the result is made."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean
from typing import Any

from bench_runner import audio, caveats, cgroup, checkpoint, environment, judgement, peak_memory, resume, worker_process
from bench_runner.decode_options import decode_record
from bench_runner.errors import BenchmarkError, ExitCode
from bench_runner.events import EventStream
from bench_runner.interruption import wait_for_turn
from bench_runner.result import assemble, problems, total
from bench_runner.stopping import AdaptivePlan, FixedPlan, Plan, StopReason


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
    labels: dict[str, str]
    image_id: str | None
    # Seconds that it may wait in all for its turns; None: it takes no turns.
    turns_within: float | None = None
    # Decode a window again that came out badly, as a service does; for service times, not for a ratio.
    fallback: bool = False
    # Measure until the interval is so narrow, relative to the mean; None: exactly the iterations.
    precision: float | None = None
    precision_of_ratio: bool = False
    most_processes: int = 40
    time_budget_seconds: float | None = None
    # An interrupted run to go on from.
    earlier: resume.Earlier | None = None

    @property
    def plan(self) -> Plan:
        """The processes, and the iterations of each: as even as can be; no process without one."""
        processes = min(self.processes, self.iterations)
        each, more = divmod(self.iterations, processes)
        if self.precision is None:
            return FixedPlan(tuple(each + (index < more) for index in range(processes)))
        return AdaptivePlan(
            iterations_each=each + (more > 0),
            precision=self.precision,
            of_ratio=self.precision_of_ratio,
            most_processes=self.most_processes,
            time_budget_seconds=self.time_budget_seconds,
        )


class Run:
    """One run of the benchmark."""

    def __init__(self, settings: Settings, events: EventStream) -> None:
        self._settings = settings
        self._plan = settings.plan
        self._events = events
        self._group = cgroup.find()
        self._isolation = environment.isolation(self._group)
        # By process, in their order.
        self._wall_ms: list[list[float]] = []
        # Of those that are not resumed, which come first.
        self._process_seconds: list[float] = []
        self._resumed = 0
        self._transcripts: set[str] = set()
        self._start_up_seconds = 0.0
        self._waited_seconds = 0.0

    def execute(self) -> dict[str, Any]:
        """Measure and give the result; raises BenchmarkError."""
        known = self._begin()
        clip = audio.load(self._settings.audio)
        self._learn(
            audio={"name": clip.name, "seconds": clip.seconds, "sha256": clip.sha256, "file_sha256": clip.file_sha256}
        )
        weights = self._find_weights()
        reason = None
        if self._settings.earlier is not None:
            facts = {"audio": {"sha256": clip.sha256}, "checkpoint": {"sha256": weights.sha256}}
            self._take_up(self._settings.earlier, known, facts)
            reason = self._stop_reason()
        with worker_process.shared_samples(clip.samples.tobytes()) as samples:
            order = {
                "model_size": self._settings.model_size,
                "checkpoint": str(weights.path),
                "samples_bytes": clip.samples.nbytes,
                "threads": self._settings.threads,
                "warmup": self._settings.warmup,
                "fallback": self._settings.fallback,
            }
            while reason is None:
                number = len(self._wall_ms) + 1
                self._run_process(number, {**order, "iterations": self._plan.share(number)}, samples)
                reason = self._stop_reason()
        self._learn(stop_reason=reason, stopping=self._plan.record(self._means_ms))
        return self._conclude()

    def _take_up(self, earlier: resume.Earlier, known: dict[str, Any], facts: dict[str, Any]) -> None:
        """Tell once more what the processes of an interrupted run gave, so that this run's journal has it all."""
        processes = earlier.processes
        differences = list(earlier.differences(known, facts))
        shares = [len(process.answers) for process in processes]
        if shares != [self._plan.share(number) for number in range(1, len(shares) + 1)]:
            differences.append("iterations of each process")
        if any(len(process.warmup_ms) != self._settings.warmup for process in processes):
            differences.append("warmup")
        if differences:
            raise resume.cannot_resume(f"run {earlier.run_id} differs in {', '.join(differences)}")
        self._learn(software=earlier.facts["software"])
        for number, process in enumerate(processes, start=1):
            place = {"process": number, "of": self._plan.expected_processes(self._means_ms)}
            self._wall_ms.append([])
            self._events.emit(
                "process",
                **place,
                phase="measuring",
                model_load_seconds=process.model_load_seconds,
                warmup_ms=process.warmup_ms,
                resumed=True,
                measured_at=process.measured_at,
            )
            for answer in process.answers:
                self._hear_iteration(number, answer, 0.0)
            self._events.emit("process", **place, phase="done")
        self._resumed = len(processes)
        self._warn(caveats.of_resumption(earlier.run_id, len(processes), sum(shares)))

    def _stop_reason(self) -> StopReason | None:
        return self._plan.stop_reason(self._means_ms, self._process_seconds)

    @property
    def _means_ms(self) -> list[float]:
        """Of the processes done, and of the one under way."""
        return [fmean(wall_ms) for wall_ms in self._wall_ms if wall_ms]

    def _begin(self) -> dict[str, Any]:
        settings, isolation = self._settings, self._isolation
        architecture, cpu_model = environment.architecture(), environment.cpu_model(settings.cpu_model)
        isolated = caveats.is_isolated(isolation, settings.expect_cpus)
        known = {
            "run_id": settings.run_id,
            "timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "target": settings.target,
            "architecture": architecture,
            "cpu_model": cpu_model,
            "model_size": settings.model_size,
            "iterations_requested": settings.iterations,
            "threads": settings.threads,
            "cpu_limit": isolation.cpu_limit,
            "isolated": isolated,
            "labels": settings.labels,
            "decode": decode_record(settings.fallback),
            "isolation": asdict(isolation),
            "memory": {"peak_bytes": None, "limit_bytes": self._group.memory_limit_bytes()},
            "image": {"id": settings.image_id} if settings.image_id else None,
            "kubernetes": None,
            "host": None,
        }
        self._events.emit(
            "start",
            target=settings.target,
            model_size=settings.model_size,
            iterations=settings.iterations,
            processes=self._plan.expected_processes([]),
            threads=settings.threads,
            result=known,
        )
        self._events.log(f"architecture {architecture}, CPU model {cpu_model}")
        self._events.log(
            f"CPU limit {'none' if isolation.cpu_limit is None else format(isolation.cpu_limit, 'g')} "
            f"(by {isolation.mode}), {'in' if isolation.container else 'not in'} a container: "
            f"{'isolated' if isolated else 'not isolated'}"
        )
        if settings.iterations < settings.processes:
            self._events.log(f"{settings.iterations} iterations need no more than {settings.iterations} processes")
        self._warn(caveats.of_isolation(isolation, settings.expect_cpus))
        return known

    def _find_weights(self) -> checkpoint.Checkpoint:
        settings = self._settings
        weights = checkpoint.locate(
            settings.model_size,
            settings.checkpoint,
            settings.checkpoint_sha256,
            may_download=not self._isolation.container,
        )
        weights.check_memory(self._group.memory_limit_bytes())
        self._learn(checkpoint={"sha256": weights.sha256, "bytes": weights.size_bytes})
        self._warn(caveats.of_checkpoint(settings.model_size, weights))
        return weights

    def _run_process(self, number: int, order: dict[str, Any], samples: int) -> None:
        """Start a worker, hear what it says to its end."""
        place = {"process": number, "of": self._plan.expected_processes(self._means_ms)}
        if number > 1 + self._resumed and self._settings.turns_within is not None:
            self._events.emit("process", **place, phase="waiting for its turn")
            self._waited_seconds += wait_for_turn(self._settings.turns_within - self._waited_seconds)
        self._events.emit("process", **place, phase="loading")
        started = time.monotonic()
        self._wall_ms.append([])
        with closing(worker_process.answers(order, samples, self._group)) as answers:
            for answer in answers:
                match answer["kind"]:
                    case "loaded":
                        self._hear_software(answer["software"])
                        self._events.emit("process", **place, phase="warming up")
                    case "warm":
                        self._start_up_seconds = time.monotonic() - started
                        figures = {name: answer[name] for name in ("model_load_seconds", "warmup_ms")}
                        self._events.emit("process", **place, phase="measuring", **figures)
                    case "iteration":
                        self._hear_iteration(number, answer, time.monotonic() - started)
        self._process_seconds.append(time.monotonic() - started)
        self._events.emit("process", **place, phase="done")

    def _hear_iteration(self, process: int, answer: dict[str, Any], process_seconds: float) -> None:
        self._hear_transcript(answer["transcript"])
        self._wall_ms[-1].append(answer["iteration"]["wall_ms"])
        measured = [wall_ms for walls_ms in self._wall_ms for wall_ms in walls_ms]
        mean_ms = fmean(measured)
        # The mean of a process that has begun is too rough to foresee the end by.
        expected = max(process, self._plan.expected_processes([fmean(wall_ms) for wall_ms in self._wall_ms[:-1]]))
        iterations = sum(self._plan.share(number) for number in range(1, expected + 1))
        between_processes = self._start_up_seconds + self._waited_seconds / max(1, process - 1)
        self._events.emit(
            "iteration",
            process=process,
            number=len(measured),
            of=iterations,
            **answer["iteration"],
            throttling=answer["throttling"],
            mhz=answer["mhz"],
            transcript_sha256=answer["transcript"]["sha256"],
            mean_ms=round(mean_ms, 3),
            eta_seconds=round(
                min(
                    (iterations - len(measured)) * mean_ms / 1000 + (expected - process) * between_processes,
                    self._plan.seconds_left(sum(self._process_seconds) + process_seconds),
                ),
                1,
            ),
        )

    def _hear_software(self, software: dict[str, Any]) -> None:
        earlier = self._settings.earlier
        if earlier is not None and earlier.facts["software"] != software:
            raise resume.cannot_resume(f"run {earlier.run_id} differs in software")
        if len(self._wall_ms) == 1:
            self._learn(software=software)

    def _hear_transcript(self, transcript: dict[str, Any]) -> None:
        if not self._transcripts:
            self._learn(transcript=transcript)
        self._transcripts.add(transcript["sha256"])

    def _conclude(self) -> dict[str, Any]:
        # Where nothing was left to measure, nobody knows what it took.
        peak: dict[str, Any] = {"peak_bytes": None}
        if self._process_seconds:
            peak = peak_memory.figures(self._group, in_container=self._isolation.container)
        self._learn(memory={**peak, "limit_bytes": self._group.memory_limit_bytes()})
        result = assemble(self._events.events, partial=False)
        self._warn(caveats.of_transcripts(len(self._transcripts)))
        if isinstance(self._plan, AdaptivePlan):
            self._warn(caveats.of_precision(result["stop_reason"], result["stopping"], self._plan.half_width_wanted()))
        counters = [event["throttling"] for event in self._events.events if event["event"] == "iteration"]
        self._warn(judgement.of_disturbances(result, total(counters, "demand_seconds")))
        self._warn(judgement.of_physics(result, self._process_seconds))
        found = problems(assemble(self._events.events, partial=False))
        if found is None:
            self._events.warn(
                "not_validated",
                "the Python package jsonschema is missing: the result was not held against its schema; install it",
            )
        elif found:
            raise BenchmarkError(ExitCode.INTERNAL, f"the result does not keep to its own schema: {found[0]}")
        result = assemble(self._events.events, partial=False)
        self._events.emit("end", iterations=result["iterations"], mean_ms=round(result["avg_latency_ms"], 3))
        return result

    def _learn(self, **facts: Any) -> None:
        """Something that the result will say."""
        self._events.emit("facts", facts=facts)

    def _warn(self, warnings: Iterable[caveats.Warned]) -> None:
        for warned in warnings:
            self._events.warn(*warned)
