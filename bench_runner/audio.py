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
from bench_runner.wording import duration, mebibytes

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

SAMPLE_RATE_HZ = 16_000
BUNDLED_SAMPLE = Path(__file__).with_name("sample.flac")
# Below this level (−60 dB of full scale) there is nothing to transcribe.
SILENCE_AMPLITUDE = 1e-3
PCM_STEPS = 1 << 15
# More tells nothing more, and must be held in memory beside the model. Ten minutes of CD audio have 100 MiB.
LONGEST_CLIP_SECONDS = 600
LARGEST_FILE_BYTES = 128 * 1024**2


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
        return hashlib.sha256(self.samples.tobytes()).hexdigest()


def load(source: str | None) -> Clip:
    """The clip in a file, on standard input (`-`), or the bundled sample."""
    return of_bytes(*_read(source))


def of_bytes(content: bytes, name: str) -> Clip:
    """The clip whose file has this content; raises BenchmarkError where that is no audio."""
    if not content:
        raise BenchmarkError(ExitCode.AUDIO, f"there is no audio in {name}: it is empty; give a clip with speech in it")
    if len(content) > LARGEST_FILE_BYTES:
        raise BenchmarkError(
            ExitCode.AUDIO, f"the audio in {name} is larger than {mebibytes(LARGEST_FILE_BYTES)}; cut a shorter clip"
        )
    return Clip(name, _decode(content, name), hashlib.sha256(content).hexdigest())


def _read(source: str | None) -> tuple[bytes, str]:
    path = Path(source) if source else BUNDLED_SAMPLE
    name = "standard input" if source == "-" else path.name
    try:
        if source == "-":
            content = sys.stdin.buffer.read(LARGEST_FILE_BYTES + 1)
        else:
            with path.open("rb") as file:
                content = file.read(LARGEST_FILE_BYTES + 1)
    except OSError as error:
        raise BenchmarkError(
            ExitCode.AUDIO, f"cannot read the audio file {path}: {error.strerror}; give another --audio"
        ) from error
    return content, name


def _decode(content: bytes, name: str) -> npt.NDArray[np.float32]:
    """Samples of 16 bits, computed in double precision: the same on every architecture."""
    import numpy as np

    channels, rate = _channels(content, name)
    if not np.isfinite(channels).all():
        raise BenchmarkError(ExitCode.AUDIO, f"the audio in {name} has samples that are no numbers; export it again")
    mono = _resampled(channels.mean(axis=1), rate)
    if not len(mono):
        raise BenchmarkError(ExitCode.AUDIO, f"the audio in {name} is empty; give a clip with speech in it")
    if np.abs(mono).max() < SILENCE_AMPLITUDE:
        raise BenchmarkError(ExitCode.AUDIO, f"the audio in {name} is silent; give a clip with speech in it")
    steps = np.rint(mono * PCM_STEPS).clip(-PCM_STEPS, PCM_STEPS - 1)
    return (steps / PCM_STEPS).astype("<f4")


def _channels(content: bytes, name: str) -> tuple[npt.NDArray[np.float64], int]:
    import soundfile

    try:
        with soundfile.SoundFile(io.BytesIO(content)) as file:
            if file.frames > LONGEST_CLIP_SECONDS * file.samplerate:
                raise BenchmarkError(
                    ExitCode.AUDIO,
                    f"the audio in {name} lasts {duration(file.frames / file.samplerate)}, more than "
                    f"{duration(LONGEST_CLIP_SECONDS)}; cut a shorter clip",
                )
            return file.read(dtype="float64", always_2d=True), file.samplerate
    except soundfile.LibsndfileError as error:
        raise BenchmarkError(
            ExitCode.AUDIO,
            f"cannot decode the audio in {name} ({error.error_string}); give a WAV, FLAC, OGG or MP3 file",
        ) from error


def _resampled(mono: npt.NDArray[np.float64], rate: int) -> npt.NDArray[np.float64]:
    if rate == SAMPLE_RATE_HZ or not len(mono):
        return mono
    # soxr: half a megabyte, the resampler behind librosa, and no ffmpeg program in the image.
    import soxr

    resampled: npt.NDArray[np.float64] = soxr.resample(mono, rate, SAMPLE_RATE_HZ, quality="VHQ")
    return resampled
