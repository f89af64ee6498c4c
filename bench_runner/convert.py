# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m bench_runner.convert MODEL.BIN… --output base.pt`: a CTranslate2 Whisper model back in OpenAI's layout.

Some models are to be had as published conversions only. Layout of the file: CTranslate2, python/ctranslate2/specs/
model_spec.py; names: its converters/transformers.py (WhisperLoader). Several inputs are parts of one file.
"""

from __future__ import annotations

import argparse
import struct
import sys
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from bench_runner.errors import BenchmarkError, ExitCode

# CTranslate2's numbers of data types that a Whisper model has.
DATA_TYPES = {0: "<f4", 1: "i1", 2: "<i2", 3: "<i4", 4: "<f2"}


def read_variables(file: BinaryIO) -> dict[str, Any]:
    """Name -> array, of a model.bin."""
    import numpy as np

    def number(form: str) -> int:
        return int(struct.unpack(form, file.read(struct.calcsize(form)))[0])

    def text() -> str:
        return file.read(number("<H")).rstrip(b"\0").decode()

    number("<I")  # version of the format
    name = text()
    if name != "WhisperSpec":
        raise ValueError(f"it holds a {name[:40]!r}, not a WhisperSpec")
    number("<I")  # revision
    variables = {}
    for _ in range(number("<I")):
        name = text()
        shape = tuple(number("<I") for _ in range(number("<B")))
        data_type = DATA_TYPES[number("<B")]
        variables[name] = np.frombuffer(file.read(number("<I")), data_type).reshape(shape).copy()
    return variables


def to_openai(variables: dict[str, Any]) -> dict[str, Any]:
    """The checkpoint that `whisper.load_model` reads: dimensions and state."""
    import torch

    source = {name: torch.from_numpy(array) for name, array in variables.items()}
    layers = {
        side: len(
            {
                name.split("/")[1]
                for name in source
                if name.startswith(f"{side}/layer_") and not name.startswith(f"{side}/layer_norm")
            }
        )
        for side in ("encoder", "decoder")
    }
    state: dict[str, Any] = {
        "encoder.positional_embedding": source["encoder/position_encodings/encodings"],
        "decoder.positional_embedding": source["decoder/position_encodings/encodings"],
        "decoder.token_embedding.weight": source["decoder/embeddings/weight"],
    }
    for index in (1, 2):
        _copy(state, f"encoder.conv{index}", source, f"encoder/conv{index}")
    _norm(state, "encoder.ln_post", source, "encoder/layer_norm")
    _norm(state, "decoder.ln", source, "decoder/layer_norm")
    for side, count in layers.items():
        for index in range(count):
            _block(state, f"{side}.blocks.{index}", source, f"{side}/layer_{index}")
    dimensions = {
        "n_mels": state["encoder.conv1.weight"].shape[1],
        "n_audio_ctx": state["encoder.positional_embedding"].shape[0],
        "n_audio_state": state["encoder.positional_embedding"].shape[1],
        "n_audio_head": int(source["encoder/num_heads"]),
        "n_audio_layer": layers["encoder"],
        "n_vocab": state["decoder.token_embedding.weight"].shape[0],
        "n_text_ctx": state["decoder.positional_embedding"].shape[0],
        "n_text_state": state["decoder.token_embedding.weight"].shape[1],
        "n_text_head": int(source["decoder/num_heads"]),
        "n_text_layer": layers["decoder"],
    }
    return {"dims": dimensions, "model_state_dict": state}


def _block(state: dict[str, Any], to: str, source: dict[str, Any], of: str) -> None:
    """One transformer block. CTranslate2 fuses projections that read the same input into one matrix."""
    _norm(state, f"{to}.attn_ln", source, f"{of}/self_attention/layer_norm")
    _split(state, f"{to}.attn", ("query", "key", "value"), source, f"{of}/self_attention/linear_0")
    _copy(state, f"{to}.attn.out", source, f"{of}/self_attention/linear_1")
    if f"{of}/attention/linear_0/weight" in source:
        _norm(state, f"{to}.cross_attn_ln", source, f"{of}/attention/layer_norm")
        _copy(state, f"{to}.cross_attn.query", source, f"{of}/attention/linear_0")
        _split(state, f"{to}.cross_attn", ("key", "value"), source, f"{of}/attention/linear_1")
        _copy(state, f"{to}.cross_attn.out", source, f"{of}/attention/linear_2")
    _norm(state, f"{to}.mlp_ln", source, f"{of}/ffn/layer_norm")
    _copy(state, f"{to}.mlp.0", source, f"{of}/ffn/linear_0")
    _copy(state, f"{to}.mlp.2", source, f"{of}/ffn/linear_1")


def _copy(state: dict[str, Any], to: str, source: dict[str, Any], of: str) -> None:
    state[f"{to}.weight"] = source[f"{of}/weight"]
    state[f"{to}.bias"] = source[f"{of}/bias"]


def _norm(state: dict[str, Any], to: str, source: dict[str, Any], of: str) -> None:
    state[f"{to}.weight"] = source[f"{of}/gamma"]
    state[f"{to}.bias"] = source[f"{of}/beta"]


def _split(state: dict[str, Any], to: str, names: tuple[str, ...], source: dict[str, Any], of: str) -> None:
    weights = source[f"{of}/weight"].chunk(len(names))
    biases = source[f"{of}/bias"].chunk(len(names))
    for name, weight, bias in zip(names, weights, biases, strict=True):
        state[f"{to}.{name}.weight"] = weight.clone()
        if name != "key":
            state[f"{to}.{name}.bias"] = bias.clone()
        elif bias.any():
            raise ValueError(f"{of} has a key bias, which OpenAI's model has not")


def convert(parts: list[Path], output: Path) -> None:
    """Read the parts, write the checkpoint; raises BenchmarkError where they are no Whisper model."""
    import torch

    names = ", ".join(map(str, parts))
    try:
        content = b"".join(part.read_bytes() for part in parts)
        checkpoint = to_openai(read_variables(BytesIO(content)))
    except OSError as error:
        raise BenchmarkError(ExitCode.CHECKPOINT, f"cannot read {names}: {error.strerror}") from error
    except (ValueError, KeyError, struct.error, UnicodeDecodeError) as error:
        raise BenchmarkError(
            ExitCode.CHECKPOINT, f"{names} is no CTranslate2 Whisper model in half precision: {error}"
        ) from error
    torch.save(checkpoint, output)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="bench_runner.convert", description="Convert a CTranslate2 Whisper model to OpenAI's layout."
    )
    parser.add_argument("parts", nargs="+", type=Path, metavar="MODEL.BIN", help="the model, or its parts in order")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="where the checkpoint goes")
    options = parser.parse_args(arguments)
    try:
        convert(options.parts, options.output)
    except BenchmarkError as error:
        print(f"bench_runner: error: {error}", file=sys.stderr)
        return error.code
    return ExitCode.DONE


if __name__ == "__main__":
    sys.exit(main())
