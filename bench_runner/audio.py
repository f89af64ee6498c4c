# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The clip that is transcribed: any file that soundfile reads, as 16 kHz mono float32 samples."""

from __future__ import annotations

import hashlib
import io
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench_runner.errors import BenchmarkError, ExitCode

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

SAMPLE_RATE_HZ = 16_000
BUNDLED_SAMPLE = Path(__file__).with_name("sample.flac")
# Below this level (−60 dB of full scale) there is nothing to transcribe.
SILENCE_AMPLITUDE = 1e-3


@dataclass(frozen=True)
class Clip:
    """Samples with where they came from."""

    name: str
    samples: npt.NDArray[np.float32]
    file_sha256: str

    @property
    def seconds(self) -> float:
        """The clip's length."""
        return len(self.samples) / SAMPLE_RATE_HZ

    @property
    def sha256(self) -> str:
        """Of the samples as the model hears them, so that two formats of one recording compare as equal work."""
        return hashlib.sha256(self.samples.astype("<f4").tobytes()).hexdigest()


def load(source: str | None) -> Clip:
    """The clip in a file, on standard input (`-`), or the bundled sample."""
    content, name = _read(source)
    return Clip(name, _decode(content, name), hashlib.sha256(content).hexdigest())


def _read(source: str | None) -> tuple[bytes, str]:
    try:
        if source == "-":
            return sys.stdin.buffer.read(), "standard input"
        path = Path(source) if source else BUNDLED_SAMPLE
        return path.read_bytes(), path.name
    except OSError as error:
        raise BenchmarkError(ExitCode.AUDIO, f"cannot read the audio file {source}: {error.strerror}") from error


def _decode(content: bytes, name: str) -> npt.NDArray[np.float32]:
    import numpy as np
    import soundfile
    import soxr

    try:
        samples, rate = soundfile.read(io.BytesIO(content), dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise BenchmarkError(
            ExitCode.AUDIO, f"cannot decode the audio in {name} ({reason}); give a WAV, FLAC, OGG or MP3 file"
        ) from error
    mono = samples.mean(axis=1)
    if not len(mono):
        raise BenchmarkError(ExitCode.AUDIO, f"the audio in {name} is empty; give a clip with speech in it")
    if not np.isfinite(mono).all():
        raise BenchmarkError(ExitCode.AUDIO, f"the audio in {name} has samples that are no numbers; export it again")
    if np.abs(mono).max() < SILENCE_AMPLITUDE:
        raise BenchmarkError(ExitCode.AUDIO, f"the audio in {name} is silent; give a clip with speech in it")
    if rate != SAMPLE_RATE_HZ:
        # soxr: half a megabyte, the resampler behind librosa, and no ffmpeg program in the image.
        mono = soxr.resample(mono, rate, SAMPLE_RATE_HZ)
    return np.ascontiguousarray(mono, dtype=np.float32)
