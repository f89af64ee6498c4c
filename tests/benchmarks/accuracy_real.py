# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The real part of accuracy.py: runs of bench_runner whose processes take turns, natively or in containers."""

from __future__ import annotations

import json
import os
import secrets
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.rightsize.whisper.plugins.plugin_utils.statistics import Sample, Summary, estimate_ratio

from tests.benchmarks.accuracy_simulated import wilson_interval

CHECKOUT = Path(__file__).resolve().parents[2]
CONFINED = ("--network=none", "--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--memory=3g", "--interactive")
# The loop that everybody would write, in a fresh process: its mean over the iterations, in ms.
BARE_LOOP = """
import io, os, sys, time, wave
import numpy, torch, whisper
from bench_runner.decode_options import DECODE_OPTIONS
torch.set_num_threads(1)
with wave.open(io.BytesIO(sys.stdin.buffer.read())) as clip:
    samples = numpy.frombuffer(clip.readframes(clip.getnframes()), "<i2").astype("float32") / 32768
model = whisper.load_model(os.path.join(os.environ["BENCH_RUNNER_MODELS"], sys.argv[1] + ".pt"))
model.transcribe(samples, **DECODE_OPTIONS)
begun = time.perf_counter()
for _ in range(int(sys.argv[2])):
    model.transcribe(samples, **DECODE_OPTIONS)
print((time.perf_counter() - begun) * 1000 / int(sys.argv[2]))
"""


@dataclass(frozen=True)
class Side:
    """How both sides of a comparison are measured."""

    model: str
    clip: Path
    checkpoint: Path | None
    image: str | None
    iterations: int
    processes: int

    def command(self, name: str, cpus: float) -> list[str]:
        if self.image is None:
            return [
                sys.executable,
                "-m",
                "bench_runner",
                *([f"--checkpoint={self.checkpoint}"] if self.checkpoint else []),
            ]
        return ["docker", "run", "--rm", f"--name={name}", f"--cpus={cpus:g}", *CONFINED, self.image]


class Run:
    """One run of bench_runner that waits before each process but the first until it is given its turn."""

    def __init__(self, side: Side, cpus: float, precision: float | None) -> None:
        self._in_container = side.image is not None
        self._name = f"accuracy-{secrets.token_hex(6)}"
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the run
        arguments = [
            f"--run-id={self._name}",
            f"--model-size={side.model}",
            f"--iterations={side.iterations}",
            f"--processes={side.processes}",
            f"--expect-cpus={cpus:g}",
            "--audio=-",
            "--take-turns",
            "--progress=jsonl",
        ]
        if precision is not None:
            arguments += [f"--precision={precision}", "--precision-of=ratio"]
        with side.clip.open("rb") as clip:
            self._process = subprocess.Popen(
                [*side.command(self._name, cpus), *arguments],
                stdin=clip,
                stdout=self._output,
                stderr=subprocess.PIPE,
                text=True,
                cwd=CHECKOUT,
            )

    def advance(self) -> bool:
        """Wait until it asks for its next turn (True), or has ended."""
        assert self._process.stderr is not None
        for line in self._process.stderr:
            event = json.loads(line) if line.startswith("{") else {"event": "", "said": line}
            if event["event"] == "error":
                raise SystemExit(f"accuracy.py: bench_runner: {event['message']}")
            if event.get("phase") == "waiting for its turn":
                return True
        if self._process.wait():
            raise SystemExit(f"accuracy.py: a run of bench_runner ended with status {self._process.returncode}")
        return False

    def give_turn(self) -> None:
        if self._in_container:
            subprocess.run(["docker", "kill", "--signal=SIGUSR1", self._name], check=True, stdout=subprocess.DEVNULL)
        else:
            os.kill(self._process.pid, signal.SIGUSR1)

    def result(self) -> dict[str, Any]:
        self._output.seek(0)
        result: dict[str, Any] = json.load(self._output)
        return result


@contextmanager
def short_clip(seconds: float) -> Iterator[Path]:
    """The beginning of the bundled sample, as a file."""
    from bench_runner import audio

    samples = audio.load(None).samples[: round(seconds * 16_000)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.wav"
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(16_000)
            file.writeframes((samples * 32767).astype("<i2").tobytes())
        yield path


def take_turns(side: Side, cpus: tuple[float, float], precision: float | None) -> list[dict[str, Any]]:
    """The results of two runs, process by process A B A B …; where one has enough, the other goes on alone."""
    runs: list[Run] = []
    waiting: list[Run] = []
    for limit in cpus:
        runs.append(Run(side, limit, precision))
        if runs[-1].advance():
            waiting.append(runs[-1])
    while waiting:
        for run in list(waiting):
            run.give_turn()
            if not run.advance():
                waiting.remove(run)
    return [run.result() for run in runs]


def compare_really(side: Side, comparisons: int, precision: float | None) -> float:
    """Print the table; gives the share of intervals that hold 1."""
    how = (
        f"until ±{precision:.1%}" if precision else f"{side.processes} processes of {side.iterations // side.processes}"
    )
    print(
        f"\n{comparisons} real A/A comparisons, {side.model}, {how}, {'in containers' if side.image else 'native'}.\n"
    )
    print("| | ratio | 95 % interval | holds 1 | processes | what disturbed it |")
    print("|---|---|---|---|---|---|")
    hits = 0
    started = time.monotonic()
    for number in range(1, comparisons + 1):
        one, other = take_turns(side, (1.0, 1.0), precision)
        ratio = estimate_ratio(Sample.of_result(other), Sample.of_result(one))
        holds = ratio.contains(1.0) is True
        hits += holds
        processes = " + ".join(str(len(result["processes"])) for result in (one, other))
        findings = sorted({code for result in (one, other) for code in result.get("strict_findings", [])})
        print(
            f"| {number} | {ratio.centre:.4f} | {_interval(ratio)} | {'yes' if holds else 'NO'} | {processes} "
            f"| {', '.join(findings) or '–'} |",
            flush=True,
        )
    low, high = wilson_interval(hits, comparisons)
    minutes = (time.monotonic() - started) / 60
    print(
        f"\n{hits} of {comparisons} hold 1: {hits / comparisons:.0%} ({low:.0%} to {high:.0%}), in {minutes:.0f} minutes."
    )
    return hits / comparisons


def compare_quota(side: Side, quota: float) -> None:
    """A known truth: with a share of a CPU the same work takes as many times as long."""
    one, limited = take_turns(side, (1.0, quota), None)
    ratio = estimate_ratio(Sample.of_result(limited), Sample.of_result(one))
    bare: dict[float, list[float]] = {1.0: [], quota: []}
    for _unused in range(side.processes):
        for cpus, means in bare.items():
            means.append(_bare_loop(side, cpus))
    direct = statistics.fmean(bare[quota]) / statistics.fmean(bare[1.0])
    print(f"\nA quota of {quota:g} CPU against 1 CPU, {side.model}, {side.processes} processes of each, in turns.\n")
    print("| | ratio | 95 % interval |")
    print("|---|---|---|")
    print(f"| measured by bench_runner | {ratio.centre:.4f} | {_interval(ratio)} |")
    print(f"| measured by a bare loop over `model.transcribe` | {direct:.4f} | holds it: {_holds(ratio, direct)} |")
    print(f"| by the quota alone | {1 / quota:.4f} | holds it: {_holds(ratio, 1 / quota)} |")
    print(f"\nbench_runner and the bare loop differ by {ratio.centre / direct - 1:+.2%}.")


def _bare_loop(side: Side, cpus: float) -> float:
    assert side.image is not None
    command = [
        "docker",
        "run",
        "--rm",
        f"--cpus={cpus:g}",
        *CONFINED,
        "--env=OMP_NUM_THREADS=1",
        "--env=MKL_NUM_THREADS=1",
    ]
    iterations = max(1, side.iterations // side.processes)
    with side.clip.open("rb") as clip:
        ended = subprocess.run(
            [*command, "--entrypoint=python3", side.image, "-c", BARE_LOOP, side.model, str(iterations)],
            stdin=clip,
            stdout=subprocess.PIPE,
            check=True,
        )
    return float(ended.stdout)


def _interval(summary: Summary) -> str:
    return "none" if summary.low is None or summary.high is None else f"{summary.low:.4f} to {summary.high:.4f}"


def _holds(summary: Summary, value: float) -> str:
    return "yes" if summary.contains(value) else "NO"
