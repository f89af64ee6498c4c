# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The models that openai-whisper publishes, known here so that a wrong name is refused before torch is loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

_PUBLISHED = json.loads(Path(__file__).with_name("models.json").read_text())["models"]
# Name of the model -> SHA-256 of its checkpoint, as published in whisper/__init__.py (20250625), which the tests compare.
PUBLISHED_SHA256: dict[str, str] = {name: model["sha256"] for name, model in _PUBLISHED.items()}
# Name of the model -> name of its file: nicknames share the file of the model that they stand for.
CHECKPOINT_FILE: dict[str, str] = {name: model["file"] for name, model in _PUBLISHED.items()}

# Vocabularies from this size on are multilingual (whisper.model.Whisper.is_multilingual).
MULTILINGUAL_VOCABULARY = 51865
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


class Encoder(NamedTuple):
    """The shape of a model's encoder."""

    width: int
    layers: int
    mels: int


_ENCODER_LAYERS = {384: 4, 512: 6, 768: 12, 1024: 24, 1280: 32}
# The third generation hears 128 bands in place of 80.
_THIRD_GENERATION = {"large-v3.pt", "large-v3-turbo.pt"}
ENCODERS: dict[str, Encoder] = {
    name: Encoder(width, _ENCODER_LAYERS[width], 128 if CHECKPOINT_FILE[name] in _THIRD_GENERATION else 80)
    for name, (width, _decoder_layers, _multilingual) in SHAPES.items()
}
