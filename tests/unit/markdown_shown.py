# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a text shows, and whether it does anything: asked of GitHub's own parser of Markdown, and of markdown-it.

Many editors and wikis have the second one, which also makes a link of whatever ends as a domain does.
"""

from __future__ import annotations

from html.parser import HTMLParser

import cmarkgfm
from markdown_it import MarkdownIt

# What breaks an address in two shows nothing.
ZERO_WIDTH_SPACE = "\u200b"

# Names as somebody would choose them who wants a report to do more than show them.
HOSTILE = (
    "a | b |",
    "`code` ``more``",
    "<script>alert(1)</script>",
    "<!-- comment",
    "--> end",
    "&lt;b&gt; &amp; &#124;",
    "[link](https://evil.example)",
    "![image](//evil.example/x.png)",
    "https://evil.example/path",
    "HTTP://EVIL.example",
    "www.evil.example",
    "evil.com evil.co.uk/path evil.рф evil.xn--p1ai",
    "//evil.com",
    "[x](javascript:alert(1)) <https://evil.com> [x]: https://evil.com",
    "ftp://evil.example",
    "mail@evil.example",
    "mailto:mail@evil.example",
    "@everyone",
    "# heading",
    "- item",
    "+ item",
    "* item",
    "12. item",
    "3) item",
    "> quote",
    "---",
    "===",
    "| - | - |",
    "**bold** *italic* __bold__ _italic_ ~~struck~~",
    "one\n\n# two\r\nthree\u2028four\x0bfive\x85six",
    "\x1b[31mred\x1b[0m \x1b]8;;https://evil.example\x07here\x1b]8;;\x07",
    "\u202egnp.exe \u2066isolated\u2069 \u200fright",
    "zero\u200bwidth \ufeffmark \x00null",
    "{{ lookup('pipe', 'touch /tmp/pwned') }}",
    "{% for i in range(10**9) %}x{% endfor %}{# comment #}",
    "{% raw %} {{ 7 * 7 }} {% endraw %}",
    "$x^2$ $$y$$",
    "trailing backslash \\",
    "\\| \\` \\\\",
    "[^1] [ ] [x] :smile: #123",
    "half a pair \ud800",
    "😀 ü 日本 Ω",
    "",
    "   ",
)


class _Shown(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def handle_comment(self, data: str) -> None:
        self.tags.append("comment")


def shown(markdown: str) -> tuple[list[str], str]:
    """The tags that it makes, and the text that it shows; both parsers must agree."""
    found = _read(cmarkgfm.github_flavored_markdown_to_html(markdown))
    assert _read(_MARKDOWN_IT.render(markdown)) == found
    return found


# With tables, strike-through, HTML and linkify.
_MARKDOWN_IT = MarkdownIt("gfm-like")


def _read(html: str) -> tuple[list[str], str]:
    parser = _Shown()
    parser.feed(html)
    parser.close()
    return parser.tags, "".join(parser.texts).replace(ZERO_WIDTH_SPACE, "")
