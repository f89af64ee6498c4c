# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.rightsize.whisper.plugins.plugin_utils.escaping import (
    MAX_FILE_NAME_LENGTH,
    file_name,
    markdown,
    markdown_code,
    one_line,
)
from hypothesis import example, given
from hypothesis import strategies as st

from tests.unit.markdown_shown import HOSTILE, shown

# Text with many of the signs that mean something somewhere.
signs = st.text(alphabet=st.one_of(st.sampled_from("|`<>&[]()!*_~#+-=.:/\\@$^{}%\"' \n\twwwhtps1aé"), st.characters()))
texts = st.one_of(signs, st.sampled_from(HOSTILE), st.tuples(st.sampled_from(HOSTILE), signs).map("".join))


@given(texts)
def test_a_text_in_one_line_moves_no_cursor_and_ends_no_line(text: str) -> None:
    line = one_line(text)
    assert line.isprintable()
    assert line == line.strip()
    assert "  " not in line
    assert len(line) <= 200


def test_what_is_plain_stays_as_it_is() -> None:
    for text in (
        "Intel(R) Xeon(R) Platinum 8488C @ 2.40GHz",
        "mac_m4",
        "6.1.134-152.225.amzn2023.x86_64",
        "base.en",
        "日本 Ω",
    ):
        assert one_line(text) == markdown(text) == text


def test_a_long_text_is_cut_and_says_so() -> None:
    assert one_line("x" * 201) == "x" * 199 + "…"
    assert one_line("x" * 200) == "x" * 200
    assert markdown("|" * 10, 3) == "&#124;&#124;…"


@given(texts)
@example("\x1b[2J")
def test_markdown_shows_just_the_text(text: str) -> None:
    tags, visible = shown(markdown(text))
    assert visible.strip() == one_line(text)
    assert tags == ["p"] * bool(one_line(text))


@given(texts)
def test_markdown_stays_within_its_cell(text: str) -> None:
    tags, visible = shown(f"| a | b |\n|---|---|\n| {markdown(text)} | after |\n")
    assert tags == ["table", "thead", "tr", "th", "th", "tbody", "tr", "td", "td"]
    assert [line for line in visible.split("\n") if line] == ["a", "b", *filter(None, [one_line(text)]), "after"]


@given(texts)
def test_markdown_stays_within_a_sentence(text: str) -> None:
    tags, visible = shown(f"## **On** {markdown(text)}: it took *long*\n")
    assert tags == ["h2", "strong", "em"]
    assert visible.strip() == f"On {one_line(text)}: it took long"


@given(texts)
def test_code_shows_just_the_text(text: str) -> None:
    tags, visible = shown(f"| a | b |\n|---|---|\n| {markdown_code(text)} | after |\n")
    assert [tag for tag in tags if tag != "code"] == ["table", "thead", "tr", "th", "th", "tbody", "tr", "td", "td"]
    assert [line for line in visible.split("\n") if line] == ["a", "b", *filter(None, [one_line(text)]), "after"]


def test_an_identifier_is_code() -> None:
    assert markdown_code("sha256:5861314d7fcc") == "`sha256:5861314d7fcc`"
    assert markdown_code("registry.example.com/team/whisper:base") == "`registry.example.com/team/whisper:base`"
    assert markdown_code("a`b") == "a\\`b"


@pytest.mark.parametrize(
    "text", ["https://evil.example", "www.evil.example", "WWW.evil.example", "a@evil.example", "evil.com"]
)
def test_an_address_is_broken_even_where_entities_are_read_first(text: str) -> None:
    """Parsers that look for addresses in the finished text see a character in between, not an escape."""
    assert "&#8203;" in markdown(text)


@pytest.mark.parametrize("name", ["base", "base.en", "large-v3-turbo", "xeon_pool", "Xeon1"])
def test_a_plain_name_is_its_file_name(name: str) -> None:
    assert file_name(name) == name


@given(texts)
@example("../../etc/passwd")
@example("/etc/passwd")
@example("..")
@example("-rf")
@example(".hidden")
@example("a" * 300)
def test_a_file_name_leads_nowhere(text: str) -> None:
    name = file_name(text)
    assert name.isascii()
    assert all(character.isalnum() or character in "._-" for character in name)
    assert name[0] not in ".-"
    assert 0 < len(name) <= MAX_FILE_NAME_LENGTH + 9


@given(st.lists(texts, unique=True))
def test_different_names_have_different_files(names: list[str]) -> None:
    assert len({file_name(name) for name in names}) == len(names)
