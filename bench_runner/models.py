# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The models that openai-whisper publishes, known here so that a wrong name is refused before torch is loaded."""

from __future__ import annotations

# Name of the model -> SHA-256 of its checkpoint, as published in whisper/__init__.py (20250625), which the tests compare.
PUBLISHED_SHA256: dict[str, str] = {
    "tiny.en": "d3dd57d32accea0b295c96e26691aa14d8822fac7d9d27d5dc00b4ca2826dd03",
    "tiny": "65147644a518d12f04e32d6f3b26facc3f8dd46e5390956a9424a650c0ce22b9",
    "base.en": "25a8566e1d0c1e2231d1c762132cd20e0f96a85d16145c3a00adf5d1ac670ead",
    "base": "ed3a0b6b1c0edf879ad9b11b1af5a0e6ab5db9205f891f668f8b0e6c6326e34e",
    "small.en": "f953ad0fd29cacd07d5a9eda5624af0f6bcf2258be67c92b79389873d91e0872",
    "small": "9ecf779972d90ba49c06d968637d720dd632c55bbf19d441fb42bf17a411e794",
    "medium.en": "d7440d1dc186f76616474e0ff0b3b6b879abc9d1a4926b7adfa41db2d497ab4f",
    "medium": "345ae4da62f9b3d59415adc60127b97c714f32e89e936602e85993674d08dcb1",
    "large-v1": "e4b87e7e0bf463eb8e6956e646f1e277e901512310def2c24bf0e11bd3c28e9a",
    "large-v2": "81f7c96c852ee8fc832187b0132e569d6c3065a3252ed18e56effd0b6a73e524",
    "large-v3": "e5b1a55b89c1367dacf97e3e19bfd829a01529dbfdeefa8caeb59b3f1b81dadb",
    "large": "e5b1a55b89c1367dacf97e3e19bfd829a01529dbfdeefa8caeb59b3f1b81dadb",
    "large-v3-turbo": "aff26ae408abcba5fbf8813c21e62b0941638c5f6eebfb145be0c9839262a19a",
    "turbo": "aff26ae408abcba5fbf8813c21e62b0941638c5f6eebfb145be0c9839262a19a",
}

# The files of two names that are nicknames are called by the model's full name.
CHECKPOINT_STEM: dict[str, str] = {name: name for name in PUBLISHED_SHA256} | {
    "large": "large-v3",
    "turbo": "large-v3-turbo",
}

# Width, decoder layers, multilingual: enough to tell every model from every other (whisper's model card).
_SIZES = {
    "tiny": (384, 4),
    "base": (512, 6),
    "small": (768, 12),
    "medium": (1024, 24),
    "large": (1280, 32),
    "turbo": (1280, 4),
}
SHAPES: dict[str, tuple[int, int, bool]] = {
    name: (*_SIZES["turbo" if "turbo" in name else name.partition(".")[0].partition("-")[0]], not name.endswith(".en"))
    for name in PUBLISHED_SHA256
}
