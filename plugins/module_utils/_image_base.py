# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The base of the runner image: the named one, or where no registry answers one made from Debian's packages."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tarfile
import tempfile
import typing as t
from pathlib import Path

from ._image_tools import ImageError, one_line, run, stream

try:
    from docker.errors import APIError, DockerException, ImageNotFound
    from docker.utils import parse_repository_tag
    from requests.exceptions import RequestException
except ImportError:
    # The connection, without which nothing here is called, reports what is missing.
    APIError = DockerException = ImageNotFound = RequestException = OSError

if t.TYPE_CHECKING:
    from ._caller import Caller

STAND_IN = "rightsize-whisper-base"
SUITE = "bookworm"
PACKAGES = ("python3-minimal", "libpython3-stdlib")
# What a container never reads, below the root of the bootstrapped system.
TRIMMED = (
    "var/cache/apt", "var/lib/apt/lists", "var/log", "usr/share/doc", "usr/share/man", "usr/share/locale",
    "usr/share/info", "usr/share/lintian",
)  # fmt: skip


class Base(t.NamedTuple):
    """A base image on the engine, and where it came from: `registry`, `engine` (built or loaded there), `debootstrap`."""

    id: str
    source: str


def find_base(client: t.Any, reference: str, platform: str) -> t.Optional[Base]:
    """The named base that the engine has, or the one that was made in its place."""
    for name in (reference, stand_in_name(reference, platform)):
        try:
            image = client.images.get(name)
        except ImageNotFound:
            continue
        if image.attrs["Architecture"] == platform:
            named = "registry" if image.attrs.get("RepoDigests") else "engine"
            return Base(image.id, named if name == reference else "debootstrap")
    return None


def stand_in_name(reference: str, platform: str) -> str:
    """The name of what is made in place of a base: for another one, or with another recipe, another name."""
    recipe = json.dumps([reference, platform, SUITE, PACKAGES, TRIMMED])
    return f"{STAND_IN}:{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"


def registry_answers(client: t.Any, reference: str) -> bool:
    """Whether the base's registry can be reached, whatever it answers; nothing is downloaded."""
    try:
        client.api.inspect_distribution(reference)
    except APIError as error:
        return _is_answer(error)
    except (DockerException, RequestException):
        return False
    return True


def provide_base(client: t.Any, reference: str, platform: str, caller: Caller) -> None:
    """Pull the named base, or make one where no registry answers."""
    caller.say(f"pulling the base image {reference}")
    try:
        _pull(client, reference, platform, caller)
    except APIError as error:
        if _is_answer(error):
            raise ImageError(
                "base", f"cannot pull the base image {reference}: {one_line(error.explanation or error)}"
            ) from error
        caller.say("no registry answers: making the base image from Debian's packages")
        _bootstrap(client, reference, platform, caller)


def _is_answer(error: APIError) -> bool:
    """Whether a registry said no, rather than nobody said anything: the engine calls that its own, a server's, error."""
    return bool(error.is_client_error())


def _pull(client: t.Any, reference: str, platform: str, caller: Caller) -> None:
    name, tag = parse_repository_tag(reference)
    arguments = {"tag": tag or "latest", "platform": f"linux/{platform}", "stream": True, "decode": True}
    layers: t.Dict[str, int] = {}
    for event in stream(lambda: client.api.pull(name, **arguments), caller):
        if "error" in event:
            raise ImageError("base", f"cannot pull the base image {reference}: {one_line(event['error'])}")
        if event.get("status") == "Downloading":
            layers[event["id"]] = event["progressDetail"].get("current", 0)
            caller.say(f"pulling the base image {reference}, {sum(layers.values()) // 1_000_000} MB")


def _bootstrap(client: t.Any, reference: str, platform: str, caller: Caller) -> None:
    """Make a base from Debian's packages. Needs root and the program debootstrap."""
    if shutil.which("debootstrap") is None or os.geteuid() != 0:
        raise ImageError(
            "base",
            f"no registry answers for the base image {reference}, and to make one here takes root and the program "
            "debootstrap; `docker load` an image with Python 3.11 and name it in runner_image_base",
        )
    with tempfile.TemporaryDirectory(prefix="rightsize-whisper-base-") as folder:
        root = Path(folder) / "root"
        options = ["--variant=minbase", f"--arch={platform}", f"--include={','.join(PACKAGES)}"]
        run(["debootstrap", *options, SUITE, str(root)], caller, "base", "debootstrap failed")
        for name in TRIMMED:
            shutil.rmtree(root / name, ignore_errors=True)
            (root / name).mkdir(parents=True)
        archive = Path(folder) / "root.tar"
        with tarfile.open(archive, "w") as tar:
            tar.add(root, arcname=".")
        answer = client.api.import_image_from_file(str(archive), *stand_in_name(reference, platform).split(":"))
    status = json.loads(answer.splitlines()[-1])
    if "error" in status:
        raise ImageError("base", f"the engine did not import the base image: {one_line(status['error'])}")
