# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re

from bench_runner.models import CHECKPOINT_FILE, PUBLISHED_SHA256, SHAPES


def test_every_model_has_a_hash_a_file_and_a_shape() -> None:
    assert PUBLISHED_SHA256.keys() == CHECKPOINT_FILE.keys() == SHAPES.keys()
    assert all(re.fullmatch(r"[0-9a-f]{64}", sha256) for sha256 in PUBLISHED_SHA256.values())


def test_nicknames_share_the_file_of_the_model_they_stand_for() -> None:
    assert CHECKPOINT_FILE["large"] == CHECKPOINT_FILE["large-v3"] == "large-v3.pt"
    assert CHECKPOINT_FILE["turbo"] == CHECKPOINT_FILE["large-v3-turbo"] == "large-v3-turbo.pt"
    assert len(set(PUBLISHED_SHA256.values())) == len(set(CHECKPOINT_FILE.values())) == len(PUBLISHED_SHA256) - 2


def test_shapes_tell_models_apart() -> None:
    assert SHAPES["base"] == (512, 6, True)
    assert SHAPES["base.en"] == (512, 6, False)
    assert SHAPES["large-v3-turbo"] == (1280, 4, True)
    assert SHAPES["large-v2"] == (1280, 32, True)
    assert len(set(SHAPES.values())) == 10
