# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line: `python -m bench_runner`. Standard output carries the result and nothing else."""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import secrets
import socket
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

from bench_runner import output
from bench_runner.errors import BenchmarkError, ExitCode
from bench_runner.events import EventStream
from bench_runner.models import PUBLISHED_SHA256
from bench_runner.runner import Run, Settings

RUN_ID = re.compile(r"[a-z0-9][a-z0-9-]{6,61}[a-z0-9]")
SHA256 = re.compile(r"[0-9a-fA-F]{64}")
LABEL = re.compile(r"[A-Za-z0-9_.-]{1,63}=[^\x00-\x1f\x7f]{0,200}")


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        raise BenchmarkError(ExitCode.USAGE, f"{message}; see python -m bench_runner --help")


def parser() -> Parser:
    """The options; defaults are those of the design."""
    made = Parser(
        prog="bench_runner", description="Measure openai-whisper on one CPU; the result is JSON on standard output."
    )
    made.add_argument(
        "--model-size",
        default="base",
        choices=sorted(PUBLISHED_SHA256),
        metavar="NAME",
        help="openai-whisper model (base)",
    )
    made.add_argument("--iterations", type=_count(1), default=50, help="timed inferences in all (50)")
    made.add_argument("--processes", type=_count(1), default=5, help="fresh processes that share them (5)")
    made.add_argument("--threads", type=_count(1), default=1, help="size of every thread pool (1)")
    made.add_argument("--warmup", type=_count(0), default=1, help="untimed inferences at the start of each process (1)")
    made.add_argument("--audio", metavar="FILE", help="clip to transcribe, - for standard input (the bundled sample)")
    made.add_argument(
        "--checkpoint", type=Path, metavar="FILE", help="the model's weights (the image's, else whisper's cache)"
    )
    made.add_argument(
        "--checkpoint-sha256",
        type=_matching(SHA256, "64 hexadecimal digits"),
        metavar="HEX",
        help="what they must hash to",
    )
    made.add_argument("--output", type=Path, metavar="FILE", help="write the result there too")
    made.add_argument("--history", type=Path, metavar="FILE", help="append the result there too, as one line")
    made.add_argument("--journal", type=Path, metavar="FILE", help="append every event there, fsynced")
    made.add_argument(
        "--run-id", type=_matching(RUN_ID, "8 to 63 of a-z, 0-9 and -"), metavar="ID", help="name of the run (made up)"
    )
    made.add_argument(
        "--target", default=socket.gethostname(), metavar="NAME", help="name of the place (the host's name)"
    )
    made.add_argument("--cpu-model", metavar="NAME", help="name of the CPU, where it cannot be read here")
    made.add_argument(
        "--expect-cpus", type=_positive, default=1.0, metavar="CPUS", help="CPU limit that must be in force (1)"
    )
    made.add_argument("--deadline", type=_positive, metavar="SECONDS", help="give up then")
    made.add_argument("--progress", choices=("text", "jsonl"), default="text", help="form of standard error (text)")
    made.add_argument(
        "--label",
        action="append",
        default=[],
        type=_matching(LABEL, "KEY=VALUE"),
        metavar="KEY=VALUE",
        help="kept in the result",
    )
    made.add_argument("--image-id", metavar="ID", help="the image that this runs in, kept in the result")
    return made


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; gives the exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    # Errors of usage come before the options are known, and must have the form that was asked for.
    as_json = re.search(r"--progress[= ]jsonl", " ".join(given)) is not None
    events = EventStream("", as_json=as_json, journal=None)
    try:
        options = parser().parse_args(given)
        settings = _settings(options)
        events = EventStream(settings.run_id, as_json=as_json, journal=options.journal)
        output.check_writable(options.output, options.history)
        result = Run(settings, events).execute()
        output.write(result, options.output, options.history)
    except BenchmarkError as error:
        events.emit("error", code=int(error.code), kind=error.kind, message=" ".join(str(error).split()))
        return error.code
    json.dump(result, sys.stdout, allow_nan=False)
    sys.stdout.write("\n")
    sys.stdout.flush()
    return ExitCode.DONE


def _settings(options: argparse.Namespace) -> Settings:
    return Settings(
        model_size=options.model_size,
        iterations=options.iterations,
        processes=options.processes,
        threads=options.threads,
        warmup=options.warmup,
        run_id=options.run_id or f"{datetime.now(UTC):%Y%m%dt%H%M%S}-{secrets.token_hex(4)}",
        target=options.target,
        audio=options.audio,
        checkpoint=options.checkpoint,
        checkpoint_sha256=options.checkpoint_sha256,
        cpu_model=options.cpu_model or os.environ.get("BENCH_RUNNER_CPU_MODEL"),
        expect_cpus=options.expect_cpus,
        deadline_seconds=options.deadline,
        labels=dict(label.split("=", 1) for label in options.label),
        image_id=options.image_id,
    )


def _count(minimum: int) -> Any:
    def whole_number(text: str) -> int:
        if not re.fullmatch(r"-?\d{1,9}", text) or int(text) < minimum:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least {minimum}")
        return int(text)

    return whole_number


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return value


def _matching(pattern: re.Pattern[str], description: str) -> Any:
    def text_of_that_form(text: str) -> str:
        if not pattern.fullmatch(text):
            raise argparse.ArgumentTypeError(f"{text!r} is not {description}")
        return text

    return text_of_that_form
