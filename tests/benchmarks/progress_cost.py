# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What watching a run costs the run: `python tests/benchmarks/progress_cost.py [--iterations 60] [--same-cpu]`.

One real run in one process of the runner, watched as always: by ansible-playbook, its looks and the module's polls. All
of these are frozen every few seconds, and let go on as long after, so that watched and unwatched iterations alternate.
Prints the ratio of the two with its 95 % interval, and the CPU time of each part in a minute of watching.
`--same-cpu` is the worst case, a machine of one CPU: the watchers are confined to the CPU that the run has.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import docker

REPOSITORY = Path(__file__).parents[2]
sys.path[:0] = [str(REPOSITORY)]

from tests.integration.playbooks import PlaybookRun, inventory, measuring  # noqa: E402

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class Phase(NamedTuple):
    """A stretch of time in which the run was watched, or was not."""

    begun: float
    ended: float
    watched: bool

    def mean_ms(self, iterations: list[dict[str, Any]]) -> float | None:
        """Of the iterations that lie wholly within."""
        inside = [
            each["wall_ms"]
            for each in iterations
            if self.begun <= each["time"] - each["wall_ms"] / 1000 and each["time"] <= self.ended
        ]
        return statistics.fmean(inside) if inside else None


def watchers(playbook: int) -> dict[int, str]:
    """ansible-playbook and what is below it. Looks are children of its worker, and end up in the worker's own account."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    parts = {playbook: "ansible-playbook"}
    for pid, parent in sorted(tuple(map(int, line.split())) for line in listed.splitlines()):
        if parent in parts:
            parts[pid] = "looks" if parent == playbook else "module"
    return parts


def cpu_seconds(pid: int) -> float:
    """CPU time of a process, and of its children that ended; 0 of one that ended itself."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return 0.0
    return sum(int(field) for field in fields[11:15]) / TICKS_PER_SECOND


def alternate(run: PlaybookRun, engine: int, seconds: float) -> tuple[list[Phase], dict[str, float]]:
    """Freeze the watchers and let them go on, until the run ends; the phases, and CPU time in a minute of watching."""
    phases: list[Phase] = []
    cpu: dict[str, float] = {}
    while run.is_running:
        parts = watchers(run.pid) | {engine: "engine"}
        before = {pid: cpu_seconds(pid) for pid in parts}
        phases.append(pause(seconds, watched=True))
        for pid, part in parts.items():
            cpu[part] = cpu.get(part, 0.0) + max(0.0, cpu_seconds(pid) - before[pid])
        frozen = list(watchers(run.pid)) if run.is_running else []
        send(frozen, signal.SIGSTOP)
        phases.append(pause(seconds, watched=False))
        send(frozen, signal.SIGCONT)
    watched_seconds = sum(phase.ended - phase.begun for phase in phases if phase.watched)
    return phases, {part: 60 * used / watched_seconds for part, used in cpu.items()}


def pause(seconds: float, *, watched: bool) -> Phase:
    begun = time.time()
    time.sleep(seconds)
    return Phase(begun, time.time(), watched)


def send(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        if Path(f"/proc/{pid}").exists():
            os.kill(pid, number)


def compare(phases: list[Phase], iterations: list[dict[str, Any]]) -> tuple[float, float, int]:
    """Watched over unwatched, half the width of its interval, and the number of changes between the two."""
    means = [(phase.watched, phase.mean_ms(iterations)) for phase in phases]
    logs = [
        math.log(first / second) * (1 if watched else -1)
        for (watched, first), (_other, second) in pairwise(means)
        if first is not None and second is not None
    ]
    # Each phase but the ends is in two differences, so there are half as many independent ones; 2.1 is Student's t.
    half = 2.1 * statistics.stdev(logs) / math.sqrt(len(logs) / 2)
    return math.exp(statistics.fmean(logs)), half, len(logs)


def follow(container: Any, events: list[dict[str, Any]]) -> None:
    for piece in container.logs(stdout=False, stderr=True, stream=True, follow=True):
        events += [json.loads(line) for line in piece.splitlines()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", default="rightsize-whisper-runner:base")
    parser.add_argument("--iterations", type=int, default=60)
    parser.add_argument("--block-seconds", type=float, default=13)
    parser.add_argument("--same-cpu", action="store_true")
    options = parser.parse_args()
    client = docker.from_env()
    if options.same_cpu:
        # `cpuset: true` takes the engine's last CPU; what ansible-playbook starts inherits the affinity of this process.
        os.sched_setaffinity(0, {client.info()["NCPU"] - 1})
    arguments = {
        "image": options.image,
        "iterations": options.iterations,
        "memory": "4Gi",
        "timeout": 3600,
        "cpuset": options.same_cpu,
    }
    events: list[dict[str, Any]] = []
    settings = {"ANSIBLE_CONFIG": str(REPOSITORY / "ansible.cfg")}
    with (
        tempfile.TemporaryDirectory() as folder,
        PlaybookRun(Path(folder), measuring(Path(folder), arguments), inventory("here"), **settings) as run,
    ):
        run.wait_for("iteration", timeout=3600)
        [container] = client.containers.list(filters={"label": "io.rightsize.whisper.run-id"})
        threading.Thread(target=follow, args=(container, events), daemon=True).start()
        engine = int(subprocess.run(["pidof", "dockerd"], capture_output=True, text=True, check=True).stdout.split()[0])
        phases, cpu_per_minute = alternate(run, engine, options.block_seconds)
        if run.wait() != 0:
            sys.exit(run.output)
    iterations = [event for event in events if event["event"] == "iteration"]
    ratio, half, changes = compare(phases, iterations)
    print(f"watched / unwatched: {ratio:.4f} ± {half:.4f} (95 %), {len(iterations)} iterations, {changes} changes")
    for part, seconds in sorted(cpu_per_minute.items()):
        print(f"{part}: {seconds:.3f} s of CPU time in a minute of watching ({seconds / 0.6:.2f} % of a CPU)")


if __name__ == "__main__":
    main()
