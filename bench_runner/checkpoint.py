# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The model's weights: where they are found, and proof that they are the ones that were meant."""

from __future__ import annotations

import hashlib
import os
import urllib.error
from dataclasses import dataclass
from pathlib import Path

from bench_runner.errors import BenchmarkError, ExitCode
from bench_runner.models import CHECKPOINT_FILE, PUBLISHED_SHA256

# Names the folder of baked-in checkpoints; the runner image sets it.
MODELS_VARIABLE = "BENCH_RUNNER_MODELS"
# Weights are kept in half precision and computed with in single precision; while they are loaded, both are in memory.
# Beside them: torch itself, and the activations of one window (measured with base: 0.35 GB in all beyond the weights).
MEMORY_PER_CHECKPOINT_BYTE = 3.0
MEMORY_BESIDE_BYTES = 350 * 1024**2


@dataclass(frozen=True)
class Checkpoint:
    """A verified file of weights."""

    path: Path
    sha256: str
    size_bytes: int

    def check_memory(self, limit_bytes: int | None) -> None:
        """Refuse a memory limit in which this model cannot be loaded."""
        needed = int(self.size_bytes * MEMORY_PER_CHECKPOINT_BYTE) + MEMORY_BESIDE_BYTES
        if limit_bytes is not None and limit_bytes < needed:
            raise BenchmarkError(
                ExitCode.OUT_OF_MEMORY,
                f"the memory limit of {mebibytes(limit_bytes)} does not hold the model, which needs about "
                f"{mebibytes(needed)}; raise the limit or take a smaller model",
            )


def mebibytes(size_bytes: int) -> str:
    """`512 MiB`."""
    return f"{round(size_bytes / 1024**2)} MiB"


def locate(model: str, given: Path | None, expected_sha256: str | None, *, may_download: bool) -> Checkpoint:
    """The model's checkpoint, its hash checked against what is expected of the place where it was found.

    A file given by the user is checked against `expected_sha256` alone; a baked-in one against the hash beside it; one
    in whisper's cache against the hash that OpenAI published.
    """
    if given is not None:
        return _verified(given, expected_sha256)
    folder = os.environ.get(MODELS_VARIABLE)
    if folder:
        path = Path(folder) / f"{model}.pt"
        if path.is_file():
            return _verified(path, expected_sha256 or _hash_beside(path))
    cached = _cache() / CHECKPOINT_FILE[model]
    if not cached.is_file():
        if not may_download:
            raise BenchmarkError(
                ExitCode.CHECKPOINT,
                f"no checkpoint of model {model} in {folder or cached.parent}; build the image with this model or give --checkpoint",
            )
        _download(model, cached.parent)
    return _verified(cached, expected_sha256 or PUBLISHED_SHA256[model])


def _cache() -> Path:
    """Where whisper keeps what it has downloaded."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "whisper"


def _download(model: str, folder: Path) -> None:
    """Have whisper download the checkpoint, which checks its hash."""
    import whisper

    try:
        whisper._download(whisper._MODELS[model], str(folder), in_memory=False)
    except (OSError, RuntimeError, urllib.error.URLError) as error:
        raise BenchmarkError(
            ExitCode.CHECKPOINT,
            f"no checkpoint of model {model} in {folder}, and its download failed ({' '.join(str(error).split())}); give --checkpoint",
        ) from error


def _hash_beside(path: Path) -> str:
    beside = path.with_name(path.name + ".sha256")
    try:
        return beside.read_text().split()[0]
    except (OSError, IndexError) as error:
        raise BenchmarkError(ExitCode.CHECKPOINT, f"no hash of {path} in {beside}; build the image again") from error


def _verified(path: Path, expected_sha256: str | None) -> Checkpoint:
    try:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        size_bytes = path.stat().st_size
    except OSError as error:
        raise BenchmarkError(ExitCode.CHECKPOINT, f"cannot read the checkpoint {path}: {error.strerror}") from error
    if expected_sha256 is not None and sha256 != expected_sha256.lower():
        raise BenchmarkError(
            ExitCode.CHECKPOINT,
            f"the checkpoint {path} has SHA-256 {sha256}, not {expected_sha256}: a wrong or damaged file; fetch it again",
        )
    return Checkpoint(path, sha256, size_bytes)
