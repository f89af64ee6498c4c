# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stress test: `python -m bench_runner.stress --threads 1,2,4` measures thread counts where the CPU limit stays.

Every thread count is measured by runs of the benchmark, each in a fresh process, in blocks of random order: what changes
on the machine meanwhile meets them all alike. The first block begins with one thread, which the others are held against.
Standard output carries one JSON document: the judgement, and every result.
"""

from __future__ import annotations

import argparse
import random
import secrets
import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from bench_runner import SCHEMA_VERSION, output
from bench_runner.cli import Parser, Tell, add_shared_options, count, guarded, labels, made_up_id, shared_settings
from bench_runner.errors import BenchmarkError, ExitCode
from bench_runner.interruption import be_undisturbed, set_deadline
from bench_runner.runner import Run, Settings
from bench_runner.throttling import Judgement, Row, judge, reason_to_skip, seconds_left
from bench_runner.wording import duration

# A run's id is at most 63 characters; one of a stress test's runs has a number behind.
LONGEST_ID = 58


def parser() -> Parser:
    """The options of the stress test."""
    made = Parser(
        prog="python -m bench_runner.stress",
        description="Measure thread counts against one CPU limit and say whether they are throttled, as JSON.",
        allow_abbrev=False,
    )
    split = made.add_argument_group("how it is measured")
    split.add_argument(
        "--threads", type=_thread_counts, default=(1, 2, 4), metavar="N,N…", help="thread counts, 1 among them (1,2,4)"
    )
    split.add_argument(
        "--processes", type=count(1, 1000), default=3, metavar="N", help="fresh processes of each thread count (3)"
    )
    split.add_argument(
        "--iterations", type=count(1, 100_000), default=3, metavar="N", help="timed inferences of each process (3)"
    )
    split.add_argument("--seed", type=count(0, 2**29), metavar="N", help="of the random order (made up, and recorded)")
    add_shared_options(made)
    return made


def main(arguments: list[str] | None = None) -> int:
    """Run the stress test; gives the exit code."""
    return guarded(arguments, _stress)


def plan(threads: tuple[int, ...], blocks: int, seed: int) -> Iterator[list[int]]:
    """The thread counts block by block."""
    chance = random.Random(seed)
    for block in range(blocks):
        order = chance.sample(threads, len(threads))
        if block == 0:
            order.remove(1)
            order.insert(0, 1)
        yield order


def _stress(given: list[str], tell: Tell) -> None:
    options = parser().parse_args(given)
    stress_id = (options.run_id or made_up_id())[:LONGEST_ID].rstrip("-")
    seed = secrets.randbelow(2**29) if options.seed is None else options.seed
    tell(stress_id)
    if options.audio == "-":
        raise BenchmarkError(
            ExitCode.USAGE, "standard input can be read once, and every process reads the clip; name a file"
        )
    if options.deadline is not None:
        set_deadline(options.deadline)
    output.check(options.output, options.history)
    blocks = list(plan(options.threads, options.processes, seed))
    results, stopped, failure = _measure(options, stress_id, blocks, tell)
    be_undisturbed()
    judgement = judge(results)
    events = tell(stress_id)
    for line in table(judgement):
        events.log(line)
    document = {
        "schema_version": SCHEMA_VERSION,
        "stress_id": stress_id,
        "seed": seed,
        "order": blocks,
        "stopped_early": {str(threads): reason for threads, reason in stopped.items()},
        **asdict(judgement),
        "results": results,
    }
    output.write(document, options.output, None)
    if failure is not None:
        raise failure


def _measure(
    options: argparse.Namespace, stress_id: str, blocks: list[list[int]], tell: Tell
) -> tuple[list[dict[str, Any]], dict[int, str], BenchmarkError | None]:
    """The results, the thread counts that were stopped early with the reason, and the first failure.

    A thread count that fails is left out from there on; what the others gave is worth keeping. Where the first run fails,
    there is nothing to hold others against.
    """
    planned = [(block, threads) for block, order in enumerate(blocks, start=1) for threads in order]
    results: list[dict[str, Any]] = []
    stopped: dict[int, str] = {}
    failure: BenchmarkError | None = None
    for number, (block, threads) in enumerate(planned, start=1):
        if threads in stopped:
            continue
        events = tell(f"{stress_id}-{number:03}")
        left = ""
        if results:
            cpus = results[0]["cpu_limit"]
            reason = reason_to_skip(judge(results).rows, cpus, threads)
            if reason is not None:
                stopped[threads] = reason
                events.log(f"{threads} threads: {reason}")
                continue
            to_come = [(cpus, later) for _unused, later in planned[number - 1 :] if later not in stopped]
            left = f", about {duration(seconds_left(results, to_come))} left"
        events.log(f"run {number} of {len(planned)}: threads {threads}, block {block} of {len(blocks)}{left}")
        settings = Settings(
            **shared_settings(options),
            run_id=f"{stress_id}-{number:03}",
            processes=1,
            threads=threads,
            labels={**labels(options), "stress": stress_id, "block": str(block)},
        )
        try:
            results.append(Run(settings, events).execute())
            if options.history is not None:
                output.keep(results[-1], options.history)
        except BenchmarkError as error:
            if not results:
                raise
            stopped[threads] = f"failed: {error}"
            failure = failure or error
            if error.code in (ExitCode.INTERRUPTED, ExitCode.NOT_WRITABLE):
                break
            events.log(f"{threads} threads: {stopped[threads]}")
    return results, stopped, failure


def table(judgement: Judgement) -> Iterator[str]:
    """The comparison as lines for a terminal."""
    yield f"{'threads':>7}  {'latency':>9}  {'ratio':>6}  {'throttled periods':>18}  {'CPU time':>8}  {'req/s':>6}  verdict"
    for row in judgement.rows:
        yield (
            f"{row.threads:>7}  {row.avg_latency_ms / 1000:>7.3f} s  {_factor(row.ratio):>6}  {_share(row):>18}  "
            f"{_factor(row.cpu_inflation):>8}  {row.rps:>6.3f}  {row.verdict}"
        )
    for recommendation in judgement.recommendations:
        yield recommendation.message


def _factor(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}×"


def _share(row: Row) -> str:
    if row.throttled_share is None:
        return "not applicable"
    return f"{row.throttled_periods} of {row.periods} ({row.throttled_share:.0%})"


def _thread_counts(text: str) -> tuple[int, ...]:
    counts = tuple(dict.fromkeys(count(1, 1024)(part) for part in text.split(",")))
    if 1 not in counts:
        raise argparse.ArgumentTypeError("1 must be among the thread counts: the others are held against it")
    return counts


if __name__ == "__main__":
    sys.exit(main())
