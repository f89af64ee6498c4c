# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The cluster that tests run on, and what goes wrong in it: its programs die, its API is slow, its admission meddles."""

from __future__ import annotations

import base64
import contextlib
import datetime
import http.server
import ipaddress
import json
import os
import signal
import socket
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

SELECTOR = "app.kubernetes.io/name=whisper-benchmark"
# Where the cluster keeps the ids and the settings of its programs, if it runs on this machine.
STATE = Path(os.environ.get("CLUSTER_DIR", "/var/tmp/bench-cluster"))

Object = dict[str, Any]


class Kubectl:
    """kubectl as an administrator of the cluster, in a namespace of the test's own."""

    def __init__(self, kubeconfig: str, namespace: str = "default") -> None:
        self.kubeconfig = kubeconfig
        self.namespace = namespace

    def __call__(self, *arguments: str, body: Object | None = None) -> str:
        command = ["kubectl", f"--kubeconfig={self.kubeconfig}", f"--namespace={self.namespace}", *arguments]
        given = None if body is None else json.dumps(body)
        done = subprocess.run(command, input=given, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def create(self, *objects: Object) -> None:
        for made in objects:
            self("create", "-f", "-", body=made)

    @property
    def context(self) -> str:
        return self("config", "current-context").strip()

    @property
    def server(self) -> str:
        return self("config", "view", "--minify", "-o", "jsonpath={.clusters[0].cluster.server}")

    @property
    def authority(self) -> str:
        """The certificate of the authority that vouches for the API server."""
        path = "jsonpath={.clusters[0].cluster.certificate-authority-data}"
        return base64.b64decode(self("config", "view", "--minify", "--raw", "-o", path)).decode()

    def pods(self) -> list[Object]:
        return list(json.loads(self("get", "pods", "-l", SELECTOR, "-o", "json"))["items"])

    def wait_for_pod(self, is_there: Callable[[Object], object] = bool, timeout: float = 60) -> Object:
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            for pod in self.pods():
                if is_there(pod):
                    return pod
            time.sleep(0.2)
        raise AssertionError(f"no such Pod within {timeout} s: {self('get', 'pods', '-o', 'wide')}")

    def wait_for_iteration(self, timeout: float = 120) -> Object:
        """Until a Pod has measured something, as its log tells; gives the Pod."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            pod = self.wait_for_pod(running, timeout)
            if '"event": "iteration"' in self("logs", pod["metadata"]["name"], "--container=benchmark"):
                return pod
            time.sleep(0.2)
        raise AssertionError(f"nothing was measured within {timeout} s")

    def wait_until_empty(self, timeout: float = 60) -> None:
        deadline = time.monotonic() + timeout
        while self.pods():
            assert time.monotonic() < deadline, self("get", "pods", "-o", "wide")
            time.sleep(0.2)

    def as_user(self, folder: Path, **changes: Any) -> Kubectl:
        """With another kubeconfig: of this user or this cluster."""
        config = yaml.safe_load(Path(self.kubeconfig).read_text())
        for part, change in changes.items():
            config[f"{part}s"][0][part] = {**config[f"{part}s"][0][part], **change} if part == "cluster" else change
        path = folder / f"kubeconfig-{len(list(folder.glob('kubeconfig-*')))}"
        path.write_text(yaml.safe_dump(config))
        return Kubectl(str(path), self.namespace)

    def as_service_account(self, name: str, folder: Path) -> Kubectl:
        """With a token of a service account that is made for it."""
        self("create", "serviceaccount", name)
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        path = f"/api/v1/namespaces/{self.namespace}/serviceaccounts/{name}/token"
        token = json.loads(self("create", "--raw", path, "-f", "-", body=request))["status"]["token"]
        return self.as_user(folder, user={"token": token})

    def wait_until_allowed(self, verb: str, resource: str) -> Kubectl:
        """The API server learns of new roles a moment after they were made."""
        for _attempt in range(100):
            with contextlib.suppress(AssertionError):
                self("auth", "can-i", verb, resource)
                return self
            time.sleep(0.1)
        raise AssertionError(f"still not allowed to {verb} {resource}")


def running(pod: Object) -> bool:
    return _state(pod, "running")


def ended(pod: Object) -> bool:
    return _state(pod, "terminated")


def _state(pod: Object, name: str) -> bool:
    statuses = pod["status"].get("containerStatuses") or []
    return any(status["name"] == "benchmark" and name in status["state"] for status in statuses)


class Program:
    """One of the cluster's programs on this machine, to be killed and started again as it was."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._pid_file = STATE / f"{name}.pid"
        if not self._pid_file.exists():
            pytest.skip(f"the cluster's {name} does not run on this machine, so it cannot be killed")
        self._folder = Path(f"/proc/{self._pid}/cwd").resolve()
        self._command = Path(f"/proc/{self._pid}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")

    @property
    def _pid(self) -> int:
        return int(self._pid_file.read_text())

    def kill(self) -> None:
        os.kill(self._pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._pid, 0)
        while Path(f"/proc/{self._pid}").exists():
            time.sleep(0.1)

    def start(self) -> None:
        with (STATE / "logs" / f"{self.name}.log").open("ab") as log:
            process = subprocess.Popen(
                self._command,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._pid_file.write_text(f"{process.pid}\n")

    @contextlib.contextmanager
    def dead(self) -> Iterator[None]:
        """Killed while the context lasts."""
        self.kill()
        try:
            yield
        finally:
            self.start()

    def wait_until_ready(self, kubectl: Kubectl) -> None:
        """Until the API answers and the node is ready."""
        for _attempt in range(120):
            with contextlib.suppress(AssertionError):
                nodes = json.loads(kubectl("get", "nodes", "-o", "json"))["items"]
                conditions = [entry for node in nodes for entry in node["status"]["conditions"]]
                if all(entry["status"] == "True" for entry in conditions if entry["type"] == "Ready"):
                    return
            time.sleep(0.5)
        raise AssertionError(f"the cluster is not ready a minute after {self.name} was started")


class Proxy:
    """Between a client and the API server: passes on what comes, slowly or not at all."""

    def __init__(self, server: str) -> None:
        host, _colon, port = server.removeprefix("https://").partition(":")
        self._target = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self._listener.getsockname()[1]}"
        self.is_stalled = threading.Event()
        self.bytes_a_second: float | None = None
        threading.Thread(target=self._serve, daemon=True).start()

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, *exception: object) -> None:
        self._listener.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _address = self._listener.accept()
                server = socket.create_connection(self._target)
                threading.Thread(target=self._pass_on, args=(client, server, False), daemon=True).start()
                threading.Thread(target=self._pass_on, args=(server, client, True), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, is_answer: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(16384):
                if self.is_stalled.is_set():
                    # Half open: nobody hears of it, nobody is told.
                    time.sleep(3600)
                if is_answer and self.bytes_a_second:
                    for byte in data:
                        sink.sendall(bytes([byte]))
                        time.sleep(1 / self.bytes_a_second)
                else:
                    sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)


class Meddler:
    """Between a client and the API server: `change`s each Pod on its way to be created, as admission webhooks do.

    A real mutating webhook would be better; but the API server that a Debian of 2023 compiles dies of applying a patch.
    """

    def __init__(self, server: str, authority: str, folder: Path, change: Callable[[Object], None]) -> None:
        self._server = server
        self._authority = ssl.create_default_context(cadata=authority)
        self._change = change
        self._listener, certificate = _https_server(folder, self._handler())
        self.cluster = {
            "server": f"https://127.0.0.1:{self._listener.server_port}",
            "certificate-authority-data": base64.b64encode(certificate).decode(),
        }

    def __enter__(self) -> Meddler:
        threading.Thread(target=self._listener.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._listener.shutdown()
        self._listener.server_close()

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        meddler = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def pass_on(self) -> None:
                data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if self.command == "POST" and self.path.partition("?")[0].endswith("/pods"):
                    pod = json.loads(data)
                    meddler._change(pod)
                    data = json.dumps(pod).encode()
                headers = {name: self.headers[name] for name in ("Authorization", "Content-Type") if self.headers[name]}
                request = urllib.request.Request(
                    meddler._server + self.path, data or None, headers, method=self.command
                )
                try:
                    with urllib.request.urlopen(request, context=meddler._authority) as answer:
                        status, body = answer.status, answer.read()
                except urllib.error.HTTPError as error:
                    status, body = error.code, error.read()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_DELETE = pass_on

            def log_message(self, *arguments: object) -> None:
                pass

        return Handler


class Webhook:
    """An admission webhook that denies each Pod of the namespace: an HTTPS server on this machine."""

    def __init__(self, kubectl: Kubectl, folder: Path, words: str) -> None:
        self._kubectl = kubectl
        self._words = words
        self._server, self._certificate = _https_server(folder, self._handler())
        self.name = f"{kubectl.namespace}.example.com"

    def __enter__(self) -> Webhook:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        kubectl = self._kubectl
        kubectl("label", "namespace", kubectl.namespace, f"test={kubectl.namespace}")
        webhook = {
            "name": self.name,
            "clientConfig": {
                "url": f"https://127.0.0.1:{self._server.server_port}/",
                "caBundle": base64.b64encode(self._certificate).decode(),
            },
            "namespaceSelector": {"matchLabels": {"test": kubectl.namespace}},
            "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}],
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
        }
        kubectl.create(
            {
                "apiVersion": "admissionregistration.k8s.io/v1",
                "kind": "ValidatingWebhookConfiguration",
                "metadata": {"name": self.name},
                "webhooks": [webhook],
            }
        )
        # The API server notices within a second or so.
        time.sleep(2)
        return self

    def __exit__(self, *exception: object) -> None:
        self._kubectl("delete", "validatingwebhookconfiguration", self.name)
        self.stop()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        words = self._words

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["request"]
                response = {"uid": request["uid"], "allowed": False, "status": {"message": words}}
                review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(json.dumps(review).encode())

            def log_message(self, *arguments: object) -> None:
                pass

        return Handler


def _https_server(
    folder: Path, handler: type[http.server.BaseHTTPRequestHandler]
) -> tuple[http.server.ThreadingHTTPServer, bytes]:
    """A server on this machine's loopback, and its certificate."""
    certificate, key = _certificate(folder)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    return server, certificate.read_bytes()


def _certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for this machine's loopback, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "server.crt", folder / "server.key"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths
