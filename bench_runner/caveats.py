# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the reader of a result must know before trusting it: pure functions from figures to warnings.

Each warning has a stable code for programs and a sentence with the figure and the remedy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import NormalDist, fmean
from typing import Any, NamedTuple

from bench_runner import noise
from bench_runner.checkpoint import Checkpoint
from bench_runner.environment import Isolation
from bench_runner.summary import spread_between

# Means of five processes on a quiet machine lay 5.5 % apart at most; beyond that somebody disturbs it.
SPREAD_LIMIT = 0.05
SPREAD_PROCESSES = 5
# On a quiet machine it is more than 99 %.
CPU_SHARE_LIMIT = 0.95
STEAL_LIMIT = 0.01
THROTTLED_LIMIT = 0.10
RUN_QUEUE_LIMIT = 0.02
# Of all CPUs of the machine: they share its caches, its memory and its heat.
OTHER_LOAD_LIMIT = 0.10
FREQUENCY_LIMIT = 0.10


class Warned(NamedTuple):
    """A warning of the result."""

    code: str
    message: str


def is_isolated(isolation: Isolation, expected_cpus: float) -> bool:
    """In a container that may use the CPUs asked for and no more."""
    limit = isolation.cpu_limit
    return isolation.container and limit is not None and abs(limit - expected_cpus) < 1e-6


def of_isolation(isolation: Isolation, expected_cpus: float) -> Iterator[Warned]:
    """What is wrong with where the run takes place."""
    if not isolation.container:
        yield Warned(
            "not_isolated",
            "not in a container: the figures may be inaccurate; run it in a container limited to the CPU",
        )
    limit = isolation.cpu_limit
    if limit is None or abs(limit - expected_cpus) >= 1e-6:
        found = "no CPU limit" if limit is None else f"a CPU limit of {limit:g}"
        yield Warned(
            "cpu_limit_mismatch",
            f"{found} where {expected_cpus:g} is expected: the figures may be inaccurate; "
            f"limit the container with --cpus={expected_cpus:g}",
        )
    if isolation.emulated:
        yield Warned(
            "emulated",
            "the CPU's instructions are emulated: the figures say nothing about it; use an image of its own architecture",
        )


def of_checkpoint(model_size: str, weights: Checkpoint) -> Iterator[Warned]:
    """Whether the weights are known to be the model's."""
    if not weights.is_verified:
        yield Warned(
            "checkpoint_not_verified",
            f"{weights.path} is not the file that OpenAI published for {model_size} (its SHA-256 is {weights.sha256}); "
            "if it is meant, say so with --checkpoint-sha256",
        )


def of_resumption(run_id: str, processes: int, iterations: int) -> Iterator[Warned]:
    """Which part was measured before the run was interrupted."""
    yield Warned(
        "resumed",
        f"processes 1 to {processes} (iterations 1 to {iterations}) are those of run {run_id}, which was interrupted: the "
        "machine may have changed in between; run it anew where that matters",
    )


def of_transcripts(different: int) -> Iterator[Warned]:
    """Whether every iteration did the same work."""
    if different > 1:
        yield Warned(
            "transcript_differs",
            f"the iterations of one run gave {different} different transcripts: they did not do the same work; run it again",
        )


def of_precision(stop_reason: str, stopping: Mapping[str, Any], wanted: float) -> Iterator[Warned]:
    """Whether the run came to the precision that it was asked for; `wanted` is this run's share of it."""
    if stop_reason == "precision_reached":
        return
    found = stopping["half_width"]
    reaches = "there is no interval" if found is None else f"the interval reaches {found:.1%} above the mean"
    end = "the time budget was used up" if stop_reason == "time_budget" else "no more processes were allowed"
    yield Warned(
        "precision_not_reached",
        f"{reaches} where {wanted:.1%} was wanted: after {stopping['processes_used']} processes {end}; "
        "quiet the machine, or allow more",
    )


def of_spread(process_means_ms: Sequence[float]) -> Iterator[Warned]:
    """Whether the processes of the run agree."""
    spread = spread_between(process_means_ms)
    if spread > SPREAD_LIMIT * _growth_of_range(len(process_means_ms)):
        yield Warned(
            "noisy",
            f"the means of the {len(process_means_ms)} processes lie {spread:.1%} apart, from {min(process_means_ms):.0f} "
            f"to {max(process_means_ms):.0f} ms (mean {fmean(process_means_ms):.0f} ms): other work disturbs the machine; "
            "quiet it and run again",
        )


def _growth_of_range(processes: int) -> float:
    """How much wider the range of so many equally noisy processes is than that of five; Blom's largest of n values."""
    if processes <= SPREAD_PROCESSES:
        return 1.0
    largest = [NormalDist().inv_cdf((count - 0.375) / (count + 0.25)) for count in (processes, SPREAD_PROCESSES)]
    return largest[0] / largest[1]


def of_contention(cpu_ms: float, wall_ms: float, cpu_limit: float | None) -> Iterator[Warned]:
    """Whether a measuring process had to wait for its CPU: transcribing, it always has work for one."""
    share = cpu_ms / (wall_ms * min(cpu_limit or 1, 1))
    if share < CPU_SHARE_LIMIT:
        yield Warned(
            "contended",
            f"the measuring processes had a CPU for {share:.0%} of the time that was theirs: other work keeps the CPUs busy; "
            "run it alone",
        )


def of_steal(steal_seconds: float | None, demand_seconds: float | None) -> Iterator[Warned]:
    """Whether a hypervisor gave the CPUs to others while they had work."""
    if steal_seconds is not None and demand_seconds and steal_seconds / demand_seconds > STEAL_LIMIT:
        yield Warned(
            "steal",
            f"the hypervisor kept the CPUs from work for {steal_seconds / demand_seconds:.1%} of the time; "
            "use a host that is not overcommitted",
        )


def of_throttling(
    periods: int | None, throttled_periods: int | None, threads: int, cpu_limit: float | None
) -> Iterator[Warned]:
    """Whether the quota held back threads that should fit into it: more threads than CPUs are throttled by design."""
    if not periods or throttled_periods is None or cpu_limit is None or threads > cpu_limit:
        return
    share = throttled_periods / periods
    if share >= THROTTLED_LIMIT:
        yield Warned(
            "throttled",
            f"{share:.0%} of the periods were throttled although {threads} thread(s) fit the limit of {cpu_limit:g} CPU: "
            "something else runs in the container; see that the benchmark is alone in it",
        )


def of_run_queue(
    run_queue_seconds: float | None, wall_seconds: float, threads: int, cpu_limit: float | None
) -> Iterator[Warned]:
    """Whether threads that should each have a CPU waited for one; more threads than CPUs wait by design."""
    if run_queue_seconds is None or threads > (cpu_limit or threads):
        return
    share = run_queue_seconds / (wall_seconds * threads)
    if share > RUN_QUEUE_LIMIT:
        yield Warned(
            "run_queue_wait",
            f"the measuring threads could have run and waited for a CPU for {share:.1%} of the time: other work is on their "
            "CPUs; run it alone, or with a CPU of its own",
        )


def of_other_load(other_cpus: float | None, machine_cpus: int) -> Iterator[Warned]:
    """Whether others kept the machine busy meanwhile."""
    if other_cpus is not None and other_cpus / machine_cpus > OTHER_LOAD_LIMIT:
        yield Warned(
            "other_load",
            f"other work kept {other_cpus:.2f} of the machine's {machine_cpus} CPUs busy meanwhile, and shares its caches, "
            "memory and heat; quiet it and run again",
        )


def of_frequency(mhz_min: float | None, mhz_max: float | None, power_saving: str | None) -> Iterator[Warned]:
    """Whether the CPU changed its speed, or was told to be slow."""
    if mhz_min is not None and mhz_max is not None and mhz_min < mhz_max * (1 - FREQUENCY_LIMIT):
        yield Warned(
            "frequency_changed",
            f"the CPU's frequency lay between {mhz_min:.0f} and {mhz_max:.0f} MHz: it heats up, or saves power; cool it, "
            "plug it in, or fix its frequency",
        )
    if power_saving:
        yield Warned(
            "power_saving", f"the machine saves power ({power_saving}): it is faster in use; set it to its usual mode"
        )


def of_times(processes_ms: Sequence[Sequence[float]]) -> Iterator[Warned]:
    """What the times of the iterations, process by process, tell of disturbances."""
    modes = noise.modes([wall_ms for process in processes_ms for wall_ms in process])
    if modes:
        yield Warned(
            "bimodal",
            f"the iterations have two speeds, {modes.fast_ms:.0f} ms and for {modes.slow_share:.0%} of them "
            f"{modes.slow_ms:.0f} ms: efficiency cores, or other work on the sibling of a hyper-thread; keep it on CPUs "
            "of one kind",
        )
    means_ms = [fmean(process) for process in processes_ms]
    change = noise.drift(means_ms)
    if change is not None:
        yield Warned(
            "drift",
            f"the last third of the processes is {abs(change):.1%} {_slower(change)} than the first, and it is a trend: the "
            "machine heats up, or its load changes; let it settle and run again",
        )
    change = noise.first_to_last(means_ms)
    if change is not None:
        yield Warned(
            "first_last_differ",
            f"the last process is {abs(change):.1%} {_slower(change)} than the first, more than those in between explain: "
            "the machine changed meanwhile; run again",
        )


def _slower(change: float) -> str:
    return "slower" if change > 0 else "faster"
