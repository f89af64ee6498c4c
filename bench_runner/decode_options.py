# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a window is decoded: for the ratio the same way on every target; with fallback, as a service does."""

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
# openai-whisper's own: a window that repeats itself or that the model is unsure of is decoded again, ever more freely.
FALLBACK_OPTIONS: dict[str, Any] = {
    **DECODE_OPTIONS,
    "temperature": (0.0, 0.2, 0.4, 0.6, 0.8, 1.0),
    "compression_ratio_threshold": 2.4,
    "logprob_threshold": -1.0,
    "no_speech_threshold": 0.6,
}


def decode_options(fallback: bool) -> dict[str, Any]:
    """What openai-whisper's `transcribe` is given."""
    return FALLBACK_OPTIONS if fallback else DECODE_OPTIONS


def decode_record(fallback: bool) -> dict[str, Any]:
    """The same in the words of the result; the temperature is the first one."""
    return {
        "language": DECODE_OPTIONS["language"],
        "temperature": DECODE_OPTIONS["temperature"],
        "beam_size": DECODE_OPTIONS["beam_size"],
        "condition_on_previous_text": DECODE_OPTIONS["condition_on_previous_text"],
        "precision": "fp32",
        "without_fallback": not fallback,
    }
