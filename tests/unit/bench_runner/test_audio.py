# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bench_runner import audio
from bench_runner.errors import BenchmarkError, ExitCode

TONE = 0.5 * np.sin(np.arange(44_100) * 2 * np.pi * 440 / 44_100)


def write(path: Path, samples: np.ndarray, rate: int = 16_000, subtype: str = "FLOAT") -> str:
    soundfile.write(path, samples, rate, subtype=subtype)
    return str(path)


def refusal(source: str) -> str:
    with pytest.raises(BenchmarkError) as caught:
        audio.load(source)
    assert caught.value.code == ExitCode.AUDIO
    return str(caught.value)


def test_the_bundled_sample_is_fifteen_seconds_of_speech() -> None:
    clip = audio.load(None)
    assert clip.name == "sample.flac"
    assert 14 < clip.seconds < 16
    assert clip.samples.dtype == np.float32
    assert clip.sha256 == "fffa0098b5146608c139903cf1e2ae917d68127fa7f9d8dfb0ccfb18db4177f0"
    assert clip.file_sha256 == hashlib.sha256(audio.BUNDLED_SAMPLE.read_bytes()).hexdigest()
    assert len(audio.BUNDLED_SAMPLE.with_name("sample.txt").read_text().split()) > 30


@pytest.mark.parametrize(
    ("name", "subtype"), [("a.wav", "PCM_16"), ("a.wav", "DOUBLE"), ("a.flac", "PCM_24"), ("a.ogg", "VORBIS")]
)
@pytest.mark.parametrize("channels", [1, 2])
def test_any_file_becomes_16_khz_mono(tmp_path: Path, name: str, subtype: str, channels: int) -> None:
    samples = np.column_stack([TONE] * channels)
    clip = audio.load(write(tmp_path / name, samples, 44_100, subtype))
    assert clip.seconds == pytest.approx(1, abs=0.001)
    assert np.abs(clip.samples).max() == pytest.approx(0.5, abs=0.02)
    spectrum = np.abs(np.fft.rfft(clip.samples))
    assert np.argmax(spectrum) == pytest.approx(440, abs=1)


def test_the_same_sound_in_two_formats_is_the_same_work(tmp_path: Path) -> None:
    samples = np.rint(TONE * 20_000) / 32_768
    clips = [
        audio.load(write(tmp_path / name, samples, 16_000, subtype))
        for name, subtype in (("a.wav", "PCM_16"), ("b.wav", "DOUBLE"), ("c.flac", "PCM_24"))
    ]
    assert len({clip.sha256 for clip in clips}) == 1
    assert len({clip.file_sha256 for clip in clips}) == 3


def test_rounding_hides_what_differs_between_architectures(tmp_path: Path) -> None:
    """Two resamplers that differ in the last bits of a double give the same samples."""
    noise = np.random.default_rng(1).standard_normal(48_000) * 0.1
    clips = [audio.load(write(tmp_path / f"{n}.wav", noise * (1 + n * 1e-14), 48_000, "DOUBLE")) for n in range(3)]
    assert len({clip.sha256 for clip in clips}) == 1


def test_full_scale_does_not_wrap(tmp_path: Path) -> None:
    clip = audio.load(write(tmp_path / "loud.wav", np.full(1600, 1.5)))
    assert clip.samples.min() > 0.99


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        (np.zeros(0), "is empty"),
        (np.zeros(16_000), "is silent"),
        (np.full(16_000, 5e-4), "is silent"),
        (np.full(16_000, np.nan), "samples that are no numbers"),
        (np.full(16_000, np.inf), "samples that are no numbers"),
    ],
)
def test_audio_without_speech(tmp_path: Path, samples: np.ndarray, words: str) -> None:
    assert words in refusal(write(tmp_path / "a.wav", samples))


def test_one_sample_of_a_high_rate_is_nothing(tmp_path: Path) -> None:
    assert "is empty" in refusal(write(tmp_path / "a.wav", np.ones(1), 192_000))


@pytest.mark.parametrize("content", [b"", b"RIFF", b"no audio at all", b"\x00" * 5000, b"fLaC" + b"\xff" * 500])
def test_files_that_are_no_audio(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    assert "a.wav" in refusal(str(path))


def test_a_torn_file_is_refused_or_shorter(tmp_path: Path) -> None:
    path = Path(write(tmp_path / "a.flac", TONE, 16_000, "PCM_16"))
    path.write_bytes(path.read_bytes()[:60])
    assert "a.flac" in refusal(str(path))


def test_no_such_file(tmp_path: Path) -> None:
    assert "No such file" in refusal(str(tmp_path / "none.wav"))
    assert "Is a directory" in refusal(str(tmp_path))


def test_too_long(tmp_path: Path) -> None:
    assert "lasts 20 min 0 s, more than 10 min 0 s" in refusal(write(tmp_path / "a.wav", np.ones(1_200_000), 1000))


def test_too_large() -> None:
    assert "larger than 128 MiB" in refusal("/dev/zero")
