# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.rightsize.whisper.plugins.module_utils import _image_tools as tools
from ansible_collections.rightsize.whisper.plugins.module_utils._caller import Abandoned, Caller
from ansible_collections.rightsize.whisper.plugins.module_utils._image_tools import ImageError


@pytest.fixture
def caller() -> Iterator[Caller]:
    with Caller("[image] base:") as waiting:
        yield waiting


def test_a_program_that_fails_is_told_in_its_own_words(caller: Caller) -> None:
    program = "print('working'); print('ERROR: no match'); print('ERROR: read on'); print('[notice] a new pip'); raise SystemExit(3)"
    with pytest.raises(ImageError, match=r"^pip cannot: ERROR: no match$") as caught:
        tools.run([sys.executable, "-c", program], caller, "wheels", "pip cannot")
    assert caught.value.kind == "wheels"
    with pytest.raises(ImageError, match=r"^pip cannot: status 3$"):
        tools.run([sys.executable, "-c", "raise SystemExit(3)"], caller, "wheels", "pip cannot")
    with pytest.raises(ImageError, match=r"cannot run /nonexistent: No such file"):
        tools.run(["/nonexistent"], caller, "wheels", "pip cannot")


def test_a_program_that_nobody_waits_for_is_stopped(tmp_path: Path) -> None:
    with Caller("[image] base:", str(tmp_path / "run"), lease_seconds=0.1) as caller, pytest.raises(Abandoned):
        tools.run(["sh", "-c", f"echo $$ >{tmp_path}/pid; exec sleep 60"], caller, "wheels", "pip")
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_a_program_gets_the_environment_that_it_is_given(caller: Caller) -> None:
    tools.run([sys.executable, "-c", "import os; assert os.environ['A'] == 'b'"], caller, "wheels", "no", {"A": "b"})


def test_a_quotation_is_one_short_line() -> None:
    assert tools.one_line(OSError("first\n  second")) == "first second"
    assert len(tools.one_line("x" * 1000)) == tools.QUOTED_CHARACTERS


def test_a_stream_arrives_in_order_and_ends(caller: Caller) -> None:
    assert list(tools.stream(lambda: range(100), caller)) == list(range(100))


def test_an_error_in_a_stream_is_raised_where_somebody_waits(caller: Caller) -> None:
    def break_off() -> Iterator[int]:
        yield 1
        raise ConnectionResetError("gone")

    events = tools.stream(break_off, caller)
    assert next(events) == 1
    with pytest.raises(ConnectionResetError, match="gone"):
        next(events)


def test_a_silent_stream_that_nobody_waits_for_is_given_up(tmp_path: Path) -> None:
    def be_silent() -> Iterator[int]:
        time.sleep(60)
        yield 1

    begun = time.monotonic()
    with Caller("[image] base:", str(tmp_path / "run"), lease_seconds=0.1) as caller, pytest.raises(Abandoned):
        next(tools.stream(be_silent, caller))
    assert time.monotonic() - begun < 50
