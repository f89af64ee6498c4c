# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.browser import Browser, a_browser
from tests.integration.playbooks import PlaybookRun
from tests.integration.reporting import Reporting
from tests.unit.factories import mac_m4, xeon_pool

# What would run, load or be formatted if anything forgot to escape it.
HOSTILE = (
    "<script>document.title = 'ran'; alert(1)</script>",
    "<img src=https://evil.example/x.png onerror=\"document.title = 'ran'\">",
    "</title></svg></style><svg onload=alert(1)><style>* { color: #777; background: #777 }</style>",
    "![x](https://evil.example/y.png) [link](javascript:alert(1)) **bold** | cell |",
    "{{ 6 * 7 }}{% for i in range(9) %}x{% endfor %}\x1b[31m \u202e",
    "W" * 300,
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with a_browser() as opened:
        yield opened


@pytest.fixture
def reporting(play: Callable[..., PlaybookRun], tmp_path: Path) -> Reporting:
    return Reporting(play, tmp_path)


def hostile(result: dict[str, Any], text: str) -> dict[str, Any]:
    warnings = [{"code": "noisy", "message": text}]
    result.update(
        target=text, cpu_model=text, kubernetes={"node": text}, image={"id": text, "name": text}, warnings=warnings
    )
    result["audio"]["name"] = result["software"]["torch"] = result["software"]["kernel"] = text
    return result


def test_the_page_runs_nothing_asks_for_nothing_and_can_be_read(browser: Browser, reporting: Reporting) -> None:
    candidates = {
        f"host{number}": hostile(xeon_pool(run_id=f"20261123t123000-{number:08}"), text)
        for number, text in enumerate(HOSTILE)
    }
    run = reporting.run({"mac_m4": hostile(mac_m4(), HOSTILE[0])}, candidates)
    assert run.wait() == 0, run.output

    for width in (1100, 375):
        for colours in ("light", "dark"):
            seen = browser.open(reporting.page, width, colours)
            seen.page.wait_for_timeout(200)
            assert seen.events == []
            assert seen.page.title() == "Whisper base: CPUs for 5 requests/s"
            assert seen.faint_texts() == []
            assert seen.overflow() <= 0
            dark = seen.page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
            assert dark == (colours == "dark")
            seen.page.emulate_media(media="print")
            assert seen.faint_texts() == []
            assert seen.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
            seen.page.close()

    seen = browser.open(reporting.page, java_script_enabled=False)
    shown = seen.page.inner_text("body")
    for text in HOSTILE[:4]:
        assert text in shown.replace("\u200b", "")
    # The latencies, and for each candidate its replicas and a ratio, since each says that it has another CPU.
    assert seen.page.locator("figure svg").count() == 1 + 2 * len(HOSTILE)
    assert seen.page.locator("script, img, iframe, link, object").count() == 0


def test_what_a_browser_finds_wrong_is_found(browser: Browser, tmp_path: Path) -> None:
    page = tmp_path / "wrong.html"
    page.write_text(
        "<!DOCTYPE html><p style='color: #999'>faint</p><p>clear</p><div style='width: 2000px'>wide</div>"
        "<img src='http://127.0.0.1:9/x.png'><script>console.log('here'); alert(1)</script>"
    )
    seen = browser.open(page)
    assert seen.faint_texts() == ["P 'faint': 2.85"]
    assert seen.overflow() > 0
    assert {event.split(":")[0] for event in seen.events} == {"console", "dialog", "request"}
