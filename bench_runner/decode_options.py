# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a window is decoded: the same way on every target, once, whatever it sounds like."""

from __future__ import annotations

from typing import Any

# One temperature and no thresholds: nothing is decoded again, so every target does the same work.
DECODE_OPTIONS: dict[str, Any] = {
    "language": "en",
    "temperature": 0.0,
    "beam_size": None,
    "condition_on_previous_text": False,
    "compression_ratio_threshold": None,
    "logprob_threshold": None,
    "no_speech_threshold": None,
    "fp16": False,
}
# The same in the words of the result.
DECODE_RECORD: dict[str, Any] = {
    "language": DECODE_OPTIONS["language"],
    "temperature": DECODE_OPTIONS["temperature"],
    "beam_size": DECODE_OPTIONS["beam_size"],
    "condition_on_previous_text": DECODE_OPTIONS["condition_on_previous_text"],
    "precision": "fp32",
    "without_fallback": True,
}
