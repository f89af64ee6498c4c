# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import platform
import socketserver
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from ansible_collections.rightsize.whisper.plugins.module_utils import _docker
from ansible_collections.rightsize.whisper.plugins.module_utils._docker import (
    EngineError,
    connect,
    engine_info,
    is_named,
    known_sockets,
    remove_container,
)
from docker.errors import APIError, DockerException
from requests import Response

Listen = Callable[[str], str]


class Handler(BaseHTTPRequestHandler):
    """As much of an engine as a connection asks for; its id is the socket's path."""

    def do_GET(self) -> None:
        answers = {
            "version": {"Version": "28.2.2", "ApiVersion": "1.44", "MinAPIVersion": "1.24"},
            "info": {"ID": self.server.server_address, "Architecture": "aarch64", "CgroupVersion": "2"},
        }
        body = json.dumps(answers[self.path.rpartition("/")[2]]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


class Engine(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


@contextmanager
def listening(path: Path) -> Iterator[str]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with Engine(str(path), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"unix://{path}"
        server.shutdown()


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty home, short enough for the path of a socket, on a machine where no engine listens outside of it."""
    with tempfile.TemporaryDirectory(prefix="rs-") as folder:
        for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "XDG_CONFIG_HOME"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HOME", folder)
        monkeypatch.setenv("XDG_RUNTIME_DIR", f"{folder}/run")
        everywhere = known_sockets
        monkeypatch.setattr(
            _docker, "known_sockets", lambda: [path for path in everywhere() if path.is_relative_to(folder)]
        )
        yield Path(folder)


@pytest.fixture
def listen(home: Path) -> Iterator[Listen]:
    """Starts an engine that listens on a path below the home; gives its URL."""
    with ExitStack() as stack:
        yield lambda path: stack.enter_context(listening(home / path))


def write_context(home: Path, name: str, url: str) -> None:
    folder = home / ".docker/contexts/meta" / sha256(name.encode()).hexdigest()
    folder.mkdir(parents=True)
    endpoints = {"docker": {"Host": url, "SkipTLSVerify": False}}
    (folder / "meta.json").write_text(json.dumps({"Name": name, "Metadata": {}, "Endpoints": endpoints}))


def choose_context(home: Path, name: str) -> None:
    (home / ".docker").mkdir(exist_ok=True)
    (home / ".docker/config.json").write_text(json.dumps({"currentContext": name}))


def test_each_way_to_name_an_engine_goes_before_the_next(
    home: Path, listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, context, other, host, option = map(
        listen, (".docker/run/docker.sock", "context.sock", "other.sock", "host.sock", "option.sock")
    )

    def found(engine_url: str | None = None) -> tuple[str, str]:
        client, engine = connect(engine_url)
        client.close()
        assert f"unix://{engine['id']}" == engine["url"]
        return engine["url"], engine["source"]

    assert found() == (known, "known socket")
    write_context(home, "colima", context)
    write_context(home, "other", other)
    choose_context(home, "default")
    assert found() == (known, "known socket")
    choose_context(home, "colima")
    assert found() == (context, "context colima")
    monkeypatch.setenv("DOCKER_CONTEXT", "other")
    assert found() == (other, "context other")
    monkeypatch.setenv("DOCKER_HOST", host)
    assert found() == (host, "DOCKER_HOST")
    assert found(option) == (option, "option")


@pytest.mark.parametrize(
    "path",
    [
        ".docker/run/docker.sock",
        ".docker/desktop/docker.sock",
        ".colima/default/docker.sock",
        ".config/colima/default/docker.sock",
        ".orbstack/run/docker.sock",
        ".rd/docker.sock",
        "run/docker.sock",
        "run/podman/podman.sock",
        ".local/share/containers/podman/machine/podman.sock",
    ],
)
def test_every_known_socket_is_found(listen: Listen, path: str) -> None:
    url = listen(path)
    client, engine = connect(None)
    client.close()
    assert engine == {
        "url": url,
        "source": "known socket",
        "id": url.removeprefix("unix://"),
        "version": "28.2.2",
        "architecture": "arm64",
        "operating_system": None,
        "cgroup_version": "2",
        "remote": False,
    }


def test_dockers_own_socket_goes_first() -> None:
    assert known_sockets()[0] == Path("/var/run/docker.sock")


def test_a_dead_known_socket_is_passed_over(home: Path, listen: Listen) -> None:
    with listening(home / ".docker/run/docker.sock"):
        pass
    alive = listen(".rd/docker.sock")
    assert (home / ".docker/run/docker.sock").is_socket()
    client, engine = connect(None)
    client.close()
    assert engine["url"] == alive


def refused(kind: str, engine_url: str | None = None) -> str:
    with pytest.raises(EngineError) as caught:
        connect(engine_url)
    assert caught.value.kind == kind
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.usefixtures("home")
def test_without_an_engine_one_line_says_where_and_what_to_do() -> None:
    message = refused("no_engine")
    assert platform.node() in message
    assert "none of the known sockets is there" in message
    assert message.endswith(_docker.START_HINTS["Linux"])


def test_all_that_was_tried_is_listed(home: Path) -> None:
    for path in (".docker/run/docker.sock", ".rd/docker.sock"):
        with listening(home / path):
            pass
    message = refused("no_engine")
    assert f"unix://{home}/.docker/run/docker.sock (known socket: Connection refused)" in message
    assert f"unix://{home}/.rd/docker.sock (known socket: Connection refused)" in message


def test_an_engine_that_was_named_has_no_stand_in(home: Path, listen: Listen, monkeypatch: pytest.MonkeyPatch) -> None:
    listen(".docker/run/docker.sock")
    missing = f"unix://{home}/missing.sock"
    assert f"tried {missing} (option: No such file or directory)" in refused("no_engine", missing)
    monkeypatch.setenv("DOCKER_HOST", missing)
    assert f"tried {missing} (DOCKER_HOST: No such file or directory)" in refused("no_engine")
    monkeypatch.delenv("DOCKER_HOST")
    write_context(home, "gone", missing)
    choose_context(home, "gone")
    assert f"tried {missing} (context gone: No such file or directory)" in refused("no_engine")


def test_a_context_that_does_not_exist(listen: Listen, monkeypatch: pytest.MonkeyPatch) -> None:
    listen(".docker/run/docker.sock")
    monkeypatch.setenv("DOCKER_CONTEXT", "nowhere")
    assert "there is no Docker context 'nowhere'; see `docker context ls`" in refused("no_engine")


def test_a_context_that_cannot_be_read(home: Path) -> None:
    write_context(home, "broken", "unix:///x")
    choose_context(home, "broken")
    (meta,) = home.glob(".docker/contexts/meta/*/meta.json")
    meta.write_text("{")
    assert "the Docker context cannot be read" in refused("no_engine")


@pytest.mark.parametrize("url", ["tcp://127.0.0.1:9", "ssh://somebody@example.invalid"])
def test_a_remote_engine_is_used_only_where_it_is_named(home: Path, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    write_context(home, "far", url)
    choose_context(home, "far")
    assert f"context far names the remote engine {url}" in refused("remote_engine")
    monkeypatch.setenv("DOCKER_HOST", url)
    assert f"DOCKER_HOST names the remote engine {url}" in refused("remote_engine")
    with pytest.raises(EngineError, match=f"tried {url} ") as caught:
        connect(None, allow_remote=True)
    assert caught.value.kind == "no_engine"
    assert f"tried {url} (option: " in refused("no_engine", url)


@pytest.mark.parametrize("url", ["nonsense://x", "unix:relative", "http://[::1"])
@pytest.mark.usefixtures("home")
def test_an_address_that_is_none(url: str) -> None:
    assert f"tried {url} (option: " in refused("no_engine", url)


def test_a_socket_that_may_not_be_opened(home: Path, listen: Listen) -> None:
    if os.geteuid() == 0:
        # root may open every socket; the engine's own word for it is the same.
        assert _docker.reason(OSError("('Connection aborted.', PermissionError(13, 'Permission denied'))")) == (
            "Permission denied"
        )
        return
    url = listen(".docker/run/docker.sock")
    Path(url.removeprefix("unix://")).chmod(0)
    assert "Permission denied" in refused("no_engine", url)


def test_whether_an_engine_is_named(home: Path, listen: Listen, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_named(None)
    listen(".docker/run/docker.sock")
    assert not is_named(None)
    assert is_named("unix:///x")
    choose_context(home, "missing")
    assert is_named(None)
    choose_context(home, "default")
    monkeypatch.setenv("DOCKER_HOST", "unix:///x")
    assert is_named(None)


@pytest.mark.usefixtures("home")
def test_a_missing_docker_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_docker, "DOCKER_IMPORT_ERROR", "Traceback …")
    assert "`python3 -m pip install docker`" in refused("no_docker_package")


def test_certificates_that_are_not_there(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(home))
    assert "tried tcp://127.0.0.1:9 (option: " in (message := refused("no_engine", "tcp://127.0.0.1:9"))
    assert "certificate" in message


def test_a_user_who_may_not_use_the_socket_is_told_how_to_be_let(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_arguments: Any) -> None:
        raise DockerException("('Connection aborted.', PermissionError(13, 'Permission denied'))")

    monkeypatch.setattr(_docker.docker, "DockerClient", refuse)
    message = refused("no_engine", f"unix://{home}/docker.sock")
    assert "(option: Permission denied)" in message
    assert "usually docker, and log in again" in message
    assert "start it" not in message


def a_client(components: list[str], name: str = "localhost", **information: str) -> Any:
    """A client of an engine that draws a new id for every answer, as Podman does."""
    version = {"Version": "5.4.0", "Components": [{"Name": component} for component in components]}
    lasting = {"Name": name, "DockerRootDir": "/var/lib/containers/storage", **information}
    return SimpleNamespace(info=lambda: {"ID": str(uuid4()), **lasting}, version=lambda: version)


def test_podman_is_known_by_what_stays_of_it() -> None:
    parts = ["Podman Engine", "Conmon"]
    podman = a_client(parts)
    known = {engine_info(podman)["ID"] for _answer in range(3)}
    assert len(known) == 1
    others = [
        a_client(parts, name="another"),
        a_client(parts, DockerRootDir="/home/me/.local/share/containers/storage"),
        a_client(parts, Architecture="arm64"),
    ]
    assert len({*known, *(engine_info(other)["ID"] for other in others)}) == 4


def test_any_other_engine_is_known_by_its_id() -> None:
    assert engine_info(a_client(["Engine", "containerd"], ID="7f3a"))["ID"] == "7f3a"
    assert engine_info(a_client([], ID=""))["ID"]


def an_error(status: int) -> APIError:
    response = Response()
    response.status_code = status
    return APIError(f"{status}", response, "removal of container 1 is already in progress")


@pytest.mark.parametrize("error", [an_error(404), an_error(409)], ids=["gone", "being removed"])
def test_a_container_that_somebody_else_removes_is_removed(error: APIError) -> None:
    asked: list[str] = []

    def remove(name: str, **how: bool) -> None:
        asked.append(name)
        raise error

    remove_container(SimpleNamespace(api=SimpleNamespace(remove_container=remove)), "one")
    assert asked == ["one"]


def test_a_container_that_cannot_be_removed_is_told() -> None:
    def remove(name: str, **how: bool) -> None:
        raise an_error(500)

    with pytest.raises(APIError):
        remove_container(SimpleNamespace(api=SimpleNamespace(remove_container=remove)), "one")
