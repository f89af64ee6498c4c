# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The model's weights: where they are found, and proof that they are the ones that were meant."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from bench_runner.errors import BenchmarkError, ExitCode
from bench_runner.models import CHECKPOINT_FILE, PUBLISHED_SHA256
from bench_runner.wording import mebibytes

# Names the folder of baked-in checkpoints; the runner image sets it.
MODELS_VARIABLE = "BENCH_RUNNER_MODELS"
# Weights are kept in half precision and computed with in single precision; the file itself is mapped, not read. Beside
# them lie torch and the activations of one window. Least limits that sufficed: tiny.en 446 MB, base 593 MB, small 1.38 GB.
MEMORY_PER_CHECKPOINT_BYTE = 2.1
MEMORY_BESIDE_BYTES = 270 * 1024**2


@dataclass(frozen=True)
class Checkpoint:
    """A file of weights; verified is one whose hash is the one expected of it."""

    path: Path
    sha256: str
    size_bytes: int
    is_verified: bool

    def check_memory(self, limit_bytes: int | None) -> None:
        """Refuse a memory limit in which this model cannot be loaded."""
        needed = int(self.size_bytes * MEMORY_PER_CHECKPOINT_BYTE) + MEMORY_BESIDE_BYTES
        if limit_bytes is not None and limit_bytes < needed:
            raise BenchmarkError(
                ExitCode.OUT_OF_MEMORY,
                f"the memory limit of {mebibytes(limit_bytes)} does not hold the model, which needs about "
                f"{mebibytes(needed)}; raise the limit or take a smaller model",
            )


def locate(model: str, given: Path | None, expected_sha256: str | None, *, may_download: bool) -> Checkpoint:
    """The model's checkpoint: the file given, the baked-in one, the one in whisper's cache, or a download into it.

    Its hash must be `expected_sha256`; else the one in the file beside it; else the one that OpenAI published, which only a
    file that the user names may differ from (`is_verified` says so): it may be the user's own training.
    """
    path = given or _baked_in(model) or _cached(model, may_download=may_download)
    sha256, size_bytes = _hash(path)
    expected = expected_sha256 or _hash_beside(path)
    is_verified = sha256 == (expected or PUBLISHED_SHA256[model]).lower()
    if not is_verified and (expected or given is None):
        raise BenchmarkError(
            ExitCode.CHECKPOINT,
            f"the checkpoint {path} has SHA-256 {sha256}, not {expected or PUBLISHED_SHA256[model]}: "
            "a wrong or damaged file; fetch it again",
        )
    return Checkpoint(path, sha256, size_bytes, is_verified)


def _baked_in(model: str) -> Path | None:
    folder = os.environ.get(MODELS_VARIABLE)
    path = Path(folder) / f"{model}.pt" if folder else None
    return path if path and path.is_file() else None


def _cached(model: str, *, may_download: bool) -> Path:
    path = _cache() / CHECKPOINT_FILE[model]
    if not path.is_file():
        if not may_download:
            raise BenchmarkError(
                ExitCode.CHECKPOINT,
                f"no checkpoint of model {model} in {os.environ.get(MODELS_VARIABLE) or path.parent}; "
                "build the image with this model or give --checkpoint",
            )
        _download(model, path.parent)
    return path


def _cache() -> Path:
    """Where whisper keeps what it has downloaded."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "whisper"


def _download(model: str, folder: Path) -> None:
    """Have whisper download the checkpoint, which checks its hash; in a process of its own, so that this one stays small."""
    order = "import sys, whisper; whisper._download(whisper._MODELS[sys.argv[1]], sys.argv[2], False)"
    ended = subprocess.run(
        [sys.executable, "-c", order, model, str(folder)], capture_output=True, text=True, errors="replace", check=False
    )
    if ended.returncode:
        reason = next(reversed(ended.stderr.split("\n")[:-1]), f"status {ended.returncode}")
        raise BenchmarkError(
            ExitCode.CHECKPOINT,
            f"no checkpoint of model {model} in {folder}, and its download failed ({reason[:300]}); give --checkpoint",
        )


def _hash_beside(path: Path) -> str | None:
    """What the file `<checkpoint>.sha256` says, if there is one."""
    beside = path.with_name(path.name + ".sha256")
    try:
        return beside.read_text().split()[0]
    except FileNotFoundError:
        return None
    except (OSError, IndexError, UnicodeDecodeError) as error:
        raise BenchmarkError(ExitCode.CHECKPOINT, f"cannot read a hash from {beside}; write it again") from error


def _hash(path: Path) -> tuple[str, int]:
    """SHA-256 and size."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest(), os.fstat(file.fileno()).st_size
    except OSError as error:
        raise BenchmarkError(
            ExitCode.CHECKPOINT, f"cannot read the checkpoint {path}: {error.strerror}; give another --checkpoint"
        ) from error
