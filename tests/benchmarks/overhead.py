# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What bench_runner adds to what it measures: `python tests/benchmarks/overhead.py [--iterations 40] [--model base] [--seconds 15]`.

A real run of bench_runner in the runner image on one CPU, with its parent, journal and hooks. Before each iteration of
its own, the measuring process goes once through a bare loop's body: `model.transcribe` between two readings of the
clock, without hooks, garbage collection as Python has it. So both see the same process, memory and minute, A B A B.
Prints how far the two means lie apart, and the median of the paired differences, both with their 95 % intervals; the goal
is 0.5 %. What is added is the same for a short inference as for a long one, so on a busy machine many short ones tell how
many milliseconds it is: a small model, and the first `--seconds` of the clip.
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
    parser.add_argument("--seconds", type=float, default=15, help="of the bundled clip")
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
    command += [str(options.iterations), str(options.seconds)]
    ended = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    report(json.loads(ended.stdout))


def report(measured: dict[str, dict[str, list[float]]]) -> None:
    for clock in ("wall_ms", "cpu_ms"):
        ours, bare = measured["bench_runner"][clock], measured["bare"][clock]
        differences_ms = [a - b for a, b in zip(ours, bare, strict=True)]
        mean, bare_mean = statistics.fmean(ours), statistics.fmean(bare)
        half_width = 1.96 * statistics.stdev(differences_ms) / len(differences_ms) ** 0.5
        print(f"{clock}: bench_runner {mean:.1f}, bare loop {bare_mean:.1f}, {len(ours)} pairs")
        print(f"  difference of the means {in_words(mean - bare_mean, bare_mean)} ± {half_width:.2f} ms")
        middle, low, high = statistics.median(differences_ms), *interval_of_median(differences_ms)
        print(f"  median of the pairs {in_words(middle, bare_mean)}, {low:+.2f} to {high:+.2f} ms")


def in_words(difference_ms: float, of_ms: float) -> str:
    return f"{difference_ms:+.2f} ms ({difference_ms / of_ms:+.3%})"


def interval_of_median(values: list[float]) -> tuple[float, float]:
    """95 %, by the ranks of the values (the sign test), which a few disturbed pairs do not widen."""
    ordered = sorted(values)
    below = max(0, int(len(values) / 2 - 1.96 * len(values) ** 0.5 / 2))
    return ordered[below], ordered[-1 - below]


def inside(model: str, iterations: str, seconds: str) -> None:
    """In the container: the real command line, whose processes are started by `worker` below."""
    import os

    import soundfile

    from bench_runner import cli, worker_process

    clip = Path("/tmp/clip.wav")
    samples, rate = soundfile.read(Path(cli.__file__).with_name("sample.flac"))
    soundfile.write(clip, samples[: round(float(seconds) * rate)], rate)

    worker_process.WORKER = (INSIDE, "--worker")
    output = Path("/tmp/result.json")
    standard_output = os.dup(1)
    os.dup2(2, 1)
    arguments = [
        "--model-size",
        model,
        "--iterations",
        iterations,
        "--processes",
        "1",
        "--progress",
        "jsonl",
        "--audio",
        str(clip),
    ]
    if cli.main([*arguments, "--output", str(output), "--journal", "/tmp/journal.jsonl"]):
        sys.exit(1)
    result = json.loads(output.read_text())
    (process,) = result["processes"]
    bare = [json.loads(line) for line in BARE.read_text().splitlines()]
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
        case ["--inside", model, iterations, seconds]:
            inside(model, iterations, seconds)
        case ["--worker"]:
            worker()
        case _:
            main()
