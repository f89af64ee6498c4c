# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Did two runs do the same work? Only then is the ratio of their latencies one of machines.

What was asked for must agree: audio, model, checkpoint, threads, decode options. Of what came out, equal token ids
prove identical work. Other tokens may come from rounding, since AVX-512 and NEON add in another order; then the work is
equivalent if windows, token counts and texts agree closely. (In MLPerf's Whisper results, too, machines differ in their
tokens and agree in their word error rate.)
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

MAX_WORD_ERROR_RATE = 0.02
MAX_TOKEN_DIFFERENCE = 0.02

# What was asked for, by the words that a user knows it by; decode options are compared one by one.
SETTINGS = {
    "audio": ("audio", "sha256"),
    "model": ("model_size",),
    "checkpoint": ("checkpoint", "sha256"),
    "number of threads": ("threads",),
}

Verdict = Literal["identical", "equivalent", "different"]


@dataclass(frozen=True)
class SameWork:
    """The verdict; for `equivalent`, how far the outputs differ; for `different`, every reason."""

    verdict: Verdict
    word_error_rate: float | None = None
    token_difference: float | None = None
    reasons: tuple[str, ...] = ()


def compare_work(reference: Mapping[str, Any], target: Mapping[str, Any]) -> SameWork:
    """Judge whether two results can be compared; the order of the two does not matter."""
    reasons = (*_different_settings(reference, target), *_without_transcript(reference, target))
    if reasons:
        return SameWork("different", reasons=reasons)
    one, other = reference["transcript"], target["transcript"]
    if one["sha256"] == other["sha256"]:
        return SameWork("identical", word_error_rate=0.0, token_difference=0.0)
    return _compare_transcripts(one, other)


def word_errors(one: Sequence[str], other: Sequence[str], at_most: int) -> int | None:
    """The fewest words to insert, delete or replace that make `one` the `other`; None if that is more than `at_most`.

    Only the band of the edit matrix that `at_most` errors can reach is computed: hours of speech take seconds.
    """
    too_many = at_most + 1
    above = [min(column, too_many) for column in range(len(other) + 1)]
    for row, word in enumerate(one, start=1):
        current = [too_many] * (len(other) + 1)
        current[0] = min(row, too_many)
        for column in range(max(1, row - at_most), min(len(other), row + at_most) + 1):
            replaced = above[column - 1] + (word != other[column - 1])
            current[column] = min(replaced, above[column] + 1, current[column - 1] + 1, too_many)
        above = current
    return above[-1] if above[-1] <= at_most else None


def words(text: str) -> list[str]:
    """The words of a text without case and punctuation, as word error rates are usually computed."""
    return re.findall(r"[\w']+", unicodedata.normalize("NFKC", text).casefold())


def _different_settings(reference: Mapping[str, Any], target: Mapping[str, Any]) -> Iterator[str]:
    for name, path in SETTINGS.items():
        yield from _difference(f"the {name}", _at(reference, *path), _at(target, *path))
    ours, theirs = (_at(result, "decode") or {} for result in (reference, target))
    for option in sorted({*ours, *theirs, "precision"}):
        yield from _difference(f"the decode option {option}", ours.get(option), theirs.get(option), optional=True)


def _difference(name: str, ours: Any, theirs: Any, optional: bool = False) -> Iterator[str]:
    if ours != theirs:
        yield f"{name} differs ({_shown(ours)} on the reference, {_shown(theirs)} on the target)"
    elif ours is None and not optional:
        yield f"{name} is not recorded"


def _without_transcript(reference: Mapping[str, Any], target: Mapping[str, Any]) -> Iterator[str]:
    for side, result in (("reference", reference), ("target", target)):
        if any(_at(result, "transcript", key) is None for key in ("sha256", "tokens", "windows", "text")):
            yield f"the {side} has no transcript to prove what it did, perhaps since its run was cut short"


def _compare_transcripts(one: Mapping[str, Any], other: Mapping[str, Any]) -> SameWork:
    reasons = []
    if one["windows"] != other["windows"]:
        reasons.append(f"the number of windows differs ({one['windows']} and {other['windows']})")
    fewer, more = sorted((one["tokens"], other["tokens"]))
    token_difference = (more - fewer) / fewer if fewer else float(more > 0)
    if token_difference > MAX_TOKEN_DIFFERENCE:
        reasons.append(
            f"the numbers of tokens ({one['tokens']}, {other['tokens']}) differ by more than {MAX_TOKEN_DIFFERENCE:.0%}"
        )
    our_words, their_words = words(one["text"]), words(other["text"])
    shorter = min(len(our_words), len(their_words))
    errors = word_errors(our_words, their_words, at_most=int(MAX_WORD_ERROR_RATE * shorter))
    if errors is None:
        reasons.append(f"the transcripts differ in more than {MAX_WORD_ERROR_RATE:.0%} of their words")
    if errors is None or reasons:
        return SameWork("different", token_difference=token_difference, reasons=tuple(reasons))
    return SameWork("equivalent", errors / shorter if shorter else 0.0, token_difference)


def _at(document: Mapping[str, Any], *path: str) -> Any:
    value: Any = document
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _shown(value: Any) -> str:
    """A value in a message, safe to print; of a hash, the beginning is enough to tell two apart."""
    text = ascii(value)
    return text if len(text) <= 20 else text[:13] + "…"
