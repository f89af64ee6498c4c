# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Stands in for bench_runner where a test needs a runner that misbehaves: it takes the same flags, and the label
`behaviour` names the misbehaviour. Its figures are times of sleeping; it is never used for a measurement."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import signal
import sys
import time
from pathlib import Path
from typing import Any


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    for flag in ("--run-id", "--target", "--model-size", "--progress", "--image-id", "--cpu-model", "--audio"):
        parser.add_argument(flag)
    for flag in ("--iterations", "--processes", "--threads", "--warmup"):
        parser.add_argument(flag, type=int)
    for flag in ("--expect-cpus", "--deadline"):
        parser.add_argument(flag, type=float)
    parser.add_argument("--label", action="append", default=[])
    parser.add_argument("--take-turns", action="store_true")
    options = parser.parse_args()
    options.labels = dict(label.split("=", 1) for label in options.label)
    options.behaviour = options.labels.get("behaviour", "good")
    return options


def emit(options: argparse.Namespace, event: str, **values: Any) -> None:
    line = json.dumps({"event": event, "time": time.time(), "run_id": options.run_id, **values})
    print(line, file=sys.stderr, flush=True)


def fail(options: argparse.Namespace, code: int, message: str) -> None:
    emit(options, "error", code=code, kind="stand_in", message=message)
    sys.exit(code)


def measure(options: argparse.Namespace) -> list[float]:
    pause = float(options.labels.get("seconds", "0.2"))
    started = time.monotonic()
    wall_ms: list[float] = []
    emit(options, "start", target=options.target, model_size=options.model_size, iterations=options.iterations)
    emit(options, "process", process=1, of=1, phase="measuring")
    for number in range(1, options.iterations + 1):
        begun = time.monotonic()
        time.sleep(pause)
        wall_ms.append((time.monotonic() - begun) * 1000)
        mean_ms = sum(wall_ms) / number
        emit(
            options,
            "iteration",
            process=1,
            number=number,
            of=options.iterations,
            wall_ms=wall_ms[-1],
            mean_ms=mean_ms,
            eta_seconds=mean_ms / 1000 * (options.iterations - number),
        )
        if number == 2:
            misbehave_in_the_middle(options)
        if time.monotonic() - started > options.deadline:
            fail(options, 6, "the deadline has passed")
    return wall_ms


def misbehave_in_the_middle(options: argparse.Namespace) -> None:
    if options.behaviour == "crash":
        os._exit(139)
    if options.behaviour == "traceback":
        print(1 // 0)
    if options.behaviour == "out_of_memory":
        hoard = [os.urandom(2**20) for _unused in range(2**20)]
        print(len(hoard))
    if options.behaviour == "hang":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(3600)
    if options.behaviour == "exit_3":
        fail(options, 3, "audio: /in/the/container.wav is empty; give a file with speech")
    if options.behaviour == "exit_4":
        fail(options, 4, "checkpoint: /models/base.pt has another hash than expected; rebuild the image")


def result(options: argparse.Namespace, wall_ms: list[float]) -> dict[str, Any]:
    total_seconds = sum(wall_ms) / 1000
    average_seconds = total_seconds / len(wall_ms)
    machine = {"x86_64": "x86_64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return {
        "schema_version": "1.0",
        "run_id": options.run_id,
        "partial": False,
        "target": options.target,
        "architecture": machine,
        "model_size": options.model_size,
        "iterations": len(wall_ms),
        "iterations_requested": options.iterations,
        "threads": options.threads,
        "avg_latency_ms": average_seconds * 1000,
        "avg_latency_seconds": average_seconds,
        "total_time_seconds": total_seconds,
        "rps": 1 / average_seconds,
        "cpu_limit": options.expect_cpus,
        "isolated": True,
        "isolation": {"container": True, "mode": "quota", "emulated": False},
        "processes": [{"wall_ms": wall_ms}],
        "labels": options.labels,
        "warnings": [],
        "image": {"id": options.image_id},
        "host": None,
    }


def write(options: argparse.Namespace, document: dict[str, Any]) -> None:
    """The result, or what the behaviour makes of it."""
    behaviour = options.behaviour
    if behaviour == "unknown_schema":
        document["schema_version"] = "2.0"
    elif behaviour == "wrong_run":
        document["run_id"] = "another-run-0001"
    elif behaviour == "implausible":
        document["avg_latency_ms"] = 1.0
    elif behaviour == "other_architecture":
        document["architecture"] = "arm64" if document["architecture"] == "x86_64" else "x86_64"
    elif behaviour == "limit_not_enforced":
        document["cpu_limit"] = 2
    elif behaviour == "control_characters":
        document["cpu_model"] = "\x1b]0;pwned\x07\x1b[2J"
    elif behaviour == "markup":
        document["cpu_model"] = "{{ lookup('pipe', 'id') }} | **bold** <script>"
    text = json.dumps(document)
    if behaviour == "truncated":
        text = text[: len(text) // 2]
    elif behaviour == "garbled":
        sys.stdout.buffer.write(b"\x1b[2J\x00\xff")
    elif behaviour == "too_large":
        text = text[:-1] + ', "padding": "' + "x" * (5 * 2**20) + '"}'
    elif behaviour == "silent":
        text = ""
    elif behaviour == "large":
        # More than the 16 KiB after which an engine cuts a line in its log, be it within a character: hence ASCII, as of
        # the real runner.
        text = json.dumps({**document, "padding": "é" * 100_000})
    sys.stdout.buffer.write(text.encode() + b"\n")


def main() -> None:
    options = arguments()
    if options.iterations < 1:
        fail(options, 2, f"--iterations must be at least 1, not {options.iterations}")
    if options.audio == "-":
        options.labels["audio_sha256"] = hashlib.sha256(sys.stdin.buffer.read()).hexdigest()
    if options.behaviour == "confinement":
        options.labels.update(confinement())
    write(options, result(options, measure(options)))
    emit(options, "end", iterations=options.iterations)


def confinement() -> dict[str, str]:
    """What a process finds out about how it is confined."""
    lines = Path("/proc/self/status").read_text().splitlines()
    status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    found = {
        "uid": str(os.getuid()),
        "capabilities": " ".join(status[name] for name in ("CapEff", "CapPrm", "CapBnd")),
        "no_new_privileges": status["NoNewPrivs"],
        "networks": " ".join(sorted(path.name for path in Path("/sys/class/net").iterdir())),
        "cpus": status["Cpus_allowed_list"],
    }
    for folder in ("/", "/opt", "/tmp"):
        try:
            Path(folder, "file").touch()
            found[folder] = "writable"
        except OSError as error:
            found[folder] = error.strerror or ""
    return found


if __name__ == "__main__":
    main()
