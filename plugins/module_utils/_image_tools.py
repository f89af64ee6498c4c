# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What every part of the runner image is made with: programs and streams that are given up with the build, and hashes."""

from __future__ import annotations

import hashlib
import queue
import subprocess
import sys
import tempfile
import threading
import typing as t
from pathlib import Path

if t.TYPE_CHECKING:
    from ._caller import Caller

CHUNK_BYTES = 1 << 20
LOOK_SECONDS = 0.2
# The part of a program's or an engine's words that a message quotes.
QUOTED_CHARACTERS = 300


class ImageError(Exception):
    """The image cannot be built; `kind` is a word that stays the same."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def sha256_of(path: Path) -> str:
    """The hash of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for chunk in iter(lambda: file.read(CHUNK_BYTES), b""):
            digest.update(chunk)
    return digest.hexdigest()


def one_line(text: object) -> str:
    """An error's words, fit to be quoted in a message."""
    return " ".join(str(text).split())[:QUOTED_CHARACTERS]


def pip(command: str) -> t.List[str]:
    """pip of the Python that runs this, with its own settings; dependencies are never resolved here."""
    return [sys.executable, "-m", "pip", command, "--quiet", "--disable-pip-version-check", "--no-deps"]


def run(
    command: t.Sequence[str], caller: Caller, kind: str, what: str, environment: t.Optional[t.Dict[str, str]] = None
) -> None:
    """Run a program while somebody waits for it; raise an ImageError with its last words where it fails."""
    with tempfile.TemporaryFile("w+") as output:
        try:
            process = subprocess.Popen(list(command), stdout=output, stderr=subprocess.STDOUT, env=environment)
        except OSError as error:
            raise ImageError(kind, f"{what}: cannot run {command[0]}: {error.strerror}") from error
        try:
            while process.poll() is None:
                caller.pause(LOOK_SECONDS)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        if process.returncode:
            output.seek(0)
            lines = [line.strip() for line in output if line.strip() and not line.startswith("[notice]")]
            # pip's first error names the package; what follows it tells where to read on.
            errors = [line for line in lines if line.startswith("ERROR")][:1]
            (said,) = errors or lines[-1:] or [f"status {process.returncode}"]
            raise ImageError(kind, f"{what}: {one_line(said)}")


def stream(start: t.Callable[[], t.Iterable[t.Any]], caller: Caller) -> t.Iterator[t.Any]:
    """What the engine says of a long task, while somebody waits for it: it may be silent for minutes."""
    said: queue.Queue[t.Any] = queue.Queue()
    end = object()

    def listen() -> None:
        try:
            for event in start():
                said.put(event)
        except Exception as error:  # Whatever it is, it is raised where somebody waits.
            said.put(error)
        said.put(end)

    threading.Thread(target=listen, daemon=True).start()
    while True:
        caller.check()
        try:
            event = said.get(timeout=LOOK_SECONDS)
        except queue.Empty:
            continue
        if event is end:
            return
        if isinstance(event, Exception):
            raise event
        yield event
