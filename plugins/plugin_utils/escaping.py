# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Texts that came from a target, made safe for the document that they are put into.

Whoever runs a target chooses its name, its CPU's name, its node's name and the words of its warnings. In a document
they show as what they are: they format nothing, link to nothing, notify nobody, reorder nothing and end no line.
"""

from __future__ import annotations

import hashlib
import re

MAX_LENGTH = 200
MAX_FILE_NAME_LENGTH = 60

# Shown as an entity: what HTML, a table's row or a formula would act on. A backslash before | is read differently
# inside and outside of tables.
_ENTITIES = str.maketrans({character: f"&#{ord(character)};" for character in "<>&|$"})
_BACKSLASHED = re.compile(r"[\\`*\[\]~]")
# An underscore between letters or digits, as in mac_m4, formats nothing and stays readable.
_UNDERSCORE = re.compile(r"(?<![^\W_])_|_(?![^\W_])")
# A heading, a list or a rule, where the text begins a line.
_BLOCK = re.compile(r"^(?=[#+=-])|^(\d{1,9})(?=[.)](?:\s|$))")
# Bare addresses and @names become links in GitHub's Markdown, whether escaped or not, and in other Markdown whatever ends
# as a domain does. A space of no width ends them. Models of English are called base.en, and no country is .en.
_LINK = re.compile(r"(/(?=/)|\bwww(?=\.)|@(?=\S)|\.(?!en\b)(?=[^\W\d_]{2,}\b))", re.IGNORECASE)
_NO_SPACE = "&#8203;"
# Nothing in these can end a code span or act within one, also in a table's cell.
_CODE = re.compile(r"[A-Za-z0-9._:/@+=,-]+")
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


def one_line(text: object, max_length: int = MAX_LENGTH) -> str:
    """The text in one line, without a character that is invisible or reorders others, cut where it is longer."""
    visible = "".join(_visible(character) for character in str(text))
    line = " ".join(visible.split())
    return line if len(line) <= max_length else line[: max_length - 1] + "…"


def markdown(text: object, max_length: int = MAX_LENGTH) -> str:
    """Markdown (CommonMark or GitHub's) that shows just this text: in a line, in a cell, at a line's beginning."""
    line = _BACKSLASHED.sub(r"\\\g<0>", one_line(text, max_length))
    line = _BLOCK.sub(r"\1\\", _UNDERSCORE.sub(r"\\_", line))
    return _LINK.sub(rf"\1{_NO_SPACE}", line.translate(_ENTITIES))


def markdown_code(text: object, max_length: int = MAX_LENGTH) -> str:
    """A code span for an identifier that can be copied, such as an image id; for any other text what `markdown` gives."""
    line = one_line(text, max_length)
    return f"`{line}`" if _CODE.fullmatch(line) else markdown(line, max_length)


def file_name(name: object) -> str:
    """A name as a part of a file's name. Where something had to be replaced, a hash keeps different names apart."""
    text = str(name)
    if len(text) <= MAX_FILE_NAME_LENGTH and _FILE_NAME.fullmatch(text):
        return text
    kept = re.sub(r"[^A-Za-z0-9_]+", "-", text).strip("-")[:MAX_FILE_NAME_LENGTH]
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{kept}-{digest}" if kept else digest


def _visible(character: str) -> str:
    if character.isprintable():
        return character
    return " " if character.isspace() else "\N{REPLACEMENT CHARACTER}"
