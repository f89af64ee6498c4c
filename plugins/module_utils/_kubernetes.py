# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A cluster's API: raw JSON and bytes through the connection that the Python package kubernetes makes.

The package reads the kubeconfig, keeps tokens fresh and speaks TLS. Its typed models are not used: they garble logs
and refuse objects that are newer than they are. Nothing is watched, since a half-open connection would never tell; each
request has its own deadline, and what may mend itself is tried again until the caller's patience is over.
"""

from __future__ import annotations

import json
import random
import re
import time
import traceback
import typing as t
from urllib.parse import urlencode

from ._progress import printable

try:
    import urllib3
    from kubernetes import config
    from urllib3.exceptions import HTTPError, SSLError
    from yaml import YAMLError

    KUBERNETES_IMPORT_ERROR: t.Optional[str] = None
except ImportError:
    KUBERNETES_IMPORT_ERROR = traceback.format_exc()
    HTTPError = SSLError = YAMLError = ImportError

CONNECT_SECONDS = 5.0
READ_SECONDS = 30.0
# A server that sends a byte now and then never runs into the timeout of reading.
ANSWER_SECONDS = 60.0
MAX_ANSWER_BYTES = 8 * 1024 * 1024
TRANSIENT_STATUSES = (408, 429, 500, 502, 503, 504)
# While an API server starts, it refuses what it will allow once it has read its rules.
REFUSED_STATUSES = (401, 403)
REFUSED_SECONDS = 15.0
FIRST_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 5.0
LONGEST_RETRY_AFTER_SECONDS = 30.0

# How Pod Security, its predecessor and OpenShift word their refusals.
POD_SECURITY = ("violates podsecurity", "podsecuritypolicy", "pod security policy", "security context constraint")
# How the admission of a LimitRange words its refusals.
LIMIT_RANGE = re.compile(r"(maximum|minimum) \S+ usage per |max limit to request ratio per ")

Object = t.Dict[str, t.Any]


class ClusterError(Exception):
    """The cluster did not do what was asked; `kind` is for programs, the message for a person, `status` is HTTP's."""

    def __init__(self, kind: str, message: str, status: t.Optional[int] = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.status = status


class _TooSlow(Exception):
    """An answer that trickles."""


class Cluster:
    """A connection to one cluster, as one context of a kubeconfig names it."""

    def __init__(
        self, kubeconfig: t.Optional[str], context: str, pause: t.Callable[[float], None] = time.sleep
    ) -> None:
        self.context = context
        self.namespace: str = "default"
        self.server = ""
        # How long the cluster may not answer before it is given up, and how the time until then is spent.
        self.patience_seconds = 10.0
        self.pause = pause
        self._kubeconfig = kubeconfig
        self._is_proven = False
        self._client: t.Any = None
        self._connect()

    def get(self, path: str, **query: t.Any) -> Object:
        return _object(self.request("GET", path, query))

    def post(self, path: str, body: Object, **query: t.Any) -> Object:
        return _object(self.request("POST", path, query, body))

    def request(
        self,
        method: str,
        path: str,
        query: t.Optional[t.Dict[str, t.Any]] = None,
        body: t.Optional[Object] = None,
        max_bytes: int = MAX_ANSWER_BYTES,
        patience_seconds: t.Optional[float] = None,
    ) -> bytes:
        """The body of the answer; anything but success is a `ClusterError`, once patience is over."""
        longest_patience = self.patience_seconds if patience_seconds is None else patience_seconds
        began = time.monotonic()
        attempt = 0
        while True:
            retry_after = 0.0
            try:
                status, headers, data = self._send(method, path, query or {}, body, max_bytes)
            except SSLError as error:
                raise self._unreachable(error) from error
            except (HTTPError, OSError, _TooSlow) as error:
                refusal = self._unreachable(error)
                patience = longest_patience
            else:
                if status < 300:
                    self._is_proven = True
                    return data
                refusal = explain(status, data, f"context {self.context}")
                patience = self._patience_with(status, method, longest_patience)
                retry_after = _seconds(headers.get("Retry-After"))
            if time.monotonic() - began >= patience:
                raise refusal
            if refusal.status == 401:
                self._connect()
            longest = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** min(attempt, 10))
            self.pause(max(longest * random.uniform(0.5, 1.0), retry_after))
            attempt += 1

    def describe(self, namespace: str) -> Object:
        """The cluster, once it answers."""
        version = self.get("/version").get("gitVersion")
        return {"context": self.context, "server": self.server, "namespace": namespace, "version": version}

    def require(self, rights: t.Iterable[t.Tuple[str, str]], namespace: str) -> None:
        """Ask the cluster whether these verbs on these resources are allowed, and refuse to begin where one is not."""
        missing = [f"{verb} {resource}" for verb, resource in rights if not self._is_allowed(verb, resource, namespace)]
        if missing:
            raise ClusterError(
                "forbidden",
                f"context {self.context} may not {', '.join(missing)} in namespace {namespace}; grant it with "
                "docs/kubernetes/role.yaml",
            )

    def _is_allowed(self, verb: str, resource: str, namespace: str) -> bool:
        resource, _slash, subresource = resource.partition("/")
        attributes = {"namespace": namespace, "verb": verb, "resource": resource, "subresource": subresource}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        answer = self.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
        return bool((answer.get("status") or {}).get("allowed"))

    def _patience_with(self, status: int, method: str, longest: float) -> float:
        if status in TRANSIENT_STATUSES:
            return longest
        if status in REFUSED_STATUSES and self._is_proven and method == "GET":
            return min(REFUSED_SECONDS, longest)
        return 0.0

    def _connect(self) -> None:
        """Read the kubeconfig, which runs what it names to get credentials, and may give new ones each time."""
        if KUBERNETES_IMPORT_ERROR:
            raise ClusterError(
                "no_kubernetes_package",
                "the Python package kubernetes is missing; install it with `python3 -m pip install kubernetes` for the "
                "Python that Ansible uses here",
            )
        try:
            known, _active = config.list_kube_config_contexts(self._kubeconfig)
            names = [entry["name"] for entry in known]
            if self.context not in names:
                raise ClusterError(
                    "no_context", f"the kubeconfig has no context {self.context!r}; it has {', '.join(sorted(names))}"
                )
            client = config.new_client_from_config(self._kubeconfig, self.context, persist_config=False)
        except (config.ConfigException, YAMLError, OSError, ValueError, KeyError, TypeError) as error:
            where = self._kubeconfig or "KUBECONFIG or ~/.kube/config"
            raise ClusterError("no_kubeconfig", f"cannot use the kubeconfig ({where}): {one_line(error)}") from error
        chosen = next(entry for entry in known if entry["name"] == self.context)
        self.namespace = chosen["context"].get("namespace") or "default"
        self.server = client.configuration.host
        self._client = client

    def _send(
        self, method: str, path: str, query: t.Dict[str, t.Any], body: t.Optional[Object], max_bytes: int
    ) -> t.Tuple[int, t.Mapping[str, str], bytes]:
        settings = self._client.configuration
        headers = {"Accept": "application/json, */*", "User-Agent": "rightsize.whisper"}
        # The name under which the token is kept changed with version 36.
        token = settings.get_api_key_with_prefix("authorization") or settings.get_api_key_with_prefix("BearerToken")
        if token:
            headers["Authorization"] = token
        if body is not None:
            headers["Content-Type"] = "application/json"
        response = self._client.rest_client.pool_manager.request(
            method,
            f"{settings.host}{path}?{urlencode(query)}" if query else f"{settings.host}{path}",
            body=None if body is None else json.dumps(body),
            headers=headers,
            timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS),
            retries=False,
            redirect=False,
            preload_content=False,
        )
        try:
            return response.status, response.headers, _read(response, max_bytes)
        finally:
            response.release_conn()

    def _unreachable(self, error: Exception) -> ClusterError:
        return ClusterError(
            "api_unreachable",
            f"the API server {self.server} (context {self.context}) does not answer: {one_line(error)}; "
            "check the connection to it and run again",
        )


def explain(status: int, data: bytes, context: str) -> ClusterError:
    """The cluster's own words about a refusal, and what kind of refusal it is."""
    words = _message(data) or f"HTTP status {status}"
    lowered = words.lower()
    if status == 401 or "system:anonymous" in lowered:
        return ClusterError(
            "unauthorized",
            f"the cluster does not accept the credentials of {context} ({words}); log in to it again and run again",
            status,
        )
    if "exceeded quota" in lowered or "failed quota" in lowered:
        return ClusterError("quota_exceeded", f"{words}; raise the ResourceQuota or free some of it", status)
    if any(part in lowered for part in POD_SECURITY):
        return ClusterError("pod_security", f"{words}; let the namespace admit Pods of the level restricted", status)
    if "admission webhook" in lowered or "failed calling webhook" in lowered or "validatingadmissionpolicy" in lowered:
        return ClusterError(
            "admission", f"{words}; ask who runs that admission controller to except the benchmark", status
        )
    if status == 403 and LIMIT_RANGE.search(lowered):
        return ClusterError("limit_range", f"{words}; change the LimitRange or benchmark in another namespace", status)
    if status == 403 and "cannot" in lowered:
        return ClusterError("forbidden", f"{words}; grant it with docs/kubernetes/role.yaml", status)
    if status == 404 and "namespaces" in lowered:
        return ClusterError("no_namespace", f"{words}; create it or name another one", status)
    if status in TRANSIENT_STATUSES:
        return ClusterError("api_unreachable", f"the API server cannot answer ({words}); run again", status)
    kind = {403: "admission", 404: "not_found", 409: "conflict", 400: "refused", 422: "refused"}.get(status, "refused")
    return ClusterError(kind, words, status)


def one_line(text: object) -> str:
    """What somebody else wrote, fit for a line of ours."""
    return printable(" ".join(str(text).split()))[:600]


def _message(data: bytes) -> str:
    """The message of a `Status`; what a proxy in between says is no JSON."""
    try:
        status = json.loads(data)
    except ValueError:
        return one_line(data[:200].decode("utf-8", "replace"))
    return one_line(status.get("message") or status.get("reason") or "") if isinstance(status, dict) else ""


def _object(data: bytes) -> Object:
    try:
        answer = json.loads(data)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise ClusterError(
            "api_unreachable",
            f"what answers is no Kubernetes API ({one_line(data[:80].decode('utf-8', 'replace'))!r}); check the address",
        )
    return answer


def _read(response: t.Any, max_bytes: int) -> bytes:
    deadline = time.monotonic() + ANSWER_SECONDS
    pieces: t.List[bytes] = []
    size = 0
    # Versions of urllib3 below 2 can only wait for a full piece.
    read_some = getattr(response, "read1", response.read)
    while True:
        piece = read_some(65536)
        if not piece:
            return b"".join(pieces)
        pieces.append(piece)
        size += len(piece)
        if size > max_bytes or time.monotonic() > deadline:
            # What is left would be in the way of the connection's next use.
            response.close()
            if size <= max_bytes:
                raise _TooSlow(f"the answer was not complete after {ANSWER_SECONDS:g} s")
            return b"".join(pieces)[:max_bytes]


def _seconds(text: t.Optional[str]) -> float:
    """A Retry-After in seconds; its other form, a date, is not used by Kubernetes."""
    return min(LONGEST_RETRY_AFTER_SECONDS, float(text)) if text and text.isdigit() else 0.0
