# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One process of a run: loads the model, warms up, measures its share of the iterations.

Started by the runner as a fresh Python process. It is told what to do by one JSON line on standard input and answers with
JSON lines on a pipe of its own; after each it waits for a line, so that the runner is idle while something is timed.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from pathlib import Path
from typing import Any, BinaryIO

from bench_runner import cgroup, environment
from bench_runner.errors import BenchmarkError, ExitCode, is_out_of_memory, missing_package
from bench_runner.wording import one_line, unexpected


class Answers:
    """The pipe to the runner."""

    def __init__(self, descriptor: int) -> None:
        self._pipe: BinaryIO = os.fdopen(descriptor, "wb")

    def send(self, kind: str, **fields: Any) -> None:
        """Say something and wait until the runner has dealt with it."""
        self._pipe.write(json.dumps({"kind": kind, **fields}).encode() + b"\n")
        self._pipe.flush()
        if not sys.stdin.readline():
            sys.exit(ExitCode.INTERRUPTED)  # the runner is gone


def main() -> None:
    order = json.loads(sys.stdin.readline())
    answers = Answers(order["answers"])
    try:
        measure(order, answers)
    except Exception as error:
        known = as_benchmark_error(error)
        answers.send("error", code=known.code, message=str(known))


def as_benchmark_error(error: Exception) -> BenchmarkError:
    """Say in one line what went wrong."""
    if isinstance(error, BenchmarkError):
        return error
    if is_out_of_memory(error):
        return BenchmarkError(
            ExitCode.OUT_OF_MEMORY,
            f"no memory left for the model ({one_line(error) or 'allocation failed'}); raise the memory limit or take a smaller model",
        )
    if isinstance(error, ModuleNotFoundError):
        return missing_package(error)
    return BenchmarkError(ExitCode.INTERNAL, f"the measuring process failed: {unexpected(error)}")


def measure(order: dict[str, Any], answers: Answers) -> None:
    """Load, warm up and measure as ordered."""
    import numpy as np

    from bench_runner import inference, software

    inference.set_thread_pools(order["threads"])
    samples = np.frombuffer(bytearray(os.pread(order["samples"], order["samples_bytes"], 0)), dtype="<f4")
    started = time.monotonic()
    model = inference.load(Path(order["checkpoint"]), order["model_size"])
    model_load_seconds = round(time.monotonic() - started, 4)
    answers.send("loaded", software=software.describe())

    job = inference.Inference(model, samples, fallback=order["fallback"])
    gc.collect()
    gc.freeze()
    gc.disable()
    warmup_ms = []
    for _unused in range(order["warmup"]):
        warmup_ms.append(job.warm_up())
        gc.collect()
    answers.send("warm", model_load_seconds=model_load_seconds, warmup_ms=warmup_ms)

    group = cgroup.find()
    for _unused in range(order["iterations"]):
        gc.collect()
        before = _counters(group)
        iteration, transcript = job.run()
        throttling = {name: _difference(value, before[name]) for name, value in _counters(group).items()}
        answers.send(
            "iteration",
            iteration=vars(iteration),
            throttling=throttling,
            mhz=environment.current_mhz(),
            transcript=vars(transcript),
        )


def _counters(group: cgroup.ControlGroup) -> dict[str, float | None]:
    return {**vars(group.cpu_counters()), **vars(environment.cpu_times()), **vars(environment.machine_times())}


def _difference(after: float | None, before: float | None) -> float | None:
    return None if after is None or before is None else round(after - before, 6)


if __name__ == "__main__":
    main()
