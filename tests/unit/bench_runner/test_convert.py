# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
import pickle
import struct
import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench_runner import convert
from bench_runner.errors import BenchmarkError, ExitCode

STATE, HEADS, LAYERS = 8, 2, 2


def variables() -> dict[str, Any]:
    """A Whisper model as CTranslate2 has it: the real names, few numbers."""
    random = np.random.default_rng(0)

    def weights(*shape: int) -> Any:
        return (random.integers(-1000, 1000, shape) / 512).astype("<f2")

    def linear(name: str, rows: int, columns: int = STATE) -> dict[str, Any]:
        return {f"{name}/weight": weights(rows, columns), f"{name}/bias": weights(rows)}

    def norm(name: str) -> dict[str, Any]:
        return {f"{name}/gamma": weights(STATE), f"{name}/beta": weights(STATE)}

    found: dict[str, Any] = {
        "encoder/num_heads": np.array(HEADS, "<i2"),
        "decoder/num_heads": np.array(HEADS, "<i2"),
        "decoder/alignment_heads": np.array([[0, 1], [1, 0]], "<i2"),
        "decoder/scale_embeddings": np.array(0, "i1"),
        "encoder/position_encodings/encodings": weights(15, STATE),
        "decoder/position_encodings/encodings": weights(6, STATE),
        "decoder/embeddings/weight": weights(50, STATE),
        "encoder/conv1/weight": weights(STATE, 5, 3),
        "encoder/conv1/bias": weights(STATE),
        "encoder/conv2/weight": weights(STATE, STATE, 3),
        "encoder/conv2/bias": weights(STATE),
        **norm("encoder/layer_norm"),
        **norm("decoder/layer_norm"),
    }
    for side in ("encoder", "decoder"):
        for layer in range(LAYERS):
            at = f"{side}/layer_{layer}"
            found |= norm(f"{at}/self_attention/layer_norm") | norm(f"{at}/ffn/layer_norm")
            found |= linear(f"{at}/self_attention/linear_0", 3 * STATE) | linear(f"{at}/self_attention/linear_1", STATE)
            found |= linear(f"{at}/ffn/linear_0", 4 * STATE) | linear(f"{at}/ffn/linear_1", STATE, 4 * STATE)
            found[f"{at}/self_attention/linear_0/bias"][STATE : 2 * STATE] = 0
            if side == "decoder":
                found |= norm(f"{at}/attention/layer_norm") | linear(f"{at}/attention/linear_0", STATE)
                found |= linear(f"{at}/attention/linear_1", 2 * STATE) | linear(f"{at}/attention/linear_2", STATE)
                found[f"{at}/attention/linear_1/bias"][:STATE] = 0
    return found


KINDS = {"<f4": 0, "|i1": 1, "<i2": 2, "<i4": 3, "<f2": 4}


def model_bin(content: dict[str, Any], version: int = 6, specification: str = "WhisperSpec") -> bytes:
    def text(value: str) -> bytes:
        return struct.pack("<H", len(value) + 1) + value.encode() + b"\0"

    data = struct.pack("<I", version) + text(specification) + struct.pack("<II", 3, len(content))
    for name, array in content.items():
        shape = struct.pack(f"<B{array.ndim}I", array.ndim, *array.shape)
        data += text(name) + shape + struct.pack("<BI", KINDS[array.dtype.str], array.nbytes) + array.tobytes()
    return data + struct.pack("<I", 1) + text("decoder/projection/weight") + text("decoder/embeddings/weight")


class Reader(pickle.Unpickler):
    """Reads a checkpoint the way torch does, without torch."""

    def __init__(self, path: Path) -> None:
        self.archive = zipfile.ZipFile(path)
        super().__init__(BytesIO(self.archive.read("checkpoint/data.pkl")))

    def find_class(self, module: str, name: str) -> Any:
        def rebuild(storage: Any, offset: int, size: Any, stride: Any, *_unused: Any) -> Any:
            array = storage[offset:].reshape(size)
            assert tuple(step // 2 for step in array.strides) == stride
            return array

        return {"HalfStorage": "<f2", "_rebuild_tensor_v2": rebuild, "OrderedDict": dict}[name]

    def persistent_load(self, identity: Any) -> Any:
        _unused, kind, key, place, count = identity
        assert place == "cpu"
        array = np.frombuffer(self.archive.read(f"checkpoint/data/{key}"), kind)
        assert array.size == count
        return array


@pytest.fixture
def converted(tmp_path: Path) -> Any:
    source = tmp_path / "model.bin"
    source.write_bytes(model_bin(variables()))
    convert.convert([source], tmp_path / "base.pt")
    return Reader(tmp_path / "base.pt").load()


def test_dimensions_come_from_the_shapes(converted: Any) -> None:
    assert converted["dims"] == {
        "n_mels": 5,
        "n_audio_ctx": 15,
        "n_audio_state": STATE,
        "n_audio_head": HEADS,
        "n_audio_layer": LAYERS,
        "n_vocab": 50,
        "n_text_ctx": 6,
        "n_text_state": STATE,
        "n_text_head": HEADS,
        "n_text_layer": LAYERS,
    }


def test_weights_are_renamed_and_cut_apart_and_nothing_else(converted: Any) -> None:
    given, state = variables(), converted["model_state_dict"]
    fused = given["encoder/layer_1/self_attention/linear_0/weight"]
    for index, name in enumerate(("query", "key", "value")):
        expected = fused[index * STATE : (index + 1) * STATE]
        assert np.array_equal(state[f"encoder.blocks.1.attn.{name}.weight"], expected)
    fused = given["decoder/layer_0/attention/linear_1/bias"]
    assert np.array_equal(state["decoder.blocks.0.cross_attn.value.bias"], fused[STATE:])
    assert np.array_equal(state["decoder.token_embedding.weight"], given["decoder/embeddings/weight"])
    assert np.array_equal(state["encoder.conv2.weight"], given["encoder/conv2/weight"])
    assert np.array_equal(state["decoder.ln.bias"], given["decoder/layer_norm/beta"])
    assert not [name for name in state if name.endswith("key.bias")]
    weights = sum(array.size for array in given.values() if array.dtype == np.float16)
    key_biases = 3 * LAYERS * STATE
    assert sum(array.size for array in state.values()) == weights - key_biases


def test_numbers_lie_where_they_can_be_mapped(tmp_path: Path, converted: Any) -> None:
    content = (tmp_path / "base.pt").read_bytes()
    for entry in zipfile.ZipFile(tmp_path / "base.pt").infolist():
        name_size, extra_size = struct.unpack_from("<HH", content, entry.header_offset + 26)
        assert (entry.header_offset + 30 + name_size + extra_size) % 64 == 0
        assert entry.compress_type == zipfile.ZIP_STORED


def test_the_bytes_are_always_the_same(tmp_path: Path, converted: Any) -> None:
    digest = hashlib.sha256((tmp_path / "base.pt").read_bytes()).hexdigest()
    assert digest == "4be995221b372730dbada40cc2fcfa0071a74c144abaca0d9686ff8a40e60d2d"


def command(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench_runner.convert", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[3],
    )


def test_parts_in_order_make_one_model(tmp_path: Path, converted: Any) -> None:
    model = (tmp_path / "model.bin").read_bytes()
    for number, piece in enumerate((model[:1000], model[1000:])):
        (tmp_path / f"part{number}").write_bytes(piece)
    sha256 = hashlib.sha256(model).hexdigest()
    ended = command(tmp_path / "part0", tmp_path / "part1", "--output", tmp_path / "joined.pt", "--sha256", sha256)
    assert ended.returncode == 0, ended.stderr
    joined = (tmp_path / "joined.pt").read_bytes()
    assert joined == (tmp_path / "base.pt").read_bytes()
    assert ended.stdout.split() == [hashlib.sha256(joined).hexdigest(), str(tmp_path / "joined.pt")]


def test_another_model_than_the_one_meant(tmp_path: Path, converted: Any) -> None:
    ended = command(tmp_path / "model.bin", "--output", tmp_path / "new.pt", "--sha256", "0" * 64)
    assert (ended.returncode, ended.stdout) == (4, "")
    assert ended.stderr.startswith("bench_runner: error: the model's SHA-256 is ")
    assert not (tmp_path / "new.pt").exists()


def test_output_that_cannot_be_written(tmp_path: Path, converted: Any) -> None:
    ended = command(tmp_path / "model.bin", "--output", tmp_path / "missing" / "new.pt")
    assert (ended.returncode, ended.stderr.count("\n")) == (7, 1)


def with_key_bias(content: dict[str, Any]) -> None:
    content["encoder/layer_0/self_attention/linear_0/bias"][STATE] = 1


def with_eight_bits(content: dict[str, Any]) -> None:
    content["decoder/embeddings/weight"] = content["decoder/embeddings/weight"].astype("i1")


def without_a_norm(content: dict[str, Any]) -> None:
    del content["decoder/layer_norm/gamma"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (with_key_bias, "the bias of encoder.blocks.0.attn.key is not zero"),
        (with_eight_bits, "decoder/embeddings/weight has type 1"),
        (without_a_norm, "decoder/layer_norm/gamma"),
    ],
)
def test_models_that_are_not_what_they_seem(tmp_path: Path, change: Any, words: str) -> None:
    content = variables()
    change(content)
    assert words in refusal(tmp_path, model_bin(content))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "it ends too early"),
        (b"\x00" * 100, "format version 0, not 6"),
        (model_bin({}, specification="TransformerSpec"), "it holds a TransformerSpec"),
        (model_bin({}), "encoder/position_encodings/encodings"),
        (model_bin(variables())[:-5000], "it ends too early"),
    ],
    ids=["empty", "garbage", "another model", "nothing in it", "cut short"],
)
def test_files_that_are_no_whisper_model(tmp_path: Path, content: bytes, words: str) -> None:
    assert words in refusal(tmp_path, content)


def refusal(folder: Path, content: bytes) -> str:
    (folder / "bad.bin").write_bytes(content)
    with pytest.raises(BenchmarkError) as caught:
        convert.convert([folder / "bad.bin"], folder / "new.pt")
    assert caught.value.code == ExitCode.CHECKPOINT
    assert not (folder / "new.pt").exists()
    return str(caught.value)
