# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import contextlib
import json
import random

import pytest
from ansible_collections.rightsize.whisper.plugins.module_utils._pod_result import read_log, read_message, receive
from ansible_collections.rightsize.whisper.plugins.module_utils._result import ResultError
from hypothesis import given
from hypothesis import strategies as st

from bench_runner import pod
from tests.unit.factories import xeon_pool

CHANCE = random.Random(1)
DOCUMENT = json.dumps(
    xeon_pool(wall_ms=[[CHANCE.uniform(2000, 2200) for _unused in range(400)] for _unused in range(5)])
).encode()
RUN_ID = xeon_pool()["run_id"]
FRAME = list(pod.frame(DOCUMENT))
SMALL = json.dumps(xeon_pool()).encode()
MESSAGE = pod.termination_message(SMALL)


def log_of(lines: list[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def codes(log: bytes | str, message: str) -> list[str]:
    return [warning["code"] for warning in receive(log, message, RUN_ID).warnings]


@given(st.lists(st.tuples(st.integers(0, len(FRAME)), st.text()), max_size=20))
def test_a_frame_is_found_amid_anything_else(others: list[tuple[int, str]]) -> None:
    lines = list(FRAME)
    for place, text in others:
        lines.insert(place, "other " + text)
    assert read_log(log_of(lines), RUN_ID) == DOCUMENT


def test_the_last_frame_of_the_run_counts() -> None:
    other = json.dumps(xeon_pool(run_id="another-run-0001")).encode()
    assert read_log(log_of([*pod.frame(other), *FRAME]), RUN_ID) == DOCUMENT


@given(st.integers(0, len(FRAME) - 2))
def test_a_frame_that_lacks_a_line_is_none(missing: int) -> None:
    with pytest.raises(ResultError, match=r"lacks 1 of|has no result") as caught:
        read_log(log_of(FRAME[:missing] + FRAME[missing + 1 :]), RUN_ID)
    assert caught.value.kind == "garbled_result"


@given(st.integers(0, len(log_of(FRAME[:-1])) - 1), st.integers(1, 255))
def test_a_frame_with_a_changed_byte_is_none(place: int, change: int) -> None:
    log = bytearray(log_of(FRAME[:-1]))
    log[place] ^= change
    # Some bytes do not matter, such as a line's end that becomes another kind of line's end.
    with contextlib.suppress(ResultError):
        assert read_log(bytes(log), RUN_ID) == DOCUMENT


def test_nothing_unpacks_to_more_than_it_may() -> None:
    bomb = SMALL[:-1] + b" " * (64 * 2**20) + b"}"
    with pytest.raises(ResultError, match="more than the 4194304") as caught:
        read_log(log_of(list(pod.frame(bomb))), RUN_ID)
    assert caught.value.kind == "result_too_large"
    lying = [line.replace(f" {len(bomb)} ", " 1000 ") for line in pod.frame(bomb)]
    with pytest.raises(ResultError, match="does not have the hash"):
        read_log(log_of(lying), RUN_ID)


def test_both_ways_agree() -> None:
    carried = receive(log_of(list(pod.frame(SMALL))), MESSAGE, RUN_ID)
    assert carried == (SMALL, [])


def test_one_way_is_enough_and_is_told() -> None:
    frame = log_of(list(pod.frame(SMALL)))
    assert codes(frame, "") == ["no_summary"]
    assert codes(frame, "the last lines of a log") == ["no_summary"]
    assert codes(frame, MESSAGE.replace(RUN_ID, "another-run-0001")) == ["no_summary"]
    assert codes(b"", MESSAGE) == ["summary_only"]
    assert codes("the node does not answer", MESSAGE) == ["summary_only"]
    shorter = json.loads(receive(b"", MESSAGE, RUN_ID).document)
    assert shorter["latency_ms"] == xeon_pool()["latency_ms"]


def test_ways_that_disagree_give_nothing() -> None:
    other = json.dumps(xeon_pool(cpu_model="another")).encode()
    with pytest.raises(ResultError, match="is not the one its termination message names"):
        receive(log_of(list(pod.frame(other))), MESSAGE, RUN_ID)


def test_what_is_known_is_told_where_both_are_cut() -> None:
    message = pod.termination_message(DOCUMENT)
    with pytest.raises(ResultError, match=r"cannot be read \(no node\).*a mean of 2\d+\.\d+ ms in 2000 iterations"):
        receive("no node", message, RUN_ID)
    with pytest.raises(ResultError, match="rotated or cut, and the termination message holds no summary"):
        receive(b"", "", RUN_ID)


@given(
    st.text(max_size=200)
    | st.dictionaries(st.sampled_from(["run_id", "bytes", "sha256", "result"]), st.text()).map(json.dumps)
)
def test_any_message_is_read_or_refused(message: str) -> None:
    with pytest.raises(ResultError) as caught:
        read_message(message, RUN_ID)
    assert caught.value.kind == "garbled_result"
