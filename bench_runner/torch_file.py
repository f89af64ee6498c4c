# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes a Whisper checkpoint in the format of `torch.save`, byte for byte the same everywhere.

The format is an uncompressed zip archive: `data.pkl` describes the tensors, `data/<n>` holds the numbers of one, at offsets
of 64 bytes so that `torch.load(mmap=True)` can use them in place (torch/serialization.py, caffe2/serialize/inline_container.h).
"""

from __future__ import annotations

import math
import struct
import zipfile
from collections.abc import Iterable, Mapping
from typing import BinaryIO

from bench_runner.ctranslate2_file import Tensor

_ARCHIVE = "checkpoint"
_ALIGNMENT = 64
_LOCAL_HEADER_BYTES = 30
_EXTRA_HEADER = struct.Struct("<HH")
# The field id with which torch pads too ("FB" in inline_container.h).
_PADDING_FIELD = 0x4246


def write_checkpoint(stream: BinaryIO, dimensions: Mapping[str, int], weights: Mapping[str, Tensor]) -> None:
    """Write float16 `weights`; whisper.load_model reads it."""
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        _add(archive, "data.pkl", _description(dimensions, weights))
        _add(archive, "byteorder", b"little")
        for number, tensor in enumerate(weights.values()):
            _add(archive, f"data/{number}", tensor.data)
        _add(archive, "version", b"3\n")


def _add(archive: zipfile.ZipFile, name: str, data: bytes | memoryview) -> None:
    entry = zipfile.ZipInfo(f"{_ARCHIVE}/{name}")
    entry.create_system = 0
    unpadded = archive.start_dir + _LOCAL_HEADER_BYTES + len(entry.filename) + _EXTRA_HEADER.size
    padding = -unpadded % _ALIGNMENT
    entry.extra = _EXTRA_HEADER.pack(_PADDING_FIELD, padding) + bytes(padding)
    archive.writestr(entry, data)


def _description(dimensions: Mapping[str, int], weights: Mapping[str, Tensor]) -> bytes:
    tensors = {name: _tensor(number, tensor.shape) for number, (name, tensor) in enumerate(weights.items())}
    dims = {name: _integer(value) for name, value in dimensions.items()}
    return b"\x80\x02" + _dict({"dims": _dict(dims), "model_state_dict": _dict(tensors)}) + b"."


# Opcodes of pickle protocol 2, the one torch.save uses.


def _tensor(number: int, shape: tuple[int, ...]) -> bytes:
    """torch._utils._rebuild_tensor_v2(storage, offset, size, stride, requires_grad, backward_hooks)"""
    strides = (math.prod(shape[axis + 1 :]) for axis in range(len(shape)))
    storage = [
        _text("storage"),
        _class("torch", "HalfStorage"),
        _text(str(number)),
        _text("cpu"),
        _integer(math.prod(shape)),
    ]
    arguments = [
        _tuple(storage) + b"Q",
        _integer(0),
        _tuple(map(_integer, shape)),
        _tuple(map(_integer, strides)),
        b"\x89",
        _class("collections", "OrderedDict") + b")R",
    ]
    return _class("torch._utils", "_rebuild_tensor_v2") + _tuple(arguments) + b"R"


def _class(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def _text(value: str) -> bytes:
    encoded = value.encode()
    return b"X" + struct.pack("<I", len(encoded)) + encoded


def _integer(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def _tuple(items: Iterable[bytes]) -> bytes:
    return b"(" + b"".join(items) + b"t"


def _dict(items: Mapping[str, bytes]) -> bytes:
    return b"}(" + b"".join(_text(key) + value for key, value in items.items()) + b"u"
