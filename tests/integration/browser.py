# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a browser makes of a page: the Chromium that is installed, without a window."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

COMMANDS = ("chromium", "chromium-browser", "google-chrome")
# Every element with a text of its own, and the contrast (WCAG 2.2) between its colour and the nearest colour behind it.
CONTRASTS = """() => {
  const parse = (colour) => {
    const numbers = colour.match(/[\\d.]+/g).map(Number);
    return numbers.length > 3 && numbers[3] === 0 ? null : numbers.slice(0, 3);
  };
  const luminance = (colour) => {
    const [red, green, blue] = colour.map((part) => part / 255).map(
      (part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const behind = (element) => {
    const picture = element.closest("svg");
    if (picture) return parse(getComputedStyle(picture.querySelector("rect.card")).fill);
    for (let at = element; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour) return colour;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const element of document.body.querySelectorAll("*")) {
    const words = [...element.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
    if (!words.length || ["title", "SCRIPT", "STYLE"].includes(element.tagName)) continue;
    const style = getComputedStyle(element);
    const sides = [parse(element.closest("svg") ? style.fill : style.color), behind(element)].map(luminance);
    found.push([element.tagName, words[0].data.trim().slice(0, 40),
                (Math.max(...sides) + 0.05) / (Math.min(...sides) + 0.05)]);
  }
  return found;
}"""


class Seen:
    """A page that is open, and everything that it has done since: said, asked for, or popped up."""

    def __init__(self, page: Any, url: str) -> None:
        self.page = page
        self.events: list[str] = []
        page.on("console", lambda message: self.events.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: self.events.append(f"error: {error}"))
        page.on("dialog", self._dismiss)
        page.on(
            "request", lambda request: self.events.append(f"request: {request.url}") if request.url != url else None
        )
        page.goto(url)

    def _dismiss(self, dialog: Any) -> None:
        self.events.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def faint_texts(self) -> list[str]:
        """Texts with a contrast below 4.5; an AssertionError where there is no text at all."""
        contrasts = self.page.evaluate(CONTRASTS)
        assert contrasts
        return [f"{tag} {words!r}: {contrast:.2f}" for tag, words, contrast in contrasts if contrast < 4.5]

    def overflow(self) -> int:
        """How many pixels the page is wider than the screen."""
        pixels: int = self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        return pixels


class Browser:
    """Opens files as somebody would who has this screen and these settings."""

    def __init__(self, chromium: Any) -> None:
        self._chromium = chromium

    def open(self, file: Path, width: int = 1100, colours: str = "light", **settings: Any) -> Seen:
        page = self._chromium.new_page(viewport={"width": width, "height": 800}, color_scheme=colours, **settings)
        return Seen(page, file.as_uri())


@contextmanager
def a_browser() -> Iterator[Browser]:
    """The browser; where there is none, the test is skipped."""
    playwright = pytest.importorskip("playwright.sync_api", reason="the Python package playwright is not installed")
    command = next(filter(None, map(shutil.which, COMMANDS)), None)
    if command is None:
        pytest.skip(f"there is no Chromium: none of {', '.join(COMMANDS)} is in PATH")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=command)
        try:
            yield Browser(chromium)
        finally:
            chromium.close()
