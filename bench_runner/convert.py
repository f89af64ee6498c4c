# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turns a CTranslate2 conversion of a Whisper model (`model.bin`, float16) back into OpenAI's checkpoint layout.

    python -m bench_runner.convert model.bin.part1 model.bin.part2 --output base.pt

The weights are the same numbers in both: fused projections are cut apart, tensors renamed, nothing is computed.
That needs no torch and no numpy, and the same input gives the same bytes on every machine.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench_runner.ctranslate2_file import Tensor, read_model
from bench_runner.errors import BenchmarkError, ExitCode
from bench_runner.files import written_whole
from bench_runner.torch_file import write_checkpoint

Tensors = dict[str, Tensor]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        "python -m bench_runner.convert", description="Convert a CTranslate2 Whisper model to OpenAI's layout."
    )
    parser.add_argument("inputs", nargs="+", type=Path, metavar="MODEL.BIN", help="the model, or its parts in order")
    parser.add_argument("--output", required=True, type=Path, metavar="FILE", help="the checkpoint to write")
    parser.add_argument("--sha256", metavar="HEX", help="refuse an input (all parts together) with another SHA-256")
    options = parser.parse_args(arguments)
    try:
        print(f"{convert(options.inputs, options.output, options.sha256)}  {options.output}")
    except BenchmarkError as error:
        print(f"bench_runner: error: {error}", file=sys.stderr)
        return error.code
    return ExitCode.DONE


def convert(inputs: Sequence[Path], output: Path, sha256: str | None = None) -> str:
    """Write the checkpoint and return its SHA-256."""
    model = _read(inputs)
    found = hashlib.sha256(model).hexdigest()
    if sha256 and found != sha256.lower():
        raise BenchmarkError(ExitCode.CHECKPOINT, f"the model's SHA-256 is {found}, not {sha256.lower()}")
    try:
        tensors = read_model(model)
        dimensions, weights = model_dimensions(tensors), openai_weights(tensors)
    except (KeyError, ValueError) as error:
        raise BenchmarkError(
            ExitCode.CHECKPOINT,
            f"{inputs[0]} is no float16 Whisper model of CTranslate2: {error}",
        ) from error
    try:
        with written_whole(output) as stream:
            write_checkpoint(stream, dimensions, weights)
    except OSError as error:
        raise BenchmarkError(ExitCode.NOT_WRITABLE, f"cannot write {output}: {error.strerror}") from error
    with output.open("rb") as written:
        return hashlib.file_digest(written, "sha256").hexdigest()


def _read(inputs: Sequence[Path]) -> bytes:
    try:
        return b"".join(path.read_bytes() for path in inputs)
    except OSError as error:
        raise BenchmarkError(ExitCode.CHECKPOINT, f"cannot read {error.filename}: {error.strerror}") from error


def model_dimensions(tensors: Tensors) -> dict[str, int]:
    """What `whisper.model.ModelDimensions` holds, from the shapes; in that class's order."""
    audio_context, audio_state = tensors["encoder/position_encodings/encodings"].shape
    vocabulary, text_state = tensors["decoder/embeddings/weight"].shape
    return {
        "n_mels": tensors["encoder/conv1/weight"].shape[1],
        "n_audio_ctx": audio_context,
        "n_audio_state": audio_state,
        "n_audio_head": tensors["encoder/num_heads"].as_integer(),
        "n_audio_layer": _layers(tensors, "encoder"),
        "n_vocab": vocabulary,
        "n_text_ctx": tensors["decoder/position_encodings/encodings"].shape[0],
        "n_text_state": text_state,
        "n_text_head": tensors["decoder/num_heads"].as_integer(),
        "n_text_layer": _layers(tensors, "decoder"),
    }


def openai_weights(tensors: Tensors) -> Tensors:
    """The state dict of `whisper.model.Whisper`: every tensor of the model, by OpenAI's names, in a fixed order."""
    return dict(_weights(tensors))


def _weights(tensors: Tensors) -> Iterator[tuple[str, Tensor]]:
    yield "encoder.positional_embedding", tensors["encoder/position_encodings/encodings"]
    for convolution in ("conv1", "conv2"):
        yield from _linear(tensors, f"encoder/{convolution}", [f"encoder.{convolution}"])
    for layer in range(_layers(tensors, "encoder")):
        yield from _layer(tensors, f"encoder/layer_{layer}", f"encoder.blocks.{layer}")
    yield from _layer_norm(tensors, "encoder/layer_norm", "encoder.ln_post")
    yield "decoder.positional_embedding", tensors["decoder/position_encodings/encodings"]
    yield "decoder.token_embedding.weight", tensors["decoder/embeddings/weight"]
    for layer in range(_layers(tensors, "decoder")):
        source, name = f"decoder/layer_{layer}", f"decoder.blocks.{layer}"
        yield from _layer(tensors, source, name)
        yield from _layer_norm(tensors, f"{source}/attention/layer_norm", f"{name}.cross_attn_ln")
        yield from _linear(tensors, f"{source}/attention/linear_0", [f"{name}.cross_attn.query"])
        yield from _linear(
            tensors, f"{source}/attention/linear_1", [f"{name}.cross_attn.key", f"{name}.cross_attn.value"]
        )
        yield from _linear(tensors, f"{source}/attention/linear_2", [f"{name}.cross_attn.out"])
    yield from _layer_norm(tensors, "decoder/layer_norm", "decoder.ln")


def _layer(tensors: Tensors, source: str, name: str) -> Iterator[tuple[str, Tensor]]:
    """What encoder and decoder layers have in common."""
    attention = [f"{name}.attn.query", f"{name}.attn.key", f"{name}.attn.value"]
    yield from _layer_norm(tensors, f"{source}/self_attention/layer_norm", f"{name}.attn_ln")
    yield from _linear(tensors, f"{source}/self_attention/linear_0", attention)
    yield from _linear(tensors, f"{source}/self_attention/linear_1", [f"{name}.attn.out"])
    yield from _layer_norm(tensors, f"{source}/ffn/layer_norm", f"{name}.mlp_ln")
    yield from _linear(tensors, f"{source}/ffn/linear_0", [f"{name}.mlp.0"])
    yield from _linear(tensors, f"{source}/ffn/linear_1", [f"{name}.mlp.2"])


def _layer_norm(tensors: Tensors, source: str, name: str) -> Iterator[tuple[str, Tensor]]:
    yield f"{name}.weight", tensors[f"{source}/gamma"]
    yield f"{name}.bias", tensors[f"{source}/beta"]


def _linear(tensors: Tensors, source: str, names: Sequence[str]) -> Iterator[tuple[str, Tensor]]:
    """One layer, or several that CTranslate2 fused into one. OpenAI's key projections have no bias."""
    weights = tensors[f"{source}/weight"].split(len(names))
    biases = tensors[f"{source}/bias"].split(len(names))
    for name, weight, bias in zip(names, weights, biases, strict=True):
        yield f"{name}.weight", weight
        if not name.endswith(".key"):
            yield f"{name}.bias", bias
        elif any(bias.data):
            raise ValueError(f"the bias of {name} is not zero")


def _layers(tensors: Tensors, side: str) -> int:
    matches = (re.match(rf"{side}/layer_(\d+)/", name) for name in tensors)
    return 1 + max((int(match.group(1)) for match in matches if match), default=-1)


if __name__ == "__main__":
    sys.exit(main())
