# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from ansible_collections.rightsize.whisper.plugins.module_utils import _kubernetes
from ansible_collections.rightsize.whisper.plugins.module_utils._kubernetes import Cluster, ClusterError, explain

from tests.unit.fake_api import Answer, Asked, FakeApi, refused

Serve = Callable[..., FakeApi]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Starts a server that gives these answers in turn, the last one again and again."""
    servers: list[FakeApi] = []

    def start(*answers: Answer) -> FakeApi:
        turns = itertools.chain(answers, itertools.repeat(answers[-1]))
        servers.append(FakeApi(tmp_path, lambda _unused: next(turns)))
        return servers[-1].__enter__()

    yield start
    for server in servers:
        server.__exit__()


class Pauses:
    """Stands for sleeping, which the tests have no time for."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


def a_cluster(server: FakeApi, pause: Callable[[float], None] | None = None) -> Cluster:
    return Cluster(server.kubeconfig, "fake", pause or Pauses())


def test_a_request_is_authenticated_and_its_answer_is_json(serve: Serve) -> None:
    server = serve(Answer({"items": []}))
    cluster = a_cluster(server)
    assert cluster.get("/api/v1/pods", labelSelector="a=b,c=d") == {"items": []}
    assert cluster.post("/api/v1/pods", {"kind": "Pod"}) == {"items": []}
    get, post = server.asked
    assert (get.method, get.path) == ("GET", "/api/v1/pods?labelSelector=a%3Db%2Cc%3Dd")
    assert get.headers["Authorization"] == "Bearer t0ken"
    assert (post.method, post.body) == ("POST", {"kind": "Pod"})
    assert (cluster.namespace, cluster.server) == ("whisper", server.url)


@pytest.mark.parametrize(
    "trouble", [refused(429), refused(500), refused(502), refused(503), refused(504), Answer(status=None)]
)
def test_what_may_mend_itself_is_tried_again(serve: Serve, trouble: Answer) -> None:
    pause = Pauses()
    assert a_cluster(serve(trouble, trouble, trouble, Answer({})), pause).get("/") == {}
    assert len(pause.seconds) == 3
    for seconds, longest in zip(pause.seconds, (0.25, 0.5, 1.0), strict=True):
        assert longest / 2 <= seconds <= longest


def test_a_server_says_when_to_come_back(serve: Serve) -> None:
    pause = Pauses()
    server = serve(refused(429, Retry_After="7"), refused(503, Retry_After="9999"), Answer({}))
    a_cluster(server, pause).get("/")
    assert pause.seconds == [7, 30]


def test_patience_ends(serve: Serve) -> None:
    cluster = a_cluster(serve(refused(503, "apiserver is shutting down")), Pauses())
    cluster.patience_seconds = 0.05
    with pytest.raises(ClusterError, match="apiserver is shutting down") as caught:
        cluster.get("/")
    assert (caught.value.kind, caught.value.status) == ("api_unreachable", 503)


def test_who_waits_may_give_up(serve: Serve) -> None:
    class GaveUp(Exception):
        pass

    def give_up(_unused: float) -> None:
        raise GaveUp

    with pytest.raises(GaveUp):
        a_cluster(serve(refused(503)), give_up).get("/")


def test_what_will_not_mend_itself_is_not_tried_again(serve: Serve) -> None:
    for status in (400, 403, 404, 409, 422):
        server = serve(refused(status, "no"), Answer({}))
        with pytest.raises(ClusterError):
            a_cluster(server).get("/")
        assert len(server.asked) == 1


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_that_follows_success_is_believed_after_a_while_only(serve: Serve, status: int) -> None:
    """An API server that starts refuses what it will allow once it has read its rules."""
    cluster = a_cluster(serve(Answer({}), refused(status, "not yet"), Answer({"ready": True})))
    cluster.get("/")
    assert cluster.get("/") == {"ready": True}


def test_a_login_that_expired_is_read_anew(serve: Serve) -> None:
    server = serve(Answer({}), refused(401, "Unauthorized"), Answer({}))
    cluster = a_cluster(server)
    cluster.get("/")
    config = yaml.safe_load(Path(server.kubeconfig).read_text())
    config["users"][0]["user"]["token"] = "renewed"
    Path(server.kubeconfig).write_text(yaml.safe_dump(config))
    cluster.get("/")
    assert [asked.headers["Authorization"] for asked in server.asked] == ["Bearer t0ken"] * 2 + ["Bearer renewed"]


def test_an_answer_is_read_to_its_limit_only(serve: Serve) -> None:
    cluster = a_cluster(serve(Answer(b"x" * 100_000)))
    assert cluster.request("GET", "/", max_bytes=50_000) == b"x" * 50_000
    assert cluster.request("GET", "/", max_bytes=100_000) == b"x" * 100_000


def test_bytes_come_as_they_are(serve: Serve) -> None:
    log = b"{\"a\": 'b'}\n\xff\x00 b'c'\n"
    assert a_cluster(serve(Answer(log))).request("GET", "/log") == log


def test_an_answer_that_is_cut_is_asked_for_again(serve: Serve) -> None:
    cut = Answer(b'{"half', headers={"Content-Length": "100", "Connection": "close"})
    cluster = a_cluster(serve(cut, Answer({"whole": True})))
    _kubernetes.READ_SECONDS, before = 0.5, _kubernetes.READ_SECONDS
    try:
        assert cluster.get("/") == {"whole": True}
    finally:
        _kubernetes.READ_SECONDS = before


@pytest.mark.parametrize("body", [b"<html>Sign in</html>", b"", b"[1, 2]"])
def test_what_is_no_api_is_told(serve: Serve, body: bytes) -> None:
    with pytest.raises(ClusterError, match="no Kubernetes API"):
        a_cluster(serve(Answer(body))).get("/")


def test_redirections_are_not_followed(serve: Serve) -> None:
    server = serve(Answer(b"", 302, {"Location": "http://127.0.0.1:1/"}))
    with pytest.raises(ClusterError):
        a_cluster(server).get("/")


def test_rights_that_are_missing_are_named(tmp_path: Path) -> None:
    def review(asked: Asked) -> Answer:
        attributes = asked.body["spec"]["resourceAttributes"]
        allowed = attributes["verb"] != "delete" and attributes["subresource"] != "log"
        return Answer({"status": {"allowed": allowed}}, 201)

    with FakeApi(tmp_path, review) as server:
        cluster = a_cluster(server)
        cluster.require([("get", "pods"), ("list", "pods")], "whisper")
        with pytest.raises(ClusterError, match="may not delete pods, get pods/log in namespace whisper") as caught:
            cluster.require([("get", "pods"), ("delete", "pods"), ("get", "pods/log")], "whisper")
    assert caught.value.kind == "forbidden"
    assert {asked.path for asked in server.asked} == {"/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"}


def test_a_context_must_be_known(serve: Serve) -> None:
    with pytest.raises(ClusterError, match="no context 'other'; it has fake") as caught:
        Cluster(serve(Answer({})).kubeconfig, "other")
    assert caught.value.kind == "no_context"


@pytest.mark.parametrize("text", ["", "{", "clusters: 5", "- a", "contexts: [{name: fake}]"])
def test_a_kubeconfig_must_be_one(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(ClusterError) as caught:
        Cluster(str(path), "fake")
    assert caught.value.kind == "no_kubeconfig"
    assert "\n" not in str(caught.value)


def test_a_missing_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_kubernetes, "KUBERNETES_IMPORT_ERROR", "ModuleNotFoundError")
    with pytest.raises(ClusterError, match="pip install kubernetes") as caught:
        Cluster(None, "fake")
    assert caught.value.kind == "no_kubernetes_package"


# Messages as API servers send them.
REFUSALS = [
    (401, "Unauthorized", "unauthorized"),
    (403, 'pods is forbidden: User "system:anonymous" cannot list resource "pods"', "unauthorized"),
    (
        403,
        'pods is forbidden: User "me" cannot create resource "pods" in API group "" in the namespace "x"',
        "forbidden",
    ),
    (403, 'pods "a" is forbidden: exceeded quota: q, requested: cpu=1, used: cpu=4, limited: cpu=4', "quota_exceeded"),
    (403, 'pods "a" is forbidden: failed quota: q: must specify cpu', "quota_exceeded"),
    (403, 'pods "a" is forbidden: maximum cpu usage per Container is 500m, but limit is 1', "limit_range"),
    (403, 'pods "a" is forbidden: minimum memory usage per Pod is 8Gi, but request is 4Gi', "limit_range"),
    (403, 'pods "a" is forbidden: cpu max limit to request ratio per Container is 1, but provided', "limit_range"),
    (
        403,
        'pods "a" is forbidden: violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false (container '
        '"proxy" must set securityContext.allowPrivilegeEscalation=false)',
        "pod_security",
    ),
    (403, 'pods "a" is forbidden: PodSecurityPolicy: unable to admit pod: []', "pod_security"),
    (403, 'pods "a" is forbidden: unable to validate against any security context constraint: []', "pod_security"),
    (400, 'admission webhook "policy.example.com" denied the request: no', "admission"),
    (403, 'admission webhook "policy.example.com" denied the request: no', "admission"),
    (500, 'Internal error occurred: failed calling webhook "x": dial tcp: connection refused', "admission"),
    (400, 'admission webhook "x" does not support dry run', "admission"),
    (422, "ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no", "admission"),
    (403, 'pods "a" is forbidden: error looking up service account x/default: not found', "admission"),
    (404, 'namespaces "x" not found', "no_namespace"),
    (404, 'pods "a" not found', "not_found"),
    (409, 'pods "a" already exists', "conflict"),
    (422, 'Pod "a" is invalid: spec.nodeSelector: Invalid value', "refused"),
    (400, 'strict decoding error: unknown field "spec.tolerations[0].operater"', "refused"),
    (503, "the server is currently unable to handle the request", "api_unreachable"),
]


@pytest.mark.parametrize(("status", "message", "kind"), REFUSALS)
def test_refusals_are_told_apart_and_quoted(status: int, message: str, kind: str) -> None:
    error = explain(status, json.dumps({"kind": "Status", "message": message}).encode(), "context fake")
    assert (error.kind, error.status) == (kind, status)
    assert message[:120] in str(error)
    assert "\n" not in str(error)


def test_a_proxy_in_between_is_quoted_too() -> None:
    error = explain(502, b"<html>\n<h1>Bad \x1b[31mgateway</h1>", "context fake")
    assert error.kind == "api_unreachable"
    assert "<html> <h1>Bad" in str(error)
    assert "\x1b" not in str(error)
