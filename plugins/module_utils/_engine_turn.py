# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One run at a time on an engine: two that measure side by side measure each other.

On this machine a locked file decides; the kernel unlocks it when its holder dies, however it dies. A container of ours
that is found while holding the lock therefore belongs to nobody, and is removed. Runs that came from another machine to
the same engine are seen by their containers: their turn is waited for, until the deadline that they carry has passed.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import socket
import time
import typing as t
from pathlib import Path

from ._caller import Caller
from ._container import RunError

try:
    from docker.errors import NotFound
except ImportError:
    # The connection, without which nothing here is called, reports what is missing.
    NotFound = OSError

if t.TYPE_CHECKING:
    from collections.abc import Iterator

LABEL = "io.rightsize.whisper."
WAIT_SECONDS = 1.0


@contextlib.contextmanager
def engine_turn(client: t.Any, engine_id: str, caller: Caller) -> Iterator[str]:
    """Wait for this machine's turn, then for the engine to be free; gives the owner that marks our containers."""
    path = _lock_path(engine_id)
    descriptor = _locked(path, caller)
    try:
        owner = _owner_of(descriptor)
        _free_engine(client, owner, caller)
        yield owner
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def containers_of_killed_runs(client: t.Any, engine_id: str, everything: bool) -> Iterator[t.List[t.Dict[str, t.Any]]]:
    """Our containers that nobody waits for, or all; while the context lasts, no run begins on this machine."""
    descriptor = _opened(_lock_path(engine_id))
    try:
        # While another run lasts, what is marked as this machine's may be that run's.
        owner = _owner_of(descriptor) if _try_lock(descriptor) else ""
        yield [found for found in _our_containers(client) if everything or _is_orphan(found["Labels"], owner)]
    finally:
        os.close(descriptor)


def _owner_of(descriptor: int) -> str:
    status = os.fstat(descriptor)
    return f"{socket.gethostname()}:{status.st_dev:x}:{status.st_ino:x}"


def _our_containers(client: t.Any) -> t.List[t.Dict[str, t.Any]]:
    return t.cast("t.List[t.Dict[str, t.Any]]", client.api.containers(all=True, filters={"label": LABEL + "run-id"}))


def _lock_path(engine_id: str) -> str:
    """Every user of this machine must come to the same file, so it cannot lie in anyone's TMPDIR."""
    return f"/tmp/rightsize-whisper-{hashlib.sha256(engine_id.encode()).hexdigest()[:16]}.lock"


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


def _free_engine(client: t.Any, owner: str, caller: Caller) -> None:
    while True:
        containers = _our_containers(client)
        orphans = [container for container in containers if _is_orphan(container["Labels"], owner)]
        for orphan in orphans:
            with contextlib.suppress(NotFound):
                client.api.remove_container(orphan["Id"], force=True, v=True)
        if all(container["State"] == "exited" for container in containers if container not in orphans):
            return
        caller.say("waiting for the engine, on which a run from another machine measures")
        caller.pause(WAIT_SECONDS)


def _is_orphan(labels: t.Dict[str, str], owner: str) -> bool:
    if labels.get(LABEL + "owner") == owner:
        return True
    deadline = labels.get(LABEL + "deadline", "")
    return not deadline.isdigit() or time.time() > int(deadline)
