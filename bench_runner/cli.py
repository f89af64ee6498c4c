# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line: `python -m bench_runner`. Standard output carries the result and nothing else."""

from __future__ import annotations

import argparse
import math
import re
import secrets
import socket
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

from bench_runner import output, resume
from bench_runner.errors import BenchmarkError, ExitCode, missing_package
from bench_runner.events import EventStream
from bench_runner.interruption import await_turns, be_undisturbed, interruptible, set_deadline
from bench_runner.models import PUBLISHED_SHA256
from bench_runner.runner import Run, Settings
from bench_runner.wording import unexpected

# Opens the events of a run, by its id, with the journal if there is one.
Tell = Callable[..., EventStream]
# A day and more: what is larger is a slip of the keyboard.
LARGEST_NUMBER = 1e6
# What of the deadline is used where a run stops by itself: the rest is for loading, and for a last process that is slow.
SHARE_OF_DEADLINE = 0.9


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        raise BenchmarkError(ExitCode.USAGE, f"{message}; see python -m bench_runner --help")


def parser() -> Parser:
    """The options; defaults are those of the design."""
    made = Parser(
        prog="python -m bench_runner",
        description="Measure openai-whisper on one CPU; the result is JSON on standard output.",
        allow_abbrev=False,
    )
    split = made.add_argument_group("how it is measured")
    split.add_argument(
        "--iterations", type=count(1, 100_000), default=50, metavar="N", help="timed inferences in all (50)"
    )
    split.add_argument(
        "--processes", type=count(1, 1000), default=5, metavar="N", help="fresh processes that share them (5)"
    )
    split.add_argument(
        "--precision",
        type=_precision,
        metavar="SHARE",
        help="measure further processes, of iterations / processes each, until the mean is known to ± this share (0.02)",
    )
    split.add_argument(
        "--precision-of",
        choices=("latency", "ratio"),
        help="what is to be that precise: this latency, or a ratio of which it is one side (latency)",
    )
    split.add_argument(
        "--max-processes", type=count(3, 1000), metavar="N", help="with --precision: processes at most (40)"
    )
    split.add_argument(
        "--time-budget",
        type=positive,
        metavar="SECONDS",
        help="with --precision: end by then, and say how precise it is",
    )
    split.add_argument("--threads", type=count(1, 1024), default=1, metavar="N", help="size of every thread pool (1)")
    split.add_argument(
        "--fallback",
        action="store_true",
        help="decode a window again that came out badly, as a service does: for service times, not for a ratio",
    )
    split.add_argument(
        "--strict",
        action="store_true",
        help="end with status 8 where something disturbed the measurement; the result is kept",
    )
    split.add_argument(
        "--take-turns",
        action="store_true",
        help="before each process but the first, wait for SIGUSR1: others measure on this machine in between",
    )
    split.add_argument(
        "--journal", type=Path, metavar="FILE", help="append every event, fsynced; see bench_runner.recover"
    )
    earlier = split.add_mutually_exclusive_group()
    earlier.add_argument(
        "--resume",
        type=Path,
        metavar="FILE",
        help="go on from the journal of a run that was interrupted: its finished processes are taken",
    )
    earlier.add_argument("--resume-packed", metavar="TEXT", help="the same, of a journal as gzip in base64")
    add_shared_options(made)
    return made


def add_work_options(made: Parser) -> None:
    """What every command that transcribes takes."""
    what = made.add_argument_group("what is measured")
    what.add_argument("--model-size", default="base", type=_model, metavar="NAME", help="openai-whisper model (base)")
    what.add_argument(
        "--warmup",
        type=count(0, 1000),
        default=1,
        metavar="N",
        help="untimed inferences of each process, broken off early (1)",
    )
    what.add_argument("--audio", metavar="FILE", help="clip to transcribe, - for standard input (the bundled sample)")
    what.add_argument(
        "--checkpoint", type=Path, metavar="FILE", help="the model's weights (the image's, or whisper's cache)"
    )
    what.add_argument("--checkpoint-sha256", type=_sha256, metavar="HEX", help="what they must hash to")


def add_shared_options(made: Parser) -> None:
    """What the stress test takes as well."""
    add_work_options(made)
    where = made.add_argument_group("where it runs")
    where.add_argument(
        "--target", default=socket.gethostname(), type=_name, metavar="NAME", help="the place (the host's name)"
    )
    where.add_argument("--cpu-model", type=_name, metavar="NAME", help="name of the CPU, where it cannot be read here")
    where.add_argument(
        "--expect-cpus", type=positive, default=1.0, metavar="CPUS", help="CPU limit there should be (1)"
    )
    where.add_argument("--image-id", type=_name, metavar="ID", help="the image that this runs in, kept in the result")
    where.add_argument("--deadline", type=positive, metavar="SECONDS", help="give up after so many seconds")
    told = made.add_argument_group("what is told")
    told.add_argument("--run-id", type=valid_run_id, metavar="ID", help="name of the run (made up)")
    told.add_argument(
        "--label", action="append", default=[], type=_label, metavar="KEY=VALUE", help="kept in the result"
    )
    told.add_argument("--progress", choices=("text", "jsonl"), default="text", help="form of standard error (text)")
    told.add_argument("--output", type=Path, metavar="FILE", help="write the result there too")
    told.add_argument("--history", type=Path, metavar="FILE", help="append the result there too, as one line")


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; gives the exit code."""
    return guarded(arguments, _benchmark)


def _benchmark(given: list[str], tell: Tell) -> None:
    options = parser().parse_args(given)
    settings = _settings(options)
    events = tell(settings.run_id, options.journal)
    if options.take_turns:
        await_turns()
    if options.deadline is not None:
        set_deadline(options.deadline)
    output.check(options.output, options.history)
    result = Run(settings, events).execute()
    be_undisturbed()
    output.write(result, options.output, options.history)
    if options.strict and result["strict_findings"]:
        raise BenchmarkError(
            ExitCode.DISTURBED,
            f"the result was kept, but is not to be trusted: {', '.join(result['strict_findings'])}; see its warnings",
        )


def guarded(arguments: list[str] | None, work: Callable[[list[str], Tell], None]) -> int:
    """Do the work of a command, tell its error in one line where there is one, and give the exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    # What is wrong with the options is told before they are known, and in the form that was asked for.
    as_json = re.search(r"--progress[= ]jsonl", " ".join(given)) is not None
    events = EventStream("", as_json=as_json)

    def tell(run_id: str, journal: Path | None = None) -> EventStream:
        nonlocal events
        events = EventStream(run_id, as_json=as_json, journal=journal)
        return events

    try:
        with interruptible():
            work(given, tell)
    except BenchmarkError as error:
        return _fail(events, error)
    except ModuleNotFoundError as error:
        return _fail(events, missing_package(error))
    except Exception as error:
        return _fail(events, BenchmarkError(ExitCode.INTERNAL, f"internal error: {unexpected(error)}"))
    return ExitCode.DONE


def _fail(events: EventStream, error: BenchmarkError) -> int:
    message = " ".join(str(error).split())
    if error.code == ExitCode.INTERRUPTED:
        finished = sum(event["event"] == "iteration" for event in events.events)
        message += f"; {finished} iterations were finished"
    events.emit("error", code=int(error.code), kind=error.kind, message=message)
    return error.code


def _settings(options: argparse.Namespace) -> Settings:
    return Settings(
        **shared_settings(options),
        run_id=options.run_id or made_up_id(),
        processes=options.processes,
        threads=options.threads,
        labels=labels(options),
        fallback=options.fallback,
        turns_within=(options.deadline or LARGEST_NUMBER) if options.take_turns else None,
        **_adaptive_settings(options),
        earlier=_earlier(options),
    )


def _earlier(options: argparse.Namespace) -> resume.Earlier | None:
    if options.resume is not None:
        return resume.read(options.resume)
    return None if options.resume_packed is None else resume.unpack(options.resume_packed)


def _adaptive_settings(options: argparse.Namespace) -> dict[str, Any]:
    """What --precision is asked with. The deadline is a time budget too: better a wider interval than no result."""
    if options.precision is None:
        for name in ("precision_of", "max_processes", "time_budget"):
            if getattr(options, name) is not None:
                raise BenchmarkError(
                    ExitCode.USAGE,
                    f"argument --{name.replace('_', '-')}: it goes with --precision; "
                    "without that the iterations asked for are measured",
                )
        return {}
    return {
        "precision": options.precision,
        "precision_of_ratio": options.precision_of == "ratio",
        "most_processes": options.max_processes or 40,
        "time_budget_seconds": min(
            filter(None, (options.time_budget, options.deadline and options.deadline * SHARE_OF_DEADLINE)), default=None
        ),
    }


def shared_settings(options: argparse.Namespace) -> dict[str, Any]:
    """What is asked of every run of a command."""
    names = ("model_size", "iterations", "warmup", "target", "audio", "checkpoint", "checkpoint_sha256")
    return {name: getattr(options, name) for name in (*names, "cpu_model", "expect_cpus", "image_id")}


def made_up_id() -> str:
    """A name for a run that was given none."""
    return f"{datetime.now(UTC):%Y%m%dt%H%M%Sz}-{secrets.token_hex(4)}"


def labels(options: argparse.Namespace) -> dict[str, str]:
    """The labels, by key."""
    return dict(label.split("=", 1) for label in options.label)


def _model(text: str) -> str:
    if text not in PUBLISHED_SHA256:
        raise argparse.ArgumentTypeError(f"there is no model {text!r}; take one of {', '.join(PUBLISHED_SHA256)}")
    return text


def count(minimum: int, maximum: int) -> Callable[[str], int]:
    """Reads a whole number between the two."""

    def whole_number(text: str) -> int:
        if not re.fullmatch(r"-?[0-9]{1,9}", text) or not minimum <= int(text) <= maximum:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {minimum} to {maximum}")
        return int(text)

    return whole_number


def positive(text: str) -> float:
    """Reads a number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value <= LARGEST_NUMBER:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return value


def _precision(text: str) -> float:
    value = positive(text)
    if not 0.001 <= value <= 0.5:
        raise argparse.ArgumentTypeError(f"{text!r} is not a share from 0.001 to 0.5, such as 0.02 for 2 %")
    return value


def _matching(pattern: str, description: str) -> Callable[[str], str]:
    def text_of_that_form(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise argparse.ArgumentTypeError(f"{text!r} is not {description}")
        return text

    return text_of_that_form


valid_run_id = _matching(
    r"[a-z0-9][a-z0-9-]{6,61}[a-z0-9]", "8 to 63 of a-z, 0-9 and -, which does not begin or end it"
)
_sha256 = _matching(r"[0-9a-fA-F]{64}", "64 hexadecimal digits")
_name = _matching(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,300}", "1 to 300 printable characters")
_label = _matching(
    r"[A-Za-z0-9_./-]{1,63}=[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{0,200}", "KEY=VALUE of printable characters"
)
