# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Docker engine: which one, found how, and a connection to it.

An engine is looked for in this order: what the caller names, DOCKER_HOST, the Docker context, the sockets where engines
are known to listen. A remote engine measures another machine than the one that the inventory names, so it is taken only
where it is named by the caller, or remote ones are allowed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import traceback
import typing as t
from pathlib import Path

from ._progress import printable

try:
    import docker
    from docker.errors import APIError, DockerException, StreamParseError
    from docker.utils import kwargs_from_env
    from requests.exceptions import RequestException
    from urllib3.exceptions import HTTPError

    DOCKER_IMPORT_ERROR: t.Optional[str] = None
except ImportError:
    DOCKER_IMPORT_ERROR = traceback.format_exc()
    APIError = DockerException = StreamParseError = RequestException = HTTPError = ImportError

CONNECT_TIMEOUT_SECONDS = 10
REQUEST_TIMEOUT_SECONDS = 60
LOCAL_SCHEMES = ("unix://", "npipe://", "http+unix://")
# The engine's word -> the result's word.
ARCHITECTURES = {"amd64": "x86_64", "x86_64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}
START_HINTS = {
    "Darwin": "start Docker Desktop, OrbStack or Colima (`colima start`)",
    "Linux": "start it (`systemctl start docker`, or `dockerd`), or let the role docker_engine install it",
}
DENIED = "Permission denied"
DENIED_HINT = "let this user use the socket: add the user to the socket's group, usually docker, and log in again"
QUOTED_CHARACTERS = 500


class EngineError(Exception):
    """No engine, or none that may be used; `kind` is a word that stays the same."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Candidate(t.NamedTuple):
    """An address where an engine may answer, and who named it."""

    url: str
    source: str


def connect(engine_url: t.Optional[str], allow_remote: bool = False) -> t.Tuple[t.Any, t.Dict[str, t.Any]]:
    """A client of the first engine that answers, and what it is; raises EngineError."""
    if DOCKER_IMPORT_ERROR:
        raise EngineError(
            "no_docker_package",
            f"the Python package docker is missing on {platform.node()}; install it with "
            "`python3 -m pip install docker` for the Python that Ansible uses there",
        )
    tried: t.List[str] = []
    for candidate in candidates(engine_url):
        named = candidate.source == "option"
        if not candidate.url.startswith(LOCAL_SCHEMES) and not (named or allow_remote):
            raise EngineError(
                "remote_engine",
                f"{candidate.source} names the remote engine {candidate.url}, which would measure another machine; "
                "name it in engine_url if that is meant",
            )
        client = None
        try:
            client = docker.DockerClient(
                base_url=candidate.url,
                version="auto",
                timeout=CONNECT_TIMEOUT_SECONDS,
                # Certificates are for tcp:// alone, found as Docker's own client finds them.
                tls=kwargs_from_env().get("tls") if candidate.url.startswith("tcp://") else None,
            )
            version = client.version()
            client.api.timeout = REQUEST_TIMEOUT_SECONDS
            return client, describe(client, candidate, version)
        except (DockerException, RequestException, OSError, ValueError) as error:
            tried.append(f"{candidate.url} ({candidate.source}: {reason(error)})")
            if client is not None:
                client.close()
            # What the user named is meant; another engine in its place would be a surprise.
            if candidate.source != "known socket":
                break
    looked = f"tried {', '.join(tried)}" if tried else "DOCKER_HOST is not set and none of the known sockets is there"
    is_denied = any(DENIED in each for each in tried)
    hint = DENIED_HINT if is_denied else START_HINTS.get(platform.system(), "start one")
    raise EngineError("no_engine", f"no Docker engine answers on {platform.node()}; {looked}; {hint}")


def candidates(engine_url: t.Optional[str]) -> t.Iterator[Candidate]:
    """Where to look, in order."""
    if engine_url:
        yield Candidate(engine_url, "option")
        return
    if os.environ.get("DOCKER_HOST"):
        yield Candidate(os.environ["DOCKER_HOST"], "DOCKER_HOST")
        return
    context = current_context()
    if context is not None:
        yield context
        return
    for path in known_sockets():
        if path.is_socket():
            yield Candidate(f"unix://{path}", "known socket")


def is_named(engine_url: t.Optional[str]) -> bool:
    """Whether an engine is named, so that one installed in its place would not be used."""
    try:
        first = next(candidates(engine_url), None)
    except EngineError:
        return True
    return first is not None and first.source != "known socket"


def current_context() -> t.Optional[Candidate]:
    """The engine of the chosen Docker context, unless that is the default one."""
    from docker.context import ContextAPI
    from docker.context.config import get_current_context_name

    try:
        name = os.environ.get("DOCKER_CONTEXT") or get_current_context_name()
        if not name or name == "default":
            return None
        context = ContextAPI.get_context(name)
    except Exception as error:  # docker raises no narrower one for a damaged file
        raise EngineError(
            "no_engine", f"the Docker context cannot be read: {reason(error)}; see `docker context ls`"
        ) from error
    if context is None or not context.Host:
        raise EngineError("no_engine", f"there is no Docker context {name!r}; see `docker context ls`")
    return Candidate(context.Host, f"context {name}")


def known_sockets() -> t.List[Path]:
    """Where engines listen by default: Docker, Docker Desktop, Colima, OrbStack, Rancher Desktop, Podman."""
    home = Path.home()
    runtime = os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    return [
        Path("/var/run/docker.sock"),
        home / ".docker/run/docker.sock",
        home / ".docker/desktop/docker.sock",
        home / ".colima/default/docker.sock",
        config / "colima/default/docker.sock",
        home / ".orbstack/run/docker.sock",
        home / ".rd/docker.sock",
        Path(runtime) / "docker.sock",
        Path(runtime) / "podman/podman.sock",
        home / ".local/share/containers/podman/machine/podman.sock",
        Path("/run/podman/podman.sock"),
    ]


def describe(client: t.Any, candidate: Candidate, version: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
    """What the engine is, for the result and for people."""
    info = client.info()
    return {
        "url": candidate.url,
        "source": candidate.source,
        "id": engine_identity(version, info),
        "version": version.get("Version"),
        "architecture": ARCHITECTURES.get(info.get("Architecture", ""), info.get("Architecture")),
        "operating_system": info.get("OperatingSystem"),
        "cgroup_version": info.get("CgroupVersion"),
        "remote": not candidate.url.startswith(LOCAL_SCHEMES),
    }


def engine_identity(version: t.Mapping[str, t.Any], info: t.Mapping[str, t.Any]) -> str:
    """What tells an engine from others, the same whenever it is asked: Podman draws a new id for every answer."""
    components = {component.get("Name") for component in version.get("Components") or []}
    if info.get("ID") and "Podman Engine" not in components:
        return str(info["ID"])
    # The machine of a Podman on a Mac has the name that many others have; its architecture is another's less often.
    lasting = [str(info.get(name)) for name in ("Name", "DockerRootDir", "Architecture")]
    return hashlib.sha256("\n".join(lasting).encode()).hexdigest()


def engine_info(client: t.Any) -> t.Dict[str, t.Any]:
    """What the engine says of itself, with an `ID` that stays the same."""
    info = client.info()
    return {**info, "ID": engine_identity(client.version(), info)}


def is_gone(error: t.Any) -> bool:
    """Whether the engine refused since the container is gone, or is being removed by somebody else at this moment."""
    return error.status_code in (404, 409)


def remove_container(client: t.Any, name: str) -> None:
    """Remove it, running or not, unless it is gone."""
    try:
        client.api.remove_container(name, force=True, v=True)
    except APIError as error:
        if not is_gone(error):
            raise


@contextlib.contextmanager
def engine_faults(failure: t.Callable[[str, str], Exception], how_far: t.Callable[[], str] = str) -> t.Iterator[None]:
    """Say what an engine's error means for what is so far, as an error of the caller's layer."""
    try:
        yield
    except APIError as error:
        raise failure("engine_error", f"the engine refused: {quoted(error.explanation or error)}") from error
    except (RequestException, HTTPError, StreamParseError) as error:
        raise failure(
            "engine_lost", f"the engine stopped answering{how_far()} ({quoted(error)}); start it and run again"
        ) from error


def quoted(error: object) -> str:
    """An error's words in one line that is safe to print."""
    return printable(" ".join(str(error).split()))[:QUOTED_CHARACTERS]


def reason(error: BaseException) -> str:
    """An error in one line, without the layers around its cause."""
    text = " ".join(str(error).split())
    for words in (DENIED, "Connection refused", "No such file or directory"):
        if words in text:
            return words
    return text[:200]
