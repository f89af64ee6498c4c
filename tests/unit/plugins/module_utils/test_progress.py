# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.rightsize.whisper.plugins.module_utils._progress import (
    MAX_JOURNAL_BYTES,
    Journal,
    duration,
    printable,
)
from hypothesis import given
from hypothesis import strategies as st

RUN_ID = "20261123t120000-0a1b2c3d"
NOTHING_KNOWN = "iteration 0 of 0, mean 0.000 s, 0 s left"


def line(event: str, **values: Any) -> bytes:
    return json.dumps({"event": event, "time": 1.0, "run_id": RUN_ID, **values}).encode() + b"\n"


def iteration(number: int, **values: Any) -> bytes:
    return line("iteration", number=number, of=50, mean_ms=2107.4, eta_seconds=80.2, **values)


def fed(*pieces: bytes) -> Journal:
    journal = Journal(RUN_ID)
    for piece in pieces:
        journal.feed(piece)
    return journal


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (line("start", target="here"), "starting"),
        (line("process", process=2, of=5, phase="warming up"), "process 2 of 5, warming up"),
        (iteration(12), "iteration 12 of 50, mean 2.107 s, 1 min 20 s left"),
        (line("end", iterations=50), "finished"),
        (line("warning", code="noisy", message="!"), ""),
        (line("iteration"), NOTHING_KNOWN),
        (line("iteration", number="12", of=[], mean_ms=True, eta_seconds=float("inf")), NOTHING_KNOWN),
        (line("process", process={}, of=None, phase=7), "process 0 of 0, 7"),
    ],
)
def test_an_event_becomes_words(event: bytes, words: str) -> None:
    assert fed(event).words == words


def test_words_stay_until_an_event_has_new_ones() -> None:
    assert fed(iteration(3), line("log", message="x")).words.startswith("iteration 3")


def test_the_text_is_what_recovery_needs() -> None:
    events = [line("start"), iteration(1), iteration(2)]
    journal = fed(*events)
    assert journal.text.encode() == b"".join(events)
    assert journal.iterations == 2


def test_pieces_may_end_anywhere() -> None:
    stream = line("start") + iteration(1, note="é") + iteration(2)
    whole = fed(stream)
    assert fed(*(stream[index : index + 1] for index in range(len(stream)))).text == whole.text


def test_an_unfinished_last_line_counts_once_nothing_more_comes() -> None:
    journal = fed(iteration(1)[:-1])
    assert journal.iterations == 0
    journal.finish()
    assert journal.iterations == 1


def test_what_is_no_event_of_this_run_is_no_event() -> None:
    journal = fed(
        b"Killed\n",
        b"[1, 2]\n",
        b'{"event": 7}\n',
        b'{"event": "error", "run_id": "another-run-0001"}\n',
        b"{" * 100_000 + b"\n",
        b'{"a":' * 5_000 + b"\n",
        b"\xff\xfe\x00\n",
    )
    assert (journal.text, journal.iterations, journal.error) == ("", 0, None)


def test_an_error_may_come_before_the_run_knows_its_id() -> None:
    journal = fed(line("error", code=2, message="no such model").replace(RUN_ID.encode(), b""))
    assert journal.error is not None
    assert fed(iteration(1).replace(RUN_ID.encode(), b"")).iterations == 0


def test_the_last_error_and_the_last_other_words_are_kept() -> None:
    journal = fed(b"Traceback:\n", line("error", code=3, message="no audio"), b"  \x1b[2Jboom\n")
    assert journal.error is not None
    assert journal.error["message"] == "no audio"
    assert journal.last_words == "Traceback: / \N{REPLACEMENT CHARACTER}[2Jboom"


def test_a_flood_is_not_kept() -> None:
    journal = fed(*(iteration(number, note="x" * 60_000) for number in range(200)))
    assert len(journal.text) <= MAX_JOURNAL_BYTES
    assert journal.iterations == 200


def test_a_line_without_an_end_is_not_kept() -> None:
    journal = fed(*(b"x" * 65_536 for _unused in range(64)))
    journal.finish()
    assert len(journal.last_words) <= 200


@given(st.lists(st.binary(max_size=60)))
def test_no_bytes_do_harm(pieces: list[bytes]) -> None:
    journal = fed(*pieces)
    journal.finish()
    assert journal.text == ""
    assert journal.last_words.isprintable()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0 s"),
        (0.4, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (80, "1 min 20 s"),
        (3599.9, "1 h 00 min"),
        (7500, "2 h 05 min"),
    ],
)
def test_durations_read_well(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_terminal_finds_nothing_to_obey() -> None:
    assert printable("a\x1b[2J\r\n\x9bb\u202e\x07é") == "a�[2J���b��é"
