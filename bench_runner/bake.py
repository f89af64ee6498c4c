# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run in the image's build: `python3 -m bench_runner.bake MODEL FROM TO SHA256` puts a checkpoint and its hash in place.

FROM holds the checkpoint in OpenAI's layout (`model.pt`), or a published conversion of it (`model.bin`), which is
converted back. Either way the checkpoint must have the hash. Whether these are the weights of that model is seen when
the build loads them.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
from pathlib import Path

from bench_runner.convert import convert
from bench_runner.errors import BenchmarkError, ExitCode


def bake(model: str, source: Path, destination: Path, sha256: str) -> None:
    """Make `destination`/MODEL.pt and its hash file, or raise BenchmarkError."""
    destination.mkdir(parents=True, exist_ok=True)
    checkpoint = destination / f"{model}.pt"
    if (source / "model.pt").exists():
        shutil.copyfile(source / "model.pt", checkpoint)
    else:
        convert([source / "model.bin"], checkpoint)
    with checkpoint.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        raise BenchmarkError(ExitCode.CHECKPOINT, f"the checkpoint of {model} has SHA-256 {found}, not {sha256}")
    hash_file = checkpoint.with_name(f"{checkpoint.name}.sha256")
    hash_file.write_text(f"{found}  {checkpoint.name}\n")
    for path in (checkpoint, hash_file):
        path.chmod(0o444)


def main(arguments: list[str]) -> int:
    model, source, destination, sha256 = arguments
    try:
        bake(model, Path(source), Path(destination), sha256)
    except BenchmarkError as error:
        print(f"bench_runner: error: {error}", file=sys.stderr)
        return error.code
    return ExitCode.DONE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
