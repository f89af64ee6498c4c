# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A worker that serves: `python -m bench_runner.serve --model-size base` answers one request after the other.

It loads the model once and transcribes with the benchmark's own code, so what it takes is what the benchmark measures.
Requests are JSON lines on standard input, `{"id": 7}`; answers are JSON lines on standard output:

- `{"event": "ready", …}` once the model is warm, with what it is and hears,
- `{"event": "answer", "id": 7, "service_ms": …, "transcript_sha256": …}` to a request,
- `{"event": "refused", "id": null, "message": …}` to a line that is no request.

The end of standard input ends it. Arrivals and queues are the business of whoever sends: in here they would take time
from the one CPU.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from bench_runner import audio, cgroup, checkpoint, environment
from bench_runner.cli import Parser, Tell, add_work_options, count, guarded, made_up_id, positive, valid_run_id
from bench_runner.errors import BenchmarkError, ExitCode
from bench_runner.interruption import set_deadline
from bench_runner.wording import one_line
from bench_runner.worker import as_benchmark_error
from bench_runner.worker_environment import worker_environment

LONGEST_LINE_BYTES = 4096
LARGEST_ID = 10**9
EXAMPLE = '{"id": 7}'

# Transcribes the clip once: the milliseconds that it took, and the hash of its tokens.
Transcribe = Callable[[], tuple[float, str]]
# Says one thing on standard output.
Say = Callable[[dict[str, Any]], None]


def parser() -> Parser:
    """The options of a worker."""
    made = Parser(
        prog="python -m bench_runner.serve",
        description="Transcribe a clip for every JSON line on standard input, one at a time.",
        allow_abbrev=False,
    )
    add_work_options(made)
    made.add_argument(
        "--audio-bytes",
        type=count(1, audio.LARGEST_FILE_BYTES),
        metavar="N",
        help="the clip's file is the first N bytes of standard input",
    )
    made.add_argument("--threads", type=count(1, 1024), default=1, metavar="N", help="size of every thread pool (1)")
    made.add_argument("--deadline", type=positive, metavar="SECONDS", help="give up after so many seconds")
    made.add_argument("--run-id", type=valid_run_id, metavar="ID", help="name in the events (made up)")
    made.add_argument("--progress", choices=("text", "jsonl"), default="text", help="form of standard error (text)")
    return made


def main(arguments: list[str] | None = None) -> int:
    """Serve until standard input ends; gives the exit code."""
    return guarded(arguments, _serve)


def answer_requests(stream: BinaryIO, transcribe: Transcribe, say: Say) -> None:
    """Answer line by line until the stream ends."""
    for line in _lines(stream):
        try:
            number = request_id(line)
        except ValueError as error:
            say({"event": "refused", "id": None, "message": str(error)})
            continue
        service_ms, sha256 = transcribe()
        say({"event": "answer", "id": number, "service_ms": service_ms, "transcript_sha256": sha256})
        # As in the benchmark: between two requests, never within one.
        gc.collect()


def request_id(line: bytes) -> int:
    """The id in a request; ValueError with a line for whoever sent it."""
    if len(line) > LONGEST_LINE_BYTES:
        raise ValueError(f"a request of more than {LONGEST_LINE_BYTES} bytes; send a line such as {EXAMPLE}")
    try:
        request = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not a JSON line ({one_line(error)}); send one such as {EXAMPLE}") from error
    number = request.get("id") if isinstance(request, dict) else None
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= LARGEST_ID:
        raise ValueError(f"a request has an id, a whole number from 0 to {LARGEST_ID}; send a line such as {EXAMPLE}")
    return number


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    """Every line that is not empty; of one that is too long, its beginning."""
    while line := stream.readline(LONGEST_LINE_BYTES + 1):
        rest = line
        while len(rest) > LONGEST_LINE_BYTES and not rest.endswith(b"\n"):
            rest = stream.readline(LONGEST_LINE_BYTES + 1)
        if line.strip():
            yield line


def _serve(given: list[str], tell: Tell) -> None:
    options = parser().parse_args(given)
    if options.audio == "-":
        raise BenchmarkError(
            ExitCode.USAGE, "standard input carries the requests; say with --audio-bytes how much of it is the clip"
        )
    tell(options.run_id or made_up_id())
    if options.deadline is not None:
        set_deadline(options.deadline)
    stream = sys.stdin.buffer
    content = None if options.audio_bytes is None else stream.read(options.audio_bytes)
    if content is not None and len(content) < options.audio_bytes:
        raise BenchmarkError(
            ExitCode.AUDIO, f"standard input ended after {len(content)} of {options.audio_bytes} bytes of the clip"
        )
    clip = audio.load(options.audio) if content is None else audio.of_bytes(content, "standard input")
    group = cgroup.find()
    isolation = environment.isolation(group)
    weights = checkpoint.locate(
        options.model_size, options.checkpoint, options.checkpoint_sha256, may_download=not isolation.container
    )
    weights.check_memory(group.memory_limit_bytes())
    try:
        load_seconds, transcribe = load(weights, options.model_size, clip, options.threads)
        warmup_ms = [transcribe()[0] for _unused in range(options.warmup)]
        gc.collect()
        say_on_stdout(
            {
                "event": "ready",
                "model_size": options.model_size,
                "threads": options.threads,
                "cpu_limit": isolation.cpu_limit,
                "audio": {"seconds": clip.seconds, "sha256": clip.sha256},
                "checkpoint_sha256": weights.sha256,
                "model_load_seconds": load_seconds,
                "warmup_ms": warmup_ms,
            }
        )
        answer_requests(stream, transcribe, say_on_stdout)
    except Exception as error:
        raise as_benchmark_error(error) from error


def load(weights: checkpoint.Checkpoint, model_size: str, clip: audio.Clip, threads: int) -> tuple[float, Transcribe]:
    """The seconds that loading took, and what transcribes."""
    # The pools are read when the libraries are loaded, which is here.
    os.environ.update(worker_environment(threads))
    from bench_runner import inference

    inference.set_thread_pools(threads)
    started = time.monotonic()
    job = inference.Inference(inference.load(weights.path, model_size), clip.samples)
    load_seconds = round(time.monotonic() - started, 4)
    gc.collect()
    gc.freeze()
    gc.disable()

    def transcribe() -> tuple[float, str]:
        iteration, transcript = job.run()
        return iteration.wall_ms, transcript.sha256

    return load_seconds, transcribe


def say_on_stdout(message: dict[str, Any]) -> None:
    """One JSON line, at once."""
    try:
        print(json.dumps(message, allow_nan=False), flush=True)
    except OSError as error:
        # What is left in its buffer cannot be written either: keep Python from trying again when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise BenchmarkError(ExitCode.NOT_WRITABLE, f"cannot write the answers: {error.strerror}") from error


if __name__ == "__main__":
    sys.exit(main())
