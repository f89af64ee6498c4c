# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One timed inference: openai-whisper's own `transcribe`, decoding the same way every time, its phases told apart.

Imported by the worker alone: this loads torch.
"""

from __future__ import annotations

import hashlib
import importlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import whisper

from bench_runner.decode_options import DECODE_OPTIONS
from bench_runner.errors import BenchmarkError, ExitCode
from bench_runner.models import SHAPES

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@dataclass(frozen=True)
class Iteration:
    """What one inference took, in milliseconds. `decoder_ms` is all that is neither mel nor encoder: the token loop and
    its bookkeeping, so the three add up to the wall time."""

    wall_ms: float
    cpu_ms: float
    mel_ms: float
    encoder_ms: float
    decoder_ms: float


@dataclass(frozen=True)
class Transcript:
    """What was heard: two results with the same hash did the same work."""

    sha256: str
    tokens: int
    text: str
    windows: int
    fallbacks: int


class Inference:
    """A loaded model and a clip."""

    def __init__(self, checkpoint: Path, model_size: str, samples: npt.NDArray[np.float32]) -> None:
        self._samples = samples
        self._model = _load(checkpoint, model_size)
        self._mel_ns = 0
        self._encoder_ns = 0
        self._encoder_start_ns = 0
        self._windows = 0
        self._watch_phases()

    def run(self) -> tuple[Iteration, Transcript]:
        """Transcribe the clip once."""
        self._mel_ns = self._encoder_ns = self._windows = 0
        cpu_start = time.process_time_ns()
        start = time.perf_counter_ns()
        output = whisper.transcribe(self._model, self._samples, verbose=None, **DECODE_OPTIONS)
        wall_ns = time.perf_counter_ns() - start
        cpu_ns = time.process_time_ns() - cpu_start
        decoder_ns = wall_ns - self._mel_ns - self._encoder_ns
        milliseconds = [round(ns / 1e6, 4) for ns in (wall_ns, cpu_ns, self._mel_ns, self._encoder_ns, decoder_ns)]
        return Iteration(*milliseconds), self._transcript(output)

    def _transcript(self, output: dict[str, Any]) -> Transcript:
        tokens = [token for segment in output["segments"] for token in segment["tokens"]]
        fallbacks = len({segment["seek"] for segment in output["segments"] if segment["temperature"] > 0})
        digest = hashlib.sha256(",".join(map(str, tokens)).encode()).hexdigest()
        return Transcript(digest, len(tokens), output["text"].strip(), self._windows, fallbacks)

    def _watch_phases(self) -> None:
        """Read the clock where mel and encoder begin and end: six readings an iteration, under a microsecond each."""
        # `whisper.transcribe` is a function of the package; the module of that name is had by import_module.
        module: Any = importlib.import_module("whisper.transcribe")
        original = whisper.audio.log_mel_spectrogram

        def timed_mel(*arguments: Any, **options: Any) -> Any:
            start = time.perf_counter_ns()
            mel = original(*arguments, **options)
            self._mel_ns += time.perf_counter_ns() - start
            return mel

        def encoder_begins(*_: Any) -> None:
            self._windows += 1
            self._encoder_start_ns = time.perf_counter_ns()

        def encoder_ends(*_: Any) -> None:
            self._encoder_ns += time.perf_counter_ns() - self._encoder_start_ns

        module.log_mel_spectrogram = timed_mel
        self._model.encoder.register_forward_pre_hook(encoder_begins)
        self._model.encoder.register_forward_hook(encoder_ends)


def _load(checkpoint: Path, model_size: str) -> whisper.Whisper:
    try:
        model = whisper.load_model(str(checkpoint), device="cpu")
    except MemoryError:
        raise
    except Exception as error:  # torch, pickle and zip each have their own
        reason = " ".join(str(error).split())[:200]
        raise BenchmarkError(
            ExitCode.CHECKPOINT, f"the checkpoint {checkpoint} is no openai-whisper model ({reason}); fetch it again"
        ) from error
    found = (model.dims.n_audio_state, model.dims.n_text_layer, model.is_multilingual)
    if found != SHAPES[model_size]:
        raise BenchmarkError(
            ExitCode.CHECKPOINT,
            f"the checkpoint {checkpoint} is not of model {model_size}: width, decoder layers and multilingual are {found}, "
            f"not {SHAPES[model_size]}; give the checkpoint of that model",
        )
    return model


def set_thread_pools(threads: int) -> None:
    """Give torch's own pools their size; the others' come from the environment. Before the first operation."""
    torch.set_num_threads(threads)
    torch.set_num_interop_threads(threads)
