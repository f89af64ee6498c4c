# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Opening a file that several processes write, and replacing one, so that a crash leaves what was or what is new."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import tempfile
import typing as t
from pathlib import Path

if t.TYPE_CHECKING:
    from collections.abc import Iterator

REMEDIES = {
    errno.EACCES: "let this user write there, or name another place",
    errno.EPERM: "let this user write there, or name another place",
    errno.EROFS: "name a place that can be written",
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some of the quota",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f)",
    errno.ELOOP: "it is a symbolic link, which is not followed: name the file itself",
    errno.EISDIR: "name a file",
    errno.EINVAL: "name a regular file",
    errno.ENOENT: "create the folder first",
    errno.ENOTDIR: "a folder on the way is a file",
}


def what_is_wrong(error: OSError) -> str:
    """The system's words for an error, and what to do about it."""
    remedy = REMEDIES.get(error.errno or 0)
    words = error.strerror or str(error)
    return f"{words}; {remedy}" if remedy else words


@contextlib.contextmanager
def locked_file(path: str, flags: int, mode: int = 0o600) -> Iterator[int]:
    """A descriptor of the regular file that has this name, locked while the context lasts.

    The lock excludes everybody if the file is opened for writing, else only those who write. A symbolic link is not
    followed: what it leads to may be a file that nobody meant.
    """
    descriptor = _open_locked(path, flags, mode)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def sync_folder_of(path: str) -> None:
    """Make a name that is new in its folder survive a crash."""
    descriptor = os.open(Path(path).parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_fully(descriptor: int, data: bytes) -> None:
    """Write all of it to the disk; on an error, an unknown part is written."""
    while data:
        data = data[os.write(descriptor, data) :]
    os.fsync(descriptor)


def replace_file(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Put a file in place at once, without a lock; on an error the old one stays, and no other."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        try:
            write_fully(descriptor, data)
            os.fchmod(descriptor, mode)
        finally:
            os.close(descriptor)
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise


def _open_locked(path: str, flags: int, mode: int) -> int:
    while True:
        # A pipe would be waited for without O_NONBLOCK.
        descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, mode)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError(errno.EINVAL, "not a regular file", path)
            fcntl.flock(descriptor, fcntl.LOCK_SH if flags & os.O_ACCMODE == os.O_RDONLY else fcntl.LOCK_EX)
            if _still_has_name(descriptor, path):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _still_has_name(descriptor: int, path: str) -> bool:
    """Whether the file was not replaced while its lock was waited for: what is written to it would be lost."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except FileNotFoundError:
        return False
