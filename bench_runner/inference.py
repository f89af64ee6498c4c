# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One timed inference: openai-whisper's own `transcribe`, decoding the same way every time, its phases told apart.

Imported by the worker alone: this loads torch.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import whisper

from bench_runner.decode_options import decode_options
from bench_runner.errors import BenchmarkError, ExitCode, is_out_of_memory
from bench_runner.models import MULTILINGUAL_VOCABULARY, SHAPES
from bench_runner.wording import one_line

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

# Of each window, in a warm-up: as much as warms anything ("The warm-up" in docs/accuracy.md).
WARMUP_TOKENS = 4


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

    def __init__(self, model: whisper.Whisper, samples: npt.NDArray[np.float32], *, fallback: bool = False) -> None:
        self._samples = samples
        self._options = decode_options(fallback)
        self._model = model
        self._mel_ns = 0
        self._encoder_ns = 0
        self._encoder_start_ns = 0
        self._windows = 0
        self._watch_phases()

    def run(self) -> tuple[Iteration, Transcript]:
        """Transcribe the clip once."""
        self._mel_ns = self._encoder_ns = self._windows = 0
        # Temperatures above 0 draw tokens by chance: the same ones every time.
        torch.manual_seed(0)
        cpu_start = time.process_time_ns()
        start = time.perf_counter_ns()
        output = self._model.transcribe(self._samples, verbose=None, **self._options)
        wall_ns = time.perf_counter_ns() - start
        cpu_ns = time.process_time_ns() - cpu_start
        decoder_ns = wall_ns - self._mel_ns - self._encoder_ns
        milliseconds = [round(ns / 1e6, 4) for ns in (wall_ns, cpu_ns, self._mel_ns, self._encoder_ns, decoder_ns)]
        return Iteration(*milliseconds), self._transcript(output)

    def warm_up(self) -> float:
        """Transcribe the clip, each window broken off after a few tokens, and give the milliseconds.

        Mel, encoder and the decoder's loop have then been through once.
        """
        start = time.perf_counter_ns()
        self._model.transcribe(self._samples, verbose=None, sample_len=WARMUP_TOKENS, **self._options)
        return round((time.perf_counter_ns() - start) / 1e6, 4)

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


def load(checkpoint: Path, model_size: str) -> whisper.Whisper:
    """The model with the weights of `checkpoint`, as `whisper.load_model` makes it, in half of its time.

    That one first draws random weights, here nothing is drawn, and every weight must come from the checkpoint.
    """
    try:
        content = torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(checkpoint))
        dimensions = whisper.model.ModelDimensions(**content["dims"])
        _check_size(checkpoint, model_size, dimensions)
        with _undrawn_weights():
            model = whisper.Whisper(dimensions)
        model.load_state_dict(content["model_state_dict"], strict=True)
    except (MemoryError, BenchmarkError):
        raise
    except Exception as error:  # torch, pickle and zip each have their own
        if is_out_of_memory(error):
            raise
        raise BenchmarkError(
            ExitCode.CHECKPOINT,
            f"the checkpoint {checkpoint} is no openai-whisper model ({one_line(error)}); fetch it again",
        ) from error
    return model


def _check_size(checkpoint: Path, model_size: str, dimensions: whisper.model.ModelDimensions) -> None:
    multilingual = dimensions.n_vocab >= MULTILINGUAL_VOCABULARY
    found = (dimensions.n_audio_state, dimensions.n_text_layer, multilingual)
    if found != SHAPES[model_size]:
        raise BenchmarkError(
            ExitCode.CHECKPOINT,
            f"the checkpoint {checkpoint} is not of model {model_size}: width, decoder layers and multilingual are {found}, "
            f"not {SHAPES[model_size]}; give the checkpoint of that model",
        )


@contextlib.contextmanager
def _undrawn_weights() -> Iterator[None]:
    """Layers made in this block keep their memory as it comes."""
    layers: tuple[Any, ...] = (torch.nn.Linear, torch.nn.Conv1d, torch.nn.Embedding)
    originals = [layer.reset_parameters for layer in layers]
    for layer in layers:
        layer.reset_parameters = lambda self: None
    try:
        yield
    finally:
        for layer, original in zip(layers, originals, strict=True):
            layer.reset_parameters = original


def set_thread_pools(threads: int) -> None:
    """Give torch's own pools their size; the others' come from the environment. Before the first operation."""
    torch.set_num_threads(threads)
    torch.set_num_interop_threads(threads)
