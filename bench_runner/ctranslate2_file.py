# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads CTranslate2's `model.bin`, version 6 (python/ctranslate2/specs/model_spec.py of OpenNMT/CTranslate2 writes it).

Little-endian: version u32, specification name, its revision u32, number of variables u32; per variable its name, rank u8,
dimensions u32 each, type u8, bytes u32, data; then the aliases. A string is a u16 length and that many bytes with a final NUL.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

VERSION = 6
SPECIFICATION = "WhisperSpec"
FLOAT16 = 4


@dataclass(frozen=True)
class Tensor:
    """A view of one variable's bytes; splitting it by rows copies nothing."""

    shape: tuple[int, ...]
    data: memoryview

    def split(self, parts: int) -> list[Tensor]:
        rows, uneven = divmod(self.shape[0], parts)
        if uneven:
            raise ValueError(f"{self.shape[0]} rows do not make {parts} equal parts")
        size = len(self.data) // parts
        return [Tensor((rows, *self.shape[1:]), self.data[i * size : (i + 1) * size]) for i in range(parts)]

    def as_integer(self) -> int:
        return int.from_bytes(self.data, "little")


def read_model(model: bytes) -> dict[str, Tensor]:
    """The variables of a float16 Whisper model; ValueError for anything else."""
    reader = _Reader(memoryview(model))
    version = reader.integer("I")
    if version != VERSION:
        raise ValueError(f"format version {version}, not {VERSION}")
    specification = reader.string()
    if specification != SPECIFICATION:
        raise ValueError(f"it holds a {specification[:40]}")
    reader.integer("I")
    return dict(reader.variable() for _unused in range(reader.integer("I")))


class _Reader:
    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._position = 0

    def bytes(self, count: int) -> memoryview:
        piece = self._data[self._position : self._position + count]
        if len(piece) != count:
            raise ValueError("it ends too early")
        self._position += count
        return piece

    def integer(self, kind: str) -> int:
        (value,) = struct.unpack(f"<{kind}", self.bytes(struct.calcsize(f"<{kind}")))
        return int(value)

    def string(self) -> str:
        return bytes(self.bytes(self.integer("H"))).rstrip(b"\0").decode("utf-8")

    def variable(self) -> tuple[str, Tensor]:
        name = self.string()
        shape = tuple(self.integer("I") for _unused in range(self.integer("B")))
        kind = self.integer("B")
        data = self.bytes(self.integer("I"))
        is_weight = bool(shape) and not name.endswith("/alignment_heads")
        if is_weight and (kind != FLOAT16 or len(data) != 2 * math.prod(shape)):
            raise ValueError(f"{name} has type {kind} and {len(data)} bytes, not float16")
        return name, Tensor(shape, data)
