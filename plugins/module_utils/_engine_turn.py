# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One run at a time on an engine: two that measure side by side measure each other.

On this machine a locked file decides; the kernel unlocks it when its holder dies, however it dies. Runs pass the turn on
between their processes, A B A B, so that a machine whose speed drifts slows each of them alike. A second locked file says
for as long as a run lasts that somebody waits for it: a container of ours without one belongs to nobody, and is removed.
Runs that came from another machine to the same engine are seen by their containers: their end is waited for, until the
deadline that they carry has passed.
"""

from __future__ import annotations

import contextlib
import fcntl
import glob
import hashlib
import os
import socket
import time
import typing as t
from pathlib import Path

from ._caller import Caller
from ._container import RunError
from ._docker import remove_container

if t.TYPE_CHECKING:
    from collections.abc import Iterator

LABEL = "io.rightsize.whisper."
# Every user of this machine must come to the same files, so they cannot lie in anyone's TMPDIR.
FOLDER = "/tmp"
WAIT_SECONDS = 0.2
# Whoever waits for the turn has seen by then that it is free.
PASS_ON_SECONDS = 2 * WAIT_SECONDS


class EngineTurn:
    """A context: within it, no other run of this machine measures on the engine, save where the turn is passed on.

    `owner` marks our containers. Raises `RunError` where the locks cannot be had.
    """

    def __init__(self, client: t.Any, engine_id: str, caller: Caller, run_id: str = "") -> None:
        self.owner = ""
        self._client = client
        self._engine_id = engine_id
        self._caller = caller
        self._run_id = run_id
        self._turn: t.Optional[int] = None
        self._life: t.Optional[int] = None

    def __enter__(self) -> EngineTurn:
        try:
            if self._run_id:
                self._life = self._begin_life()
            self._take()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self._release()
        if self._life is not None:
            with contextlib.suppress(OSError):
                os.unlink(_life_path(self._engine_id, self._run_id))
            os.close(self._life)
            self._life = None

    def pass_on(self) -> float:
        """Let whoever waits go first, and wait for the next turn; gives the seconds that it took."""
        begun = time.monotonic()
        self._release()
        self._caller.pause(PASS_ON_SECONDS)
        self._take()
        return time.monotonic() - begun

    def _begin_life(self) -> int:
        """A descriptor that holds the lock which says that somebody waits for this run."""
        path = _life_path(self._engine_id, self._run_id)
        while True:
            descriptor = _opened(path)
            if not _try_lock(descriptor):
                os.close(descriptor)
                raise RunError("bad_usage", f"a run {self._run_id} is under way on this engine; give it another id")
            if _is_same_file(descriptor, path):
                return descriptor
            # Another run took it for one of a killed run, between the opening and the locking.
            os.close(descriptor)

    def _take(self) -> None:
        self._turn = _locked(_lock_path(self._engine_id), self._caller)
        self.owner = _owner_of(self._turn)
        self._free_engine()
        _remove_lives_of_killed_runs(self._engine_id)

    def _release(self) -> None:
        if self._turn is not None:
            os.close(self._turn)
            self._turn = None

    def _free_engine(self) -> None:
        """Remove what killed runs have left; wait for the runs of other machines."""
        while True:
            containers = _our_containers(self._client)
            orphans = [found for found in containers if _is_orphan(found["Labels"], self._engine_id, self.owner)]
            for orphan in orphans:
                remove_container(self._client, orphan["Id"])
            if all(
                found["State"] == "exited" or _is_awaited(found["Labels"], self._engine_id)
                for found in containers
                if found not in orphans
            ):
                return
            self._caller.say("waiting for the engine, on which a run from another machine measures")
            self._caller.pause(WAIT_SECONDS)


@contextlib.contextmanager
def containers_of_killed_runs(client: t.Any, engine_id: str, everything: bool) -> Iterator[t.List[t.Dict[str, t.Any]]]:
    """Our containers that nobody waits for, or all; where no run has the turn, none begins while the context lasts."""
    descriptor = _opened(_lock_path(engine_id))
    try:
        _try_lock(descriptor)
        owner = _owner_of(descriptor)
        yield [
            found for found in _our_containers(client) if everything or _is_orphan(found["Labels"], engine_id, owner)
        ]
    finally:
        os.close(descriptor)


def _owner_of(descriptor: int) -> str:
    status = os.fstat(descriptor)
    return f"{socket.gethostname()}:{status.st_dev:x}:{status.st_ino:x}"


def _our_containers(client: t.Any) -> t.List[t.Dict[str, t.Any]]:
    return t.cast("t.List[t.Dict[str, t.Any]]", client.api.containers(all=True, filters={"label": LABEL + "run-id"}))


def _lock_path(engine_id: str) -> str:
    return f"{FOLDER}/rightsize-whisper-{_digest(engine_id)}.lock"


def _life_path(engine_id: str, run_id: str) -> str:
    """The id may come from the label of a container, so it names no file itself."""
    return f"{FOLDER}/rightsize-whisper-{_digest(engine_id)}-{_digest(run_id)}.lock"


def _remove_lives_of_killed_runs(engine_id: str) -> None:
    for path in glob.glob(f"{FOLDER}/rightsize-whisper-{_digest(engine_id)}-*.lock"):
        # One of another user's is that user's to remove.
        with contextlib.suppress(OSError):
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                if _try_lock(descriptor):
                    os.unlink(path)
            finally:
                os.close(descriptor)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _locked(path: str, caller: Caller) -> int:
    """A descriptor that holds the lock of the file that now has this name."""
    while True:
        descriptor = _opened(path)
        try:
            while not _try_lock(descriptor):
                caller.say("waiting for the engine, on which another run measures")
                caller.pause(WAIT_SECONDS)
            if _is_same_file(descriptor, path):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _opened(path: str) -> int:
    """Open for reading, which is all that a lock needs, so that the file of one user serves every other."""
    while True:
        try:
            return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            with contextlib.suppress(FileExistsError):
                descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDONLY | os.O_CLOEXEC, 0o444)
                os.fchmod(descriptor, 0o444)
                return descriptor
        except OSError as error:
            raise RunError(
                "no_lock", f"cannot open {path} on this host, which lets one run at a time measure: {error.strerror}"
            ) from error


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_same_file(descriptor: int, path: str) -> bool:
    """A cleaner of temporary files may have removed the file while we waited: its lock then excludes nobody."""
    try:
        return os.path.samestat(os.fstat(descriptor), Path(path).stat())
    except FileNotFoundError:
        return False


def _is_orphan(labels: t.Dict[str, str], engine_id: str, owner: str) -> bool:
    if _is_awaited(labels, engine_id):
        return False
    if labels.get(LABEL + "owner") == owner:
        return True
    deadline = labels.get(LABEL + "deadline", "")
    return not deadline.isdigit() or time.time() > int(deadline)


def _is_awaited(labels: t.Dict[str, str], engine_id: str) -> bool:
    """Whether a process of this machine waits for the end of this container's run."""
    try:
        descriptor = os.open(_life_path(engine_id, labels.get(LABEL + "run-id", "")), os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        return not _try_lock(descriptor)
    finally:
        os.close(descriptor)
