# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Stands in for bench_runner/cli.py in an image for Pods: `bench_runner.pod` is the real one, what it wraps is not.

The label `way` names what is wrong with one of the two ways on which a result leaves a Pod.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import stand_in

# Still being read when this is imported.
pod: Any = sys.modules["__main__"]


def main(_arguments: list[str] | None = None) -> int:
    given = sys.argv[1:]
    audio = next((argument.partition("=")[2] for argument in given if argument.startswith("--audio=")), None)
    if audio:
        sys.argv += [f"--label=audio_sha256={hashlib.sha256(Path(audio).read_bytes()).hexdigest()}"]
    if "--label=behaviour=confinement" in given:
        sys.argv += [f"--label=token={Path('/var/run/secrets/kubernetes.io').exists()}"]
    if "--label=behaviour=hoard_disk" in given:
        hoard_disk()
    spoil([argument.partition("=")[2].partition("=")[2] for argument in given if argument.startswith("--label=way=")])
    # The first process of a container is not ended by a signal that it does not handle.
    signal.signal(signal.SIGTERM, lambda *_unused: sys.exit(6))
    measured = stand_in.result
    stand_in.result = lambda options, wall_ms: whole(measured(options, wall_ms))
    try:
        stand_in.main()
    except SystemExit as end:
        return int(str(end.code))
    return 0


def whole(result: dict[str, Any]) -> dict[str, Any]:
    """With all that the schema asks for, from a fixture of the tests."""
    template = json.loads(Path("/opt/template.json").read_text())
    columns = {name: [1.0] for name in ("cpu_ms", "mel_ms", "encoder_ms", "decoder_ms")}
    process = {"process": 1, "model_load_seconds": 1, "warmup_ms": [], **columns, **result["processes"][0]}
    isolation = {**template["isolation"], **result["isolation"]}
    return {**template, **result, "processes": [process], "isolation": isolation}


def hoard_disk() -> None:
    """More than the Pod's folder for temporary files may hold; then wait for the kubelet to notice."""
    with Path("/tmp/hoard").open("wb") as file:
        for _unused in range(300):
            file.write(os.urandom(2**20))
    time.sleep(300)


def spoil(ways: list[str]) -> None:
    real_frame = pod.frame
    for way in ways:
        if way in ("no_frame", "nothing"):
            pod.frame = lambda document: iter(())
        if way in ("no_message", "nothing"):
            pod.TERMINATION_LOG = Path("/nowhere")
        if way == "half_a_frame":
            pod.frame = lambda document: list(real_frame(document))[:-3]
        if way == "altered_frame":
            pod.frame = lambda document: altered(real_frame(document))
        if way == "other_document":
            pod.frame = lambda document: real_frame(document.replace(b'"threads": 1', b'"threads": 2'))
        if way == "scrambled_message":
            pod.termination_message = lambda document: "{" + "\x00" * 20
        if way == "bomb":
            # Kilobytes that unpack to far more than a result may have.
            pod.frame = lambda document: real_frame(document[:-1] + b" " * (64 * 2**20) + b"}")
        if way == "interleaved":
            pod.frame = lambda document: interleaved(real_frame(document))


def altered(lines: Iterator[str]) -> Iterator[str]:
    """One character of the content is another."""
    for line in lines:
        at = 100
        yield line[:at] + ("A" if line[at] != "A" else "B") + line[at + 1 :] if " 1 " in line[:22] else line


def interleaved(lines: Iterator[str]) -> Iterator[str]:
    """Others write into the same log."""
    for line in lines:
        yield "E1123 somebody else"
        yield line
        yield "rightsize-whisper 99 not/ours"


if __name__ == "__main__":
    sys.exit(main())
