# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Texts that came from somewhere else, made safe for the document that they are put into."""

from __future__ import annotations

import unicodedata

MAX_LENGTH = 200
# What Markdown, or HTML inside Markdown, would act on. CommonMark lets every ASCII punctuation be escaped with a backslash.
MARKDOWN_SPECIAL = frozenset("\\`*_{}[]<>#!|~&@:")
# Categories of Unicode that do not show or that reorder what shows: control, format (the bidirectional ones among them),
# surrogate, private use, line and paragraph separators.
INVISIBLE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def one_line(text: object, max_length: int = MAX_LENGTH) -> str:
    """The text without anything invisible, in one line, cut where it is longer than `max_length`."""
    visible = "".join(
        " " if unicodedata.category(character) in INVISIBLE_CATEGORIES else character for character in str(text)
    )
    line = " ".join(visible.split())
    return line if len(line) <= max_length else line[: max_length - 1] + "…"


def markdown(text: object, max_length: int = MAX_LENGTH) -> str:
    """The text as Markdown that shows just that text, also in a table's cell."""
    return "".join(
        f"\\{character}" if character in MARKDOWN_SPECIAL else character for character in one_line(text, max_length)
    )


def yaml_comment(text: object, max_length: int = 1000) -> str:
    """The text as the rest of a comment's line."""
    return one_line(text, max_length)


def file_name(text: object) -> str:
    """The text as a part of a file's name: lower-case letters, digits, dots and dashes."""
    kept = "".join(
        character if character.isascii() and (character.isalnum() or character in ".-") else "-"
        for character in str(text).lower()
    )
    return kept.strip(".-")[:100] or "unnamed"
