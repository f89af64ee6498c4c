# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whose a Pod is, and the results that Pods have given but no history has recorded yet.

For each target a user has one file on the controller. It is locked while a run of the target lasts, and it holds a
random word that marks the run's Pods. So a Pod that carries the word, seen by who holds the lock, was left by a run that
was killed: the kernel frees the lock of the dead, and the file outlives a restart of the machine.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import secrets
import typing as t
from pathlib import Path

from ._caller import Caller
from ._container import RunError
from ._locked_file import sync_folder_of, what_is_wrong, write_fully
from ._progress import printable
from ._result import MAX_RESULT_BYTES, ResultError, read_result

if t.TYPE_CHECKING:
    from collections.abc import Iterator

WAIT_SECONDS = 1.0
OWNER = re.compile(rb"[0-9a-f]{32}")

Result = t.Dict[str, t.Any]


class NotKept(RunError):
    """A result that cannot be written: what it came from must stay."""


@contextlib.contextmanager
def target_turn(server: str, namespace: str, target: str, caller: Caller) -> Iterator[str]:
    """Wait until no other run of this user measures the target from here; gives the word that marks its Pods."""
    with _owner_file(server, namespace, target) as descriptor:
        while not _try_lock(descriptor):
            caller.say("waiting for another run of this target")
            caller.pause(WAIT_SECONDS)
        yield _owner(descriptor)


@contextlib.contextmanager
def idle_target(server: str, namespace: str, target: str) -> Iterator[t.Optional[str]]:
    """The word that marks the Pods of the target, or None while a run of it lasts; meanwhile none begins."""
    with _owner_file(server, namespace, target) as descriptor:
        yield _owner(descriptor) if _try_lock(descriptor) else None


@contextlib.contextmanager
def _owner_file(server: str, namespace: str, target: str) -> Iterator[int]:
    key = hashlib.sha256("\0".join((server, namespace, target)).encode()).hexdigest()[:16]
    folder = state_folder()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(folder / f"{key}.owner", flags, 0o600)
    except OSError as error:
        raise RunError(
            "no_state",
            f"cannot keep the state of the target in {folder}: {what_is_wrong(error)}; or set XDG_STATE_HOME",
        ) from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def state_folder() -> Path:
    """Where programs keep what must outlive a restart (XDG base directories), apart from results, which are shared."""
    home = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(home).expanduser() / "rightsize-whisper"


def keep(folder: str, result: Result) -> str:
    """Write the result so that it survives a crash; gives the file."""
    path = Path(folder) / f"{result['run_id']}.json"
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            write_fully(descriptor, json.dumps(result, allow_nan=False).encode() + b"\n")
        finally:
            os.close(descriptor)
        beside.replace(path)
        sync_folder_of(str(path))
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise NotKept("not_kept", f"cannot keep the result in {folder}: {what_is_wrong(error)}") from error
    return str(path)


def unrecorded(folder: str, target: str) -> t.Iterator[t.Tuple[str, t.Union[Result, str]]]:
    """The files that an earlier run of the target left there, each with its result, or with what is wrong with it."""
    for path in sorted(Path(folder).glob("*.json")):
        try:
            with path.open("rb") as file:
                result = read_result(file.read(MAX_RESULT_BYTES + 1), {})
        except (OSError, ResultError) as error:
            yield str(path), printable(error)
            continue
        if result.get("target") == target:
            yield str(path), result


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _owner(descriptor: int) -> str:
    """The word in the file; a new one where a crash left none."""
    word = os.pread(descriptor, 64, 0)
    if not OWNER.fullmatch(word):
        word = secrets.token_hex(16).encode()
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, word, 0)
        os.fsync(descriptor)
    return word.decode()
