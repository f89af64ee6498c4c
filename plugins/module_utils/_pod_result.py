# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The two ways on which a result leaves a Pod, as `bench_runner/pod.py` writes them: its log and its termination message.

The log carries the whole result, the message its hash and a shorter form. Both are what a stranger may have written:
nothing is believed before length and hash agree, and nothing is unpacked beyond its allowed size.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
import typing as t
import zlib

from ._container import Warned
from ._result import MAX_RESULT_BYTES, ResultError, parse_document

MARK = "rightsize-whisper"
BEGIN = re.compile(rf"{MARK} BEGIN (\S{{8,63}}) (\d{{1,6}}) (\d{{1,9}}) ([0-9a-f]{{64}})")
PIECE = re.compile(rf"{MARK} (\d{{1,6}}) ([A-Za-z0-9+/=]{{1,8000}})")
SHA256 = re.compile(r"[0-9a-f]{64}")


class Summary(t.NamedTuple):
    """What the termination message tells of the result."""

    sha256: str
    size: int
    words: str
    result: t.Optional[bytes]


class Carried(t.NamedTuple):
    """A result as it left the Pod, and what is to be said about its way."""

    document: bytes
    warnings: t.List[Warned]


def receive(log: t.Union[bytes, str], message: str, run_id: str) -> Carried:
    """The result that both ways agree on; where one is cut, that of the other, with a warning.

    `log` is the Pod's log, or why there is none.
    """
    summary, no_summary = _attempt(lambda: read_message(message, run_id))
    document, no_document = _attempt(lambda: read_log(log, run_id))
    if document is not None and summary is not None:
        if hashlib.sha256(document).hexdigest() != summary.sha256:
            raise ResultError(
                "garbled_result", "the result in the Pod's log is not the one its termination message names"
            )
        return Carried(document, [])
    if document is not None:
        return Carried(
            document, [Warned(code="no_summary", message=f"the result comes from the log alone: {no_summary}")]
        )
    if summary is not None and summary.result is not None:
        lost = Warned(
            code="summary_only",
            message=f"{no_document}; the latencies come from the termination message, but details of the iterations and "
            "texts are lost: run again if they matter",
        )
        return Carried(summary.result, [lost])
    found = f" ({summary.words} is all that is known)" if summary else f", and {no_summary}"
    raise ResultError("garbled_result", f"{no_document}{found}; run again")


def read_log(log: t.Union[bytes, str], run_id: str) -> bytes:
    """The result in the log of a Pod, amid whatever else there is."""
    if isinstance(log, str):
        raise ResultError("garbled_result", f"the Pod's log cannot be read ({log})")
    lines = log.decode("utf-8", "replace").splitlines()
    begins = [match for match in map(BEGIN.fullmatch, lines) if match and match.group(1) == run_id]
    if not begins:
        raise ResultError("garbled_result", "the Pod's log has no result in it, so it was rotated or cut")
    _run_id, count, size, sha256 = begins[-1].groups()
    if int(size) > MAX_RESULT_BYTES:
        raise ResultError("result_too_large", f"the result has {size} bytes, more than the {MAX_RESULT_BYTES} allowed")
    pieces = {int(match.group(1)): match.group(2) for match in map(PIECE.fullmatch, lines) if match}
    missing = [number for number in range(1, int(count) + 1) if number not in pieces]
    if missing:
        raise ResultError("garbled_result", f"the Pod's log lacks {len(missing)} of {count} lines of the result")
    document = _unpacked("".join(pieces[number] for number in range(1, int(count) + 1)), int(size))
    if len(document) != int(size) or hashlib.sha256(document).hexdigest() != sha256:
        raise ResultError("garbled_result", "the result in the Pod's log does not have the hash that it says")
    return document


def read_message(message: str, run_id: str) -> Summary:
    """The summary in a termination message."""
    try:
        summary = parse_document(message.encode("utf-8", "replace"), 4096)
    except ResultError:
        raise ResultError("garbled_result", "the termination message holds no summary of it") from None
    size, sha256 = summary.get("bytes"), summary.get("sha256")
    if summary.get("run_id") != run_id or not isinstance(size, int) or not SHA256.fullmatch(str(sha256)):
        raise ResultError("garbled_result", "the termination message is not of this run")
    packed = summary.get("result")
    words = f"a mean of {_number(summary.get('avg_latency_ms'))} ms in {_number(summary.get('iterations'))} iterations"
    return Summary(str(sha256), size, words, _unpacked(packed, MAX_RESULT_BYTES) if isinstance(packed, str) else None)


def _attempt(read: t.Callable[[], t.Any]) -> t.Tuple[t.Any, str]:
    try:
        return read(), ""
    except ResultError as error:
        if error.kind != "garbled_result":
            raise
        return None, str(error)


def _unpacked(packed: str, max_bytes: int) -> bytes:
    """The content of gzip in base64; never more than a byte beyond what it may have."""
    unpacker = zlib.decompressobj(wbits=31)
    try:
        return unpacker.decompress(base64.b64decode(packed, validate=True), max_bytes + 1)
    except (binascii.Error, zlib.error, ValueError) as error:
        raise ResultError("garbled_result", "the result that left the Pod cannot be unpacked") from error


def _number(value: object) -> str:
    return json.dumps(value) if isinstance(value, (int, float)) else "unknown"
