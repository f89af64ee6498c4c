# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The life of a container: created, checked, started, watched against our own clock, read out, and removed in any case.

`docker wait` is no deadline (its timeout is one of HTTP), and an engine may be stopped under a run, so the container is
looked at every few seconds; between the looks a thread reads its events as they come, which costs the engine nothing.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
import typing as t
from pathlib import Path

from ._container import GRACE_SECONDS, Request, RunError, Warned, check_architecture, runner_arguments
from ._container_life import TICK_SECONDS, create, find_image, inspect_state, remove, removed_from_outside
from ._container_outcome import Ending, complete, how_far, read_outcome, taints, timed_out
from ._docker import engine_faults, engine_info, is_gone
from ._engine_turn import EngineTurn
from ._kept_journal import KeptJournal
from ._progress import Journal

try:
    from docker.errors import APIError
    from requests.exceptions import RequestException
    from urllib3.exceptions import HTTPError
except ImportError:
    # The connection, without which nothing here is called, reports what is missing.
    APIError = RequestException = HTTPError = OSError

if t.TYPE_CHECKING:
    from ._caller import Caller

INSPECT_SECONDS = 5.0
AUDIO_TIMEOUT_SECONDS = 60.0


class ContainerRun:
    """One run; afterwards `facts`, `warnings` and `partial_journal` tell of it, however it ended."""

    def __init__(self, client: t.Any, engine_name: str, request: Request, caller: Caller) -> None:
        self.facts: t.Dict[str, t.Any] = {"name": f"rightsize-whisper-{request.run_id}"}
        self.warnings: t.List[Warned] = []
        self._client = client
        self._engine_name = engine_name
        self._request = request
        self._caller = caller
        self._journal = Journal(request.run_id)
        self._kept = KeptJournal(request.journal)
        self._started = 0.0
        self._elapsed_seconds = 0.0

    @property
    def partial_journal(self) -> t.Optional[str]:
        """The events so far, once there is an iteration among them."""
        return self._journal.text if self._journal.iterations else None

    @property
    def _how_far(self) -> str:
        return how_far(self._request, self._journal) if self._started else ""

    def execute(self) -> t.Dict[str, t.Any]:
        """The result of the run, verified; or a `RunError`, or `Abandoned` where nobody waits any more."""
        with engine_faults(RunError, lambda: self._how_far):
            image = find_image(self._client, self._request.image)
            engine = engine_info(self._client)
            check_architecture(self._request, image.attrs["Architecture"], engine["Architecture"])
            with self._open_audio() as audio, self._turn(engine) as turn:
                try:
                    self._start(image, engine, turn.owner, audio)
                    state = self._watch(turn)
                    output = self._read_logs()
                    self.warnings += self._kept.keep(self._journal)
                finally:
                    self.warnings += remove(self._client, self.facts["name"])
        ending = Ending(state["ExitCode"], state["OOMKilled"], self._elapsed_seconds, self._journal)
        result = read_outcome(self._request, ending, output)
        tainted = taints(self._request, result, engine["Architecture"])
        self.warnings += tainted
        return complete(result, self._request, self.warnings, bool(tainted), image.id, engine)

    def _turn(self, engine: t.Dict[str, t.Any]) -> EngineTurn:
        return EngineTurn(self._client, engine["ID"], self._caller, self._request.run_id)

    def _open_audio(self) -> t.ContextManager[t.Optional[t.BinaryIO]]:
        """The user's audio, opened before anything is started for it."""
        if self._request.audio is None:
            return contextlib.nullcontext()
        try:
            return Path(self._request.audio).open("rb")
        except OSError as error:
            raise RunError(
                "audio", f"cannot read the audio file {self._request.audio} on this host: {error.strerror}"
            ) from error

    def _start(self, image: t.Any, engine: t.Dict[str, t.Any], owner: str, audio: t.Optional[t.BinaryIO]) -> None:
        self._caller.say(f"starting the container on {self._engine_name}")
        cpu = str(engine["NCPU"] - 1) if self._request.cpuset else None
        self.warnings += create(
            self._client,
            image,
            self._request,
            self.facts,
            command=[*runner_arguments(self._request, image.id), *self._earlier(), "--take-turns"],
            owner=owner,
            cpu=cpu,
            stdin_open=audio is not None,
        )
        api, container_id = self._client.api, self.facts["id"]
        stdin = None if audio is None else api.attach_socket(container_id, {"stdin": 1, "stream": 1})
        api.start(container_id)
        self._started = time.monotonic()
        if audio is not None:
            self._send_audio(audio, stdin)

    def _earlier(self) -> t.List[str]:
        """The argument that hands on what an interrupted run had finished, read once that one has had its last turn."""
        if not self._request.resume:
            self._kept.forget()
            return []
        packed = self._kept.packed()
        return [] if packed is None else [f"--resume-packed={packed}"]

    def _send_audio(self, audio: t.BinaryIO, stdin: t.Any) -> None:
        """Nothing is mounted into the container: a user's audio goes in through its standard input."""
        connection: socket.socket = getattr(stdin, "_sock", stdin)
        connection.settimeout(AUDIO_TIMEOUT_SECONDS)
        try:
            # A runner that ends before it read everything says why itself.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.sendfile(audio)
                connection.shutdown(socket.SHUT_WR)
        except socket.timeout as error:  # of its own kind before Python 3.10
            raise RunError("audio", f"the container did not read the audio file {self._request.audio}") from error
        finally:
            stdin.close()

    def _watch(self, turn: EngineTurn) -> t.Dict[str, t.Any]:
        """Give the container its turns until it ends; gives its last state."""
        deadline = self._started + self._request.timeout_seconds + GRACE_SECONDS
        follower = self._follow()
        inspected = 0.0
        turns_given = 0
        while True:
            self._caller.pause(TICK_SECONDS)
            if follower.journal.words:
                self._caller.say(follower.journal.words)
            if follower.journal.iterations >= self._journal.iterations:
                self._journal = follower.journal
            self.warnings += self._kept.keep(self._journal)
            if self._journal.turns_asked > turns_given:
                deadline += turn.pass_on()
                turns_given += self._wake()
            now = time.monotonic()
            self._elapsed_seconds = now - self._started
            if now > deadline:
                raise timed_out(self._request, self._journal)
            if follower.is_alive() and now - inspected < INSPECT_SECONDS:
                continue
            state = inspect_state(self._client, self.facts["id"], self._caller, lambda: self._how_far)
            inspected = now
            if not state["Running"]:
                self.facts.update(exit_code=state["ExitCode"], oom_killed=state["OOMKilled"])
                return state
            if not follower.is_alive():
                follower = self._follow()

    def _wake(self) -> bool:
        """Tell the runner that it has the turn; that the engine or the runner is gone is for the next look to see."""
        try:
            self._client.api.kill(self.facts["id"], "SIGUSR1")
        except (RequestException, HTTPError):
            return False
        return True

    def _follow(self) -> _Follower:
        follower = _Follower(self._client, self.facts["id"], Journal(self._request.run_id))
        follower.start()
        return follower

    def _read_logs(self) -> bytes:
        """Standard output, and the events once more from the first to the last: the followed ones may lack the end."""
        journal = Journal(self._request.run_id)
        try:
            journal.feed(self._client.api.logs(self.facts["id"], stdout=False, stderr=True))
            journal.finish()
            self._journal = journal
            return t.cast(bytes, self._client.api.logs(self.facts["id"], stdout=True, stderr=False))
        except APIError as error:
            if not is_gone(error):
                raise
            raise removed_from_outside(self._how_far) from error


class _Follower(threading.Thread):
    """Feeds a journal from the container's standard error until that ends, or the engine does."""

    def __init__(self, client: t.Any, container_id: str, journal: Journal) -> None:
        super().__init__(daemon=True)
        self.journal = journal
        self._client = client
        self._container_id = container_id

    def run(self) -> None:
        # However the stream ends, the next inspect says what became of container and engine.
        with contextlib.suppress(RequestException, HTTPError, OSError):
            for piece in self._client.api.logs(self._container_id, stdout=False, stderr=True, stream=True):
                self.journal.feed(piece)
