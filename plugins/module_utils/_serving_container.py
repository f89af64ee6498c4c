# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A container that serves: the runner image's `bench_runner.serve`, spoken to through its standard input and output.

The engine's attach socket carries the lines, so the container needs no network. What a container says may be anything:
only the few figures that are expected of it go any further.
"""

from __future__ import annotations

import json
import math
import re
import socket
import struct
import time
import typing as t

from ._container import GRACE_SECONDS, Request, RunError, Warned
from ._container_life import TICK_SECONDS, create, inspect_state, remove
from ._container_outcome import Ending, explain, one_line
from ._progress import MAX_LINE_BYTES, Journal

if t.TYPE_CHECKING:
    from ._caller import Caller

# A worker reads a request at once, and a clip as fast as it comes.
SEND_TIMEOUT_SECONDS = 60.0
# After its output has ended, a container's process is gone within this time.
ENDING_SECONDS = 5.0
RECEIVED_BYTES = 65536
# The engine puts this before every piece: the stream, three empty bytes, and how many bytes follow.
FRAME = struct.Struct(">BxxxI")
STANDARD_OUTPUT, STANDARD_ERROR = 1, 2

Message = t.Dict[str, t.Any]


class Closed(Exception):
    """The container says nothing more: it ended, or the engine did."""


class Frames:
    """Takes apart the stream in which the engine carries standard output and standard error."""

    def __init__(self) -> None:
        self._unfinished = b""

    def feed(self, data: bytes) -> t.Iterator[t.Tuple[int, bytes]]:
        """The pieces that are whole, each with its stream."""
        self._unfinished += data
        while len(self._unfinished) >= FRAME.size:
            stream, size = FRAME.unpack_from(self._unfinished)
            end = FRAME.size + size
            if len(self._unfinished) < end:
                return
            piece, self._unfinished = self._unfinished[FRAME.size : end], self._unfinished[end:]
            yield stream, piece


class ServingContainer:
    """One worker. Afterwards `facts` and `warnings` tell of it, however it ended."""

    def __init__(self, client: t.Any, request: Request, caller: Caller, number: int) -> None:
        self.facts: t.Dict[str, t.Any] = {"name": f"rightsize-whisper-{request.run_id}-worker-{number}"}
        self.warnings: t.List[Warned] = []
        self.answered = 0
        self._number = number
        self._client = client
        self._request = request
        self._caller = caller
        self._journal = Journal(request.run_id)
        self._frames = Frames()
        self._unfinished = b""
        self._stream: t.Any = None
        self._started = 0.0

    @property
    def connection(self) -> socket.socket:
        """What to wait on for something to read."""
        # The engine's client wraps what it speaks through, but for TLS and ssh.
        return t.cast(socket.socket, getattr(self._stream, "_sock", self._stream))

    @property
    def how_far(self) -> str:
        return f" after {self.answered} requests" if self._started else ""

    def start(self, image: t.Any, owner: str, cpu: t.Optional[str], clip: t.Optional[bytes]) -> None:
        """Create, check and start it, and hand it the clip."""
        self.warnings += create(
            self._client,
            image,
            self._request,
            self.facts,
            command=serve_arguments(self._request, None if clip is None else len(clip)),
            entrypoint=["python3", "-m", "bench_runner.serve"],
            owner=owner,
            cpu=cpu,
            stdin_open=True,
        )
        api = self._client.api
        self._stream = api.attach_socket(self.facts["id"], {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
        api.start(self.facts["id"])
        self._started = time.monotonic()
        self.connection.settimeout(SEND_TIMEOUT_SECONDS)
        if clip is not None:
            self._send(clip)

    def ask(self, number: int) -> None:
        """Send it a request."""
        self._send(json.dumps({"id": number}).encode() + b"\n")

    def hear(self) -> t.List[Message]:
        """What it has said since, when there is something to read; raises `Closed` at the end."""
        try:
            data = self.connection.recv(RECEIVED_BYTES)
        except OSError as error:
            raise Closed from error
        if not data:
            raise Closed
        said: t.List[Message] = []
        for stream, piece in self._frames.feed(data):
            if stream == STANDARD_ERROR:
                self._journal.feed(piece)
            elif stream == STANDARD_OUTPUT:
                said += self._messages(piece)
        return said

    def explain_end(self) -> RunError:
        """Why it says nothing more."""
        deadline = time.monotonic() + ENDING_SECONDS
        while True:
            state = inspect_state(self._client, self.facts["id"], self._caller, lambda: self.how_far)
            if not state["Running"]:
                break
            if time.monotonic() > deadline:
                return RunError(
                    "engine_lost", f"the engine closed the connection to worker {self._number}{self.how_far}; run again"
                )
            self._caller.pause(TICK_SECONDS)
        self.facts.update(exit_code=state["ExitCode"], oom_killed=state["OOMKilled"])
        self._journal.finish()
        elapsed_seconds = time.monotonic() - self._started
        if elapsed_seconds >= self._request.timeout_seconds:
            return self.timed_out()
        ending = Ending(state["ExitCode"], state["OOMKilled"], elapsed_seconds, self._journal, self.how_far)
        reason = explain(self._request, ending)
        return RunError(reason.kind, f"worker {self._number}: {reason}")

    def timed_out(self) -> RunError:
        return RunError(
            "timed_out",
            f"the test did not end within {self._request.timeout_seconds} s{self.how_far} of worker {self._number}; "
            "raise timeout or lower requests",
        )

    @property
    def is_overdue(self) -> bool:
        return time.monotonic() > self._started + self._request.timeout_seconds + GRACE_SECONDS

    def remove(self) -> None:
        """Whatever has become of it."""
        if self._stream is not None:
            self._stream.close()
        self.warnings += remove(self._client, self.facts["name"])

    def _send(self, data: bytes) -> None:
        try:
            self.connection.sendall(data)
        except socket.timeout as error:  # of its own kind before Python 3.10
            raise RunError(
                "container_killed", f"worker {self._number} has not read what was sent to it{self.how_far}; run again"
            ) from error
        except OSError as error:
            raise Closed from error

    def _messages(self, piece: bytes) -> t.Iterator[Message]:
        *lines, rest = (self._unfinished + piece).split(b"\n")
        if len(rest) > MAX_LINE_BYTES:
            raise RunError("garbled_result", f"worker {self._number} wrote a line without end; build the image again")
        self._unfinished = rest
        for line in lines:
            yield read_message(line, self._number)


def serve_arguments(request: Request, clip_bytes: t.Optional[int]) -> t.List[str]:
    """The command line of bench_runner.serve; each value is tied to its flag, so that none is taken for another flag."""
    values: t.Dict[str, t.Any] = {
        "run-id": request.run_id,
        "model-size": request.model,
        "threads": request.threads,
        "warmup": request.warmup,
        "deadline": request.timeout_seconds,
        "progress": "jsonl",
    }
    if clip_bytes is not None:
        values["audio-bytes"] = clip_bytes
    return [f"--{name}={value}" for name, value in values.items()]


def read_message(line: bytes, worker: int) -> Message:
    """One of the messages of bench_runner.serve, with just what is expected in it; `RunError` where it is none."""
    try:
        message = json.loads(line)
        if message["event"] == "ready":
            return {
                "event": "ready",
                "cpu_limit": None if message["cpu_limit"] is None else _number(message["cpu_limit"]),
                "threads": int(_number(message["threads"])),
                "model_load_seconds": _number(message["model_load_seconds"]),
                "audio_sha256": _sha256(message["audio"]["sha256"]),
                "checkpoint_sha256": _sha256(message["checkpoint_sha256"]),
            }
        if message["event"] == "answer":
            return {
                "event": "answer",
                "id": int(_number(message["id"])),
                "service_ms": _number(message["service_ms"]),
                "transcript_sha256": _sha256(message["transcript_sha256"]),
            }
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    said = one_line(line.decode("utf-8", "replace"))[:200]
    raise RunError(
        "garbled_result", f"worker {worker} said {said!r}, which is no answer to a request; build the image again"
    )


def _number(value: t.Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value < 0:
        raise ValueError
    return value


def _sha256(value: t.Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[0-9a-f]{64}", value):
        raise ValueError
    return value
