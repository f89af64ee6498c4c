# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m bench_runner.pod`: the benchmark in a Pod, with the flags of `python -m bench_runner`.

A Pod has two ways out, and either may be cut. Its log mixes standard output with standard error and is rotated; so the
result goes there in a frame, compressed, in short numbered lines, with its hash. The termination message survives the
log, but holds little; so it gets the hash, and as much of the result as fits.
"""

from __future__ import annotations

import base64
import copy
import gzip
import hashlib
import io
import json
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from bench_runner import cli
from bench_runner.errors import ExitCode

MARK = "rightsize-whisper"
# Well below the 16 KiB at which container runtimes break a line.
LINE_LENGTH = 4000
TERMINATION_LOG = Path("/dev/termination-log")
# A kubelet keeps 4096 bytes of a container's message, and 12 KiB of all those of a Pod.
TERMINATION_BYTES = 3500


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; gives its exit code."""
    printed = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    with redirect_stdout(printed):
        code = cli.main(arguments)
    if code in (ExitCode.DONE, ExitCode.DISTURBED):
        printed.seek(0)
        document = printed.read().strip().encode()
        message = termination_message(document)
        # The kubelet provides the file; outside a Pod there is none, and nobody who would read it.
        if TERMINATION_LOG.exists():
            TERMINATION_LOG.write_text(message)
        sys.stdout.writelines(f"{line}\n" for line in frame(document))
        sys.stdout.flush()
    return code


def frame(document: bytes) -> Iterator[str]:
    """The lines that carry a result through a log."""
    run_id = json.loads(document)["run_id"]
    packed = base64.b64encode(gzip.compress(document, mtime=0)).decode()
    pieces = [packed[start : start + LINE_LENGTH] for start in range(0, len(packed), LINE_LENGTH)]
    yield f"{MARK} BEGIN {run_id} {len(pieces)} {len(document)} {hashlib.sha256(document).hexdigest()}"
    for number, piece in enumerate(pieces, start=1):
        yield f"{MARK} {number} {piece}"
    yield f"{MARK} END {run_id}"


def termination_message(document: bytes) -> str:
    """What tells of a result where the log is lost: its hash, its mean, and the most complete form of it that fits."""
    result = json.loads(document)
    summary = {
        "run_id": result["run_id"],
        "bytes": len(document),
        "sha256": hashlib.sha256(document).hexdigest(),
        "iterations": result["iterations"],
        "avg_latency_ms": result["avg_latency_ms"],
    }
    for shorter in abridgements(result):
        packed = base64.b64encode(gzip.compress(_compact(shorter).encode(), mtime=0)).decode()
        message = _compact({**summary, "result": packed})
        if len(message) <= TERMINATION_BYTES:
            return message
    return _compact(summary)


def abridgements(result: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Ever shorter forms of a result that still keep to its schema; the latencies stay to the last."""
    shorter = copy.deepcopy(result)
    shorter["software"].update(build="", parallel_info="")
    yield shorter
    for columns in (("mel_ms", "encoder_ms", "decoder_ms"), ("cpu_ms", "warmup_ms")):
        for process in shorter["processes"]:
            process.update({column: [] for column in columns})
        yield shorter
    shorter["transcript"]["text"] = ""
    yield shorter


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


if __name__ == "__main__":
    sys.exit(main())
