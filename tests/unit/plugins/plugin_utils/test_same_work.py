# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.rightsize.whisper.plugins.plugin_utils.same_work import compare_work, word_errors, words
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.factories import mac_m4, xeon_pool

OTHER_SHA256 = "0f" * 32
# A hundred words, so that one of them is one percent.
TEXT = " ".join(f"word{number}" for number in range(100))


def transcript(text: str = TEXT, tokens: int = 200, windows: int = 1, sha256: str = OTHER_SHA256) -> dict[str, Any]:
    return {"text": text, "tokens": tokens, "windows": windows, "sha256": sha256}


def test_equal_tokens_are_identical_work() -> None:
    found = compare_work(mac_m4(), xeon_pool())
    assert (found.verdict, found.reasons, found.word_error_rate) == ("identical", (), 0.0)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"audio": {"sha256": OTHER_SHA256}}, "the audio differs"),
        ({"model_size": "small"}, "the model differs ('base' on the reference, 'small' on the target)"),
        ({"checkpoint": {"sha256": OTHER_SHA256}}, "the checkpoint differs"),
        ({"threads": 2}, "the number of threads differs (1 on the reference, 2 on the target)"),
        ({"decode": {"precision": "bf16"}}, "the decode option precision differs"),
        ({"decode": {"beam_size": 5}}, "the decode option beam_size differs (None on the reference, 5 on the target)"),
        ({"decode": {"patience": 2}}, "the decode option patience differs"),
        ({"decode": {"temperature": 0.2}}, "the decode option temperature differs"),
    ],
)
def test_other_settings_are_different_work(changes: dict[str, Any], words: str) -> None:
    found = compare_work(mac_m4(), xeon_pool(**changes))
    assert found.verdict == "different"
    (reason,) = found.reasons
    assert words in reason


def test_every_reason_is_named() -> None:
    found = compare_work(mac_m4(), xeon_pool(threads=4, model_size="small", decode={"language": "de"}))
    assert len(found.reasons) == 3


@pytest.mark.parametrize(
    ("text", "tokens", "error_rate", "token_difference"),
    [
        (TEXT.replace("word7 ", "ward7 "), 204, 0.01, 0.02),
        (TEXT + " and more", 197, 0.02, 3 / 197),
        (TEXT.upper().replace(" ", ", ") + ".", 200, 0.0, 0.0),
    ],
)
def test_rounding_is_equivalent_work(text: str, tokens: int, error_rate: float, token_difference: float) -> None:
    reference = mac_m4(transcript=transcript())
    target = xeon_pool(transcript=transcript(text, tokens, sha256="1f" * 32))
    found = compare_work(reference, target)
    assert (found.verdict, found.word_error_rate) == ("equivalent", pytest.approx(error_rate))
    assert found.token_difference == pytest.approx(token_difference)
    assert compare_work(reference=target, target=reference) == found


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"windows": 2}, "the number of windows differs (1 and 2)"),
        ({"tokens": 205}, "the numbers of tokens (200, 205) differ by more than 2%"),
        ({"tokens": 0}, "the numbers of tokens (200, 0) differ by more than 2%"),
        ({"text": TEXT + " and three more words"}, "the transcripts differ in more than 2% of their words"),
        ({"text": ""}, "the transcripts differ"),
    ],
)
def test_other_outputs_are_different_work(changes: dict[str, Any], words: str) -> None:
    target = xeon_pool(transcript=transcript(sha256="1f" * 32, **changes))
    found = compare_work(mac_m4(transcript=transcript()), target)
    assert found.verdict == "different"
    assert words in found.reasons[-1]


@pytest.mark.parametrize("missing", [None, {}, {"sha256": None}])
def test_without_a_transcript_nothing_is_proven(missing: Any) -> None:
    target = xeon_pool()
    target["transcript"] = missing
    found = compare_work(mac_m4(), target)
    assert found.verdict == "different"
    assert found.reasons == ("the target has no transcript to prove what it did, perhaps since its run was cut short",)


def test_what_is_not_recorded_is_not_the_same() -> None:
    reference, target = mac_m4(), xeon_pool()
    del reference["checkpoint"], target["checkpoint"]
    assert compare_work(reference, target).reasons == ("the checkpoint is not recorded",)


def test_a_reason_is_safe_to_print() -> None:
    (reason,) = compare_work(mac_m4(), xeon_pool(model_size="\x1b[2J\u202e{{ 1 }}")).reasons
    assert reason.isprintable()
    assert "\\x1b" in reason


def test_words_have_neither_case_nor_punctuation() -> None:
    assert words("\u201cIt's\u2014\ufb01ne,\u201d she said.\n") == ["it's", "fine", "she", "said"]


def distance(one: list[str], other: list[str]) -> int:
    """Levenshtein's distance by its definition."""
    if not one or not other:
        return len(one) + len(other)
    return min(
        distance(one[1:], other[1:]) + (one[0] != other[0]), distance(one[1:], other) + 1, distance(one, other[1:]) + 1
    )


short_texts = st.lists(st.sampled_from("ab"), max_size=5)


@given(short_texts, short_texts, st.integers(0, 6))
def test_word_errors_are_levenshtein_s_up_to_the_limit(one: list[str], other: list[str], at_most: int) -> None:
    expected = distance(one, other)
    assert word_errors(one, other, at_most) == (expected if expected <= at_most else None)


def test_an_hour_of_speech_are_compared() -> None:
    one = [f"word{number % 700}" for number in range(9_000)]
    other = list(one)
    other[2_000] = "ward"
    del other[5_000]
    assert word_errors(one, other, at_most=180) == 2
