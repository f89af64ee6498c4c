# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How long tools take to know one latency to ±2 %: bench_runner (until it is so, and 50 iterations), pyperf, hyperfine.

All do the same inference of the bundled sample, one after the other, as they are set by default. Of each the interval is
computed in the same way, from the means of its processes (plugin_utils/statistics.py), whatever the tool itself prints.
pyperf and hyperfine have to be installed, pyperf beside torch and whisper. Prints a table for docs/accuracy.md.

PYTHONPATH=.ansible/collections:. python tests/benchmarks/time_to_precision.py --model tiny.en --checkpoint tiny.en.pt
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from ansible_collections.rightsize.whisper.plugins.plugin_utils.statistics import Sample, estimate_mean

HERE = Path(__file__).resolve()
# Its workers see nothing of the environment that is not named.
PYPERF = ("--quiet", "--inherit-environ", "PYTHONPATH,OMP_NUM_THREADS")
Measured = list[list[float]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="tiny.en")
    parser.add_argument("--checkpoint", required=True)
    parser.add_argument("--precision", default="0.02")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    work = ["--model-size", options.model, "--checkpoint", options.checkpoint]
    tools: dict[str, Callable[[Path], Measured]] = {
        f"bench_runner --precision {options.precision}": lambda folder: bench_runner(
            [*work, "--precision", options.precision], folder
        ),
        "bench_runner, 50 iterations": lambda folder: bench_runner(work, folder),
        "pyperf": lambda folder: pyperf(options.model, options.checkpoint, folder),
        "hyperfine": lambda folder: hyperfine(options.model, options.checkpoint, folder),
    }
    print("| tool | took | processes × values | mean | 95 % interval reaches |")
    print("|---|--:|--:|--:|--:|")
    for name, tool in tools.items():
        with tempfile.TemporaryDirectory() as folder:
            started = time.monotonic()
            processes = tool(Path(folder))
            seconds = time.monotonic() - started
        mean = estimate_mean(Sample(tuple(map(tuple, processes))))
        reach = "–" if mean.high is None else f"±{100 * math.log(mean.high / mean.centre):.1f} %"
        print(
            f"| {name} | {seconds:.0f} s | {len(processes)} × {len(processes[0])} | {mean.centre:.3f} s | {reach} |",
            flush=True,
        )


def bench_runner(arguments: list[str], folder: Path) -> Measured:
    output = folder / "result.json"
    _run([sys.executable, "-m", "bench_runner", *arguments, "--output", str(output)])
    processes = json.loads(output.read_text())["processes"]
    return [[wall_ms / 1000 for wall_ms in process["wall_ms"]] for process in processes]


def pyperf(model: str, checkpoint: str, folder: Path) -> Measured:
    """One thread, as all; each process loads the model and warms up once."""
    output = folder / "pyperf.json"
    _run([sys.executable, str(HERE), "--as-pyperf", model, checkpoint, *PYPERF, "--output", str(output)])
    (benchmark,) = json.loads(output.read_text())["benchmarks"]
    return [run["values"] for run in benchmark["runs"] if "values" in run]


def hyperfine(model: str, checkpoint: str, folder: Path) -> Measured:
    """A command at a time: the time of Python, torch and the model's loading is in it."""
    output = folder / "hyperfine.json"
    command = f"{sys.executable} {HERE} --once {model} {checkpoint}"
    _run(["hyperfine", "--warmup", "1", "--style", "none", "--export-json", str(output), command])
    (result,) = json.loads(output.read_text())["results"]
    return [[seconds] for seconds in result["times"]]


def _run(command: list[str]) -> None:
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)


def loaded(model: str, checkpoint: str) -> Callable[[], object]:
    """The inference, ready to be timed."""
    from bench_runner import audio, inference

    inference.set_thread_pools(1)
    return inference.Inference(inference.load(Path(checkpoint), model), audio.load(None).samples).run


def as_pyperf(model: str, checkpoint: str) -> None:
    import pyperf

    def arguments_of_workers(command: list[str], _options: object) -> None:
        command[2:2] = ["--as-pyperf", model, checkpoint]

    sys.argv[1:4] = []
    runner = pyperf.Runner(add_cmdline_args=arguments_of_workers, loops=1)
    name = "inference"
    # pyperf's parent only starts processes; the model is loaded in those alone.
    ready: list[Callable[[], object]] = []

    def infer() -> None:
        if not ready:
            ready.append(loaded(model, checkpoint))
        ready[0]()

    runner.bench_func(name, infer)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--once", model, checkpoint]:
            loaded(model, checkpoint)()
        case ["--as-pyperf", model, checkpoint, *_]:
            as_pyperf(model, checkpoint)
        case _:
            main()
