# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How long a warm-up has to be: `PYTHONPATH=. python tests/benchmarks/warmup.py [--processes 12] [--tokens 0 4 16 whole]`.

Fresh processes in the runner image, on one CPU as a benchmark's; each warms up in one way, and then measures four
iterations. A warm-up is long enough where the first of them is no slower than the three that follow. The ways take
turns, in an order drawn anew for each round. `0` is no warm-up at all, a number an inference that is broken off after
so many tokens, `whole` one that is not broken off.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
from pathlib import Path

from bench_runner.student_t import two_sided_quantile

HERE = Path(__file__).resolve()
INSIDE = "/warmup.py"
ITERATIONS = 4
# What whisper takes where nothing is asked for: half of the decoder's context.
WHOLE = 224


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--processes", type=int, default=12, help="of every way")
    parser.add_argument("--tokens", nargs="+", default=["0", "4", "16", "whole"])
    parser.add_argument("--model", default="base")
    parser.add_argument("--image", help="the runner image (rightsize-whisper-runner:<model>)")
    options = parser.parse_args()
    image = options.image or f"rightsize-whisper-runner:{options.model}"
    found: dict[str, list[dict[str, list[float]]]] = {tokens: [] for tokens in options.tokens}
    for number in range(options.processes):
        for tokens in random.sample(options.tokens, len(options.tokens)):
            print(f"process {number + 1} of {options.processes}, warm-up: {tokens}", file=sys.stderr)
            found[tokens].append(one_process(image, options.model, tokens))
    print("| warm-up | takes | first iteration over the next three |\n|---|---|---|")
    for tokens, processes in found.items():
        print(row(tokens, processes))


def row(tokens: str, processes: list[dict[str, list[float]]]) -> str:
    ratios = [first / statistics.fmean(rest) for first, *rest in (process["wall_ms"] for process in processes)]
    half_width = two_sided_quantile(0.95, len(ratios) - 1) * statistics.stdev(ratios) / len(ratios) ** 0.5
    seconds = statistics.fmean(sum(process["warmup_ms"]) for process in processes) / 1000
    return f"| {tokens} | {seconds:.2f} s | {statistics.fmean(ratios):.3f} ± {half_width:.3f} |"


def one_process(image: str, model: str, tokens: str) -> dict[str, list[float]]:
    command = ["docker", "run", "--rm", "--cpus=1", "--memory=2g", "--network=none", "--read-only", "--tmpfs=/tmp"]
    command += ["--cap-drop=ALL", "--entrypoint=python3"]
    command += [f"--volume={HERE.parents[2] / 'bench_runner'}:/opt/bench_runner:ro", f"--volume={HERE}:{INSIDE}:ro"]
    ended = subprocess.run([*command, image, INSIDE, "--inside", model, tokens], stdout=subprocess.PIPE, check=True)
    found: dict[str, list[float]] = json.loads(ended.stdout)
    return found


def inside(model: str, tokens: str) -> None:
    """In the container: the real command line, whose one process warms up as asked."""
    import os

    from bench_runner import cli, worker_process

    worker_process.WORKER = (INSIDE, "--worker", tokens)
    output = Path("/tmp/result.json")
    standard_output = os.dup(1)
    os.dup2(2, 1)
    arguments = ["--model-size", model, "--iterations", str(ITERATIONS), "--processes", "1"]
    arguments += ["--warmup", "0" if tokens == "0" else "1"]
    if cli.main([*arguments, "--output", str(output)]):
        sys.exit(1)
    (process,) = json.loads(output.read_text())["processes"]
    with os.fdopen(standard_output, "w") as stream:
        json.dump({name: process[name] for name in ("warmup_ms", "wall_ms")}, stream)


def worker(tokens: str) -> None:
    """A measuring process whose warm-up is broken off after `tokens`."""
    from bench_runner import inference, worker

    inference.WARMUP_TOKENS = WHOLE if tokens == "whole" else int(tokens)
    worker.main()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--inside", model, tokens]:
            inside(model, tokens)
        case ["--worker", tokens]:
            worker(tokens)
        case _:
            main()
