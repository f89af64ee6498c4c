# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The runner's side of a measuring process: start it afresh, hear what it answers, tell why it died."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterator
from typing import IO, Any, TextIO

from bench_runner.cgroup import ControlGroup
from bench_runner.errors import BenchmarkError, ExitCode
from bench_runner.wording import mebibytes
from bench_runner.worker_environment import worker_environment

Answer = dict[str, Any]

WORKER = ("-m", "bench_runner.worker")
# What libgomp and Python say where the kernel lets a container have no more threads.
THREADS_REFUSED = re.compile(r"thread creation failed|can't start new thread", re.IGNORECASE)


@contextlib.contextmanager
def shared_samples(samples: bytes) -> Iterator[int]:
    """A descriptor of the audio for the processes to read; the file has no name, so nothing is left behind."""
    with tempfile.TemporaryFile() as file:
        file.write(samples)
        file.flush()
        yield file.fileno()


def answers(order: dict[str, Any], samples: int, group: ControlGroup) -> Generator[Answer, None, None]:
    """Carry out `order` in a fresh process and give its answers one by one; it waits while one is dealt with.

    The process is in a session of its own, so that Ctrl-C reaches the runner alone. What libraries print goes to a file,
    and is looked at only where the process dies. Raises BenchmarkError then, or where it answers with one.
    """
    kills_before = group.out_of_memory_kills()
    reading, writing = os.pipe()
    with tempfile.TemporaryFile("w+", errors="replace") as chatter, os.fdopen(reading, "rb") as pipe:
        process = subprocess.Popen(
            [sys.executable, *WORKER],
            stdin=subprocess.PIPE,
            stdout=chatter,
            stderr=chatter,
            pass_fds=[writing, samples],
            env=worker_environment(order["threads"]),
            start_new_session=True,
        )
        os.close(writing)
        assert process.stdin is not None
        try:
            _send(process.stdin, {**order, "samples": samples, "answers": writing})
            for line in pipe:
                answer = json.loads(line)
                if answer["kind"] == "error":
                    raise BenchmarkError(ExitCode(answer["code"]), answer["message"])
                yield answer
                _send(process.stdin, None)
            status = process.wait()
        finally:
            process.kill()
            process.wait()
        if status:
            raise _death(status, group, kills_before, chatter)


def _send(stdin: IO[bytes], message: object) -> None:
    # A process that is gone is noticed by the end of its answers.
    with contextlib.suppress(BrokenPipeError):
        stdin.write(json.dumps(message).encode() + b"\n")
        stdin.flush()


def _death(status: int, group: ControlGroup, kills_before: int, chatter: TextIO) -> BenchmarkError:
    if status == -signal.SIGKILL and group.out_of_memory_kills() > kills_before:
        limit = group.memory_limit_bytes()
        return BenchmarkError(
            ExitCode.OUT_OF_MEMORY,
            f"the kernel killed the measuring process for want of memory: the limit is "
            f"{mebibytes(limit) if limit else 'that of the machine'}; raise it or take a smaller model",
        )
    chatter.seek(0)
    last = next((line.strip() for line in reversed(chatter.readlines()) if line.strip()), "it said nothing")
    if THREADS_REFUSED.search(last):
        return BenchmarkError(
            ExitCode.USAGE,
            f"the measuring process may not start so many threads ({last[:300]}); ask for fewer, or raise the limit of the "
            "container on processes (docker run --pids-limit, podPidsLimit of a kubelet)",
        )
    how = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
    return BenchmarkError(ExitCode.INTERNAL, f"the measuring process {how} ({last[:300]}); run it again")
