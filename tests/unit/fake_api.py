# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An HTTP server that answers as an API server would in states that a real one cannot be brought into at will."""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import yaml


class Asked(NamedTuple):
    """A request, as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


class Answer(NamedTuple):
    """What is answered: an object, or bytes as they are. No status closes the connection instead."""

    body: Any = b""
    status: int | None = 200
    headers: dict[str, str] = {}  # noqa: RUF012


Script = Callable[[Asked], Answer]


def refused(status: int, message: str = "", **headers: str) -> Answer:
    """A `Status` as an API server sends it with anything but success."""
    return Answer({"kind": "Status", "status": "Failure", "message": message, "code": status}, status, headers)


class FakeApi:
    """A context: a server whose `script` answers; `asked` keeps what it was asked."""

    def __init__(self, folder: Path, script: Script) -> None:
        self.asked: list[Asked] = []
        self.script = script
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.kubeconfig = str(folder / "kubeconfig")
        named = {"clusters": {"cluster": {"server": self.url}}, "users": {"user": {"token": "t0ken"}}}
        contexts = [{"name": "fake", "context": {"cluster": "fake", "user": "fake", "namespace": "whisper"}}]
        config = {name: [{"name": "fake", **entry}] for name, entry in named.items()}
        config_file = {"apiVersion": "v1", "kind": "Config", "current-context": "fake", "contexts": contexts, **config}
        Path(self.kubeconfig).write_text(yaml.safe_dump(config_file))

    def __enter__(self) -> FakeApi:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        api = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle(self) -> None:
                # Who asks may hang up at any time.
                with contextlib.suppress(ConnectionError):
                    super().handle()

            def answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                api.asked.append(Asked(self.command, self.path, dict(self.headers), body))
                answer = api.script(api.asked[-1])
                if answer.status is None:
                    self.close_connection = True
                    return
                data = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
                self.send_response(answer.status)
                for name, value in {"Content-Length": str(len(data)), **answer.headers}.items():
                    self.send_header(name.replace("_", "-"), value)
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_DELETE = answer

            def log_message(self, *arguments: object) -> None:
                pass

        return Handler
