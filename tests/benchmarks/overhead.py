# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What bench_runner adds to what it measures: `python tests/benchmarks/overhead.py [--iterations 40] [--model base]`.

A real run of bench_runner in the runner image on one CPU, with its parent, journal and hooks. Before each iteration of
its own, the measuring process goes once through a bare loop's body: `model.transcribe` between two readings of the
clock, without hooks, garbage collection as Python has it. So both see the same process, memory and minute, A B A B.
Prints how far the two means lie apart, with the 95 % interval of the paired differences; the goal is 0.5 % on a quiet
machine. On a busy one the CPU times tell more.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve()
INSIDE = "/overhead.py"
BARE = Path("/tmp/bare_ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--iterations", type=int, default=40)
    parser.add_argument("--model", default="base")
    parser.add_argument("--image", help="the runner image (rightsize-whisper-runner:<model>)")
    options = parser.parse_args()
    image = options.image or f"rightsize-whisper-runner:{options.model}"
    command = ["docker", "run", "--rm", "--cpus=1", "--memory=2g", "--network=none", "--read-only", "--tmpfs=/tmp"]
    command += [
        "--cap-drop=ALL",
        "--entrypoint=python3",
        f"--volume={HERE.parents[2] / 'bench_runner'}:/opt/bench_runner:ro",
    ]
    command += [f"--volume={HERE}:{INSIDE}:ro", image, INSIDE, "--inside", options.model]
    ended = subprocess.run([*command, str(options.iterations)], stdout=subprocess.PIPE, check=True)
    report(json.loads(ended.stdout))


def report(measured: dict[str, dict[str, list[float]]]) -> None:
    for clock in ("wall_ms", "cpu_ms"):
        ours, bare = measured["bench_runner"][clock], measured["bare"][clock]
        differences = [a / b - 1 for a, b in zip(ours, bare, strict=True)]
        mean, bare_mean = statistics.fmean(ours), statistics.fmean(bare)
        half_width = 1.96 * statistics.stdev(differences) / len(differences) ** 0.5
        print(f"{clock}: bench_runner {mean:.1f}, bare loop {bare_mean:.1f}, {len(ours)} pairs")
        print(
            f"  difference {mean / bare_mean - 1:+.3%} ± {half_width:.3%}; median of pairs {statistics.median(differences):+.3%}"
        )


def inside(model: str, iterations: str) -> None:
    """In the container: the real command line, whose processes are started by `worker` below."""
    import os

    from bench_runner import cli, worker_process

    worker_process.WORKER = (INSIDE, "--worker")
    output = Path("/tmp/result.json")
    standard_output = os.dup(1)
    os.dup2(2, 1)
    arguments = ["--model-size", model, "--iterations", iterations, "--processes", "1", "--progress", "jsonl"]
    if cli.main([*arguments, "--output", str(output), "--journal", "/tmp/journal.jsonl"]):
        sys.exit(1)
    result = json.loads(output.read_text())
    (process,) = result["processes"]
    # The first bare iteration went with the warm-up.
    bare = [json.loads(line) for line in BARE.read_text().splitlines()][1:]
    clocks = {"wall_ms": 0, "cpu_ms": 1}
    measured = {
        "bench_runner": {clock: process[clock] for clock in clocks},
        "bare": {clock: [pair[column] for pair in bare] for clock, column in clocks.items()},
    }
    with os.fdopen(standard_output, "w") as stream:
        json.dump(measured, stream)


def worker() -> None:
    """A measuring process that puts a bare iteration before each of its own."""
    from bench_runner import inference, worker
    from bench_runner.decode_options import DECODE_OPTIONS

    measure = inference.Inference.run

    def run(self: Any) -> Any:
        with BARE.open("a") as file:
            print(bare_iteration(self._model, self._samples, DECODE_OPTIONS), file=file)
        gc.collect()
        return measure(self)

    inference.Inference.run = run  # type: ignore[method-assign]
    worker.main()


def bare_iteration(model: Any, samples: Any, options: dict[str, Any]) -> list[float]:
    """One turn of the loop that everybody would write: wall and CPU time in ms."""
    hooks = {name: getattr(model.encoder, name) for name in ("_forward_hooks", "_forward_pre_hooks")}
    module = sys.modules["whisper.transcribe"]
    timed_mel = module.log_mel_spectrogram
    for name, found in hooks.items():
        setattr(model.encoder, name, type(found)())
    module.log_mel_spectrogram = sys.modules["whisper.audio"].log_mel_spectrogram
    gc.enable()
    begun, begun_cpu = time.perf_counter(), time.process_time()
    model.transcribe(samples, **options)
    taken_ms = [(time.perf_counter() - begun) * 1000, (time.process_time() - begun_cpu) * 1000]
    gc.disable()
    module.log_mel_spectrogram = timed_mel
    for name, found in hooks.items():
        setattr(model.encoder, name, found)
    return taken_ms


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--inside", model, iterations]:
            inside(model, iterations)
        case ["--worker"]:
            worker()
        case _:
            main()
