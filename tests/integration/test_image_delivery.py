# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bringing an image to where Pods run: through a real registry, into a real containerd, into what looks like a kind node."""

from __future__ import annotations

import json
import platform
import secrets
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.integration import images
from tests.integration.playbooks import PlaybookRun, inventory
from tests.integration.registry import Registry

pytestmark = [pytest.mark.engine]
Play = Callable[..., PlaybookRun]
Deliver = Callable[..., dict[str, Any]]

PASSWORD = "s3cret-Pa55"
# tester and the password above, as `htpasswd -B` hashes it.
HTPASSWD = "tester:$2y$05$abcdefghijklmnopqrstuuaa.ADHinTr43GDnwh7WUO1YHHk1hS02"
# Does of ctr what a node of kind is asked for.
FAKE_CTR = r"""
import json, pathlib, sys, tarfile
images = pathlib.Path("/images.json")
known = json.loads(images.read_text()) if images.exists() else {}
arguments = [argument for argument in sys.argv[1:] if not argument.startswith("--")]
if arguments[:2] == ["images", "import"]:
    with tarfile.open(arguments[2]) as tar:
        [entry] = json.load(tar.extractfile("manifest.json"))
    known["docker.io/library/" + entry["RepoTags"][0]] = entry["Config"].split("/")[-1].removesuffix(".json")
    images.write_text(json.dumps(known))
elif arguments[:2] == ["images", "list"]:
    print("REF TYPE DIGEST SIZE PLATFORMS LABELS")
    config = known.get(arguments[2].removeprefix("name=="))
    if config:
        print(arguments[2].removeprefix("name=="), "manifest", "sha256:" + config[::-1], "1 MiB linux/amd64 -")
elif arguments[:2] == ["content", "get"]:
    print(json.dumps({"config": {"digest": "sha256:" + arguments[2].removeprefix("sha256:")[::-1]}}))
else:
    sys.exit(f"ctr: what is {arguments}?")
"""


@pytest.fixture
def image(engine: docker.DockerClient) -> Iterator[str]:
    """A small image with a name of its own."""
    name = f"rightsize-test-delivery:{secrets.token_hex(4)}"
    architecture = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
    engine.images.load(images.image_of(name, {"/file": name.encode() * 1000}, architecture, {}))
    image_id = engine.images.get(name).id
    yield name
    engine.images.remove(image_id, force=True)


@pytest.fixture
def deliver(play: Play, tmp_path: Path) -> Deliver:
    """The answer of the module, good or bad; all that was printed is in `output`."""

    def run(check: bool = False, **arguments: Any) -> dict[str, Any]:
        answer = tmp_path / f"answer-{secrets.token_hex(4)}.json"
        task = {"rightsize.whisper.image_delivery": arguments, "register": "answer", "check_mode": check}
        keep = {"ansible.builtin.copy": {"content": "{{ answer | to_json }}", "dest": str(answer), "mode": "0644"}}
        block = {"block": [task], "always": [keep]}
        done = play(
            [{"hosts": "all", "gather_facts": False, "tasks": [block]}], inventory("here"), ANSIBLE_VERBOSITY="3"
        )
        done.wait()
        return {**json.loads(answer.read_text()), "output": done.output}

    return run


class ClosedRegistry(Registry):
    """A registry that wants a user and a password."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        (folder / "htpasswd").write_text(HTPASSWD)
        self._environment |= {
            "REGISTRY_AUTH_HTPASSWD_REALM": "test",
            "REGISTRY_AUTH_HTPASSWD_PATH": str(folder / "htpasswd"),
        }


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with Registry(tmp_path) as running:
        yield running


@pytest.fixture
def closed_registry(tmp_path: Path) -> Iterator[Registry]:
    with ClosedRegistry(tmp_path) as running:
        yield running


@pytest.fixture
def containerd(tmp_path: Path) -> Iterator[str]:
    """The socket of a containerd of the test's own."""
    if not (shutil.which("containerd") and shutil.which("ctr")):
        pytest.skip("containerd is not installed")
    address = f"{tmp_path}/containerd.sock"
    config = tmp_path / "containerd.toml"
    config.write_text(
        f'version = 2\nroot = "{tmp_path}/root"\nstate = "{tmp_path}/state"\n'
        f'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\naddress = "{address}"\n'
    )
    with (tmp_path / "containerd.log").open("wb") as log:
        process = subprocess.Popen(["containerd", "--config", config], stdout=log, stderr=log)
    while not Path(address).exists():
        assert process.poll() is None, (tmp_path / "containerd.log").read_text()
        time.sleep(0.1)
    yield address
    process.terminate()
    process.wait(30)


@pytest.fixture
def kind_node(engine: docker.DockerClient, runner_image: str) -> Iterator[Any]:
    """A container that has the labels and the programs by which a node of kind is used."""
    node = engine.containers.create(
        runner_image,
        entrypoint=["sleep", "300"],
        user="0",
        network_mode="none",
        labels={"io.x-k8s.kind.cluster": "test", "io.x-k8s.kind.role": "control-plane"},
    )
    script = f"#!/usr/bin/env python3\n{FAKE_CTR}".encode()
    node.put_archive("/usr/local/bin", images.archive_of({"ctr": script}))
    node.start()
    yield node
    node.remove(force=True)


def test_a_push_is_pulled_by_its_digest_and_is_not_repeated(
    deliver: Deliver, image: str, registry: Registry, engine: docker.DockerClient
) -> None:
    arguments = {"method": "push", "image": image, "repository": f"{registry.address}/team/whisper"}
    rehearsed = deliver(check=True, **arguments)
    assert (rehearsed["changed"], rehearsed["image"]) == (True, f"{arguments['repository']}:{image.split(':')[1]}")
    pushed = deliver(**arguments)
    assert (pushed["changed"], pushed["pull_policy"]) == (True, "IfNotPresent")
    repository, _at, digest = pushed["image"].partition("@")
    assert repository == arguments["repository"]
    assert pushed["image_ids"] == [digest, engine.images.get(image).id]
    again = deliver(**arguments)
    assert (again["changed"], again["image"]) == (False, pushed["image"])
    assert set(again["image_ids"]) == set(pushed["image_ids"])
    assert engine.images.get_registry_data(pushed["image"]).id == digest


def test_a_push_that_is_refused_is_a_failure_and_no_password_is_shown(
    deliver: Deliver, image: str, closed_registry: Registry
) -> None:
    arguments = {"method": "push", "image": image, "repository": f"{closed_registry.address}/team/whisper"}
    for credentials in ({}, {"username": "tester", "password": PASSWORD + "-wrong"}):
        refused = deliver(**arguments, **credentials)
        assert (refused["failure"], refused["failed"]) == ("push", True)
        assert "the registry refused the push to" in refused["msg"]
        assert "log in to it, or give username and password" in refused["msg"]
        assert PASSWORD not in refused["output"]
    accepted = deliver(**arguments, username="tester", password=PASSWORD)
    assert accepted["changed"], accepted["output"]
    assert PASSWORD not in accepted["output"]


def test_a_name_that_no_registry_can_have_is_refused_in_check_mode_too(deliver: Deliver, image: str) -> None:
    for check in (True, False):
        answer = deliver(check=check, method="push", image=image, repository="localhost:1/Team/whisper")
        assert answer["failure"] == "engine_error"
        assert "must be lowercase" in answer["msg"]


def test_a_registry_that_does_not_answer(deliver: Deliver, image: str) -> None:
    answer = deliver(method="push", image=image, repository="localhost:1/team/whisper")
    assert answer["failure"] == "push"
    assert "connection refused" in answer["msg"]


def test_an_image_is_imported_into_containerd_once(
    deliver: Deliver, image: str, containerd: str, engine: docker.DockerClient
) -> None:
    arguments = {"method": "ctr", "image": image, "containerd_address": containerd}
    assert deliver(check=True, **arguments)["changed"]
    first = deliver(**arguments)
    assert (first["changed"], first["pull_policy"], first["image"]) == (True, "Never", image)
    assert first["image_ids"] == [engine.images.get(image).id]
    assert not deliver(**arguments)["changed"]
    listed = subprocess.run(
        ["ctr", f"--address={containerd}", "--namespace=k8s.io", "images", "list", "-q"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert listed.split() == [f"docker.io/library/{image}"]


def test_an_image_goes_to_another_machine_in_an_archive(
    deliver: Deliver, image: str, containerd: str, tmp_path: Path
) -> None:
    archive = tmp_path / "image.tar"
    saved = deliver(method="save", image=image, archive=str(archive))
    assert saved["changed"]
    assert saved["architecture"] == {"x86_64": "x86_64", "aarch64": "arm64"}[platform.machine()]
    imported = deliver(method="ctr", archive=str(archive), containerd_address=containerd)
    assert (imported["changed"], imported["image"], imported["image_ids"]) == (True, image, saved["image_ids"])
    archive.write_bytes(archive.read_bytes()[:700])
    assert deliver(method="ctr", archive=str(archive))["failure"] == "archive"


def test_a_containerd_that_does_not_answer(deliver: Deliver, image: str, tmp_path: Path) -> None:
    if not shutil.which("ctr"):
        pytest.skip("ctr is not installed")
    answer = deliver(method="ctr", image=image, containerd_address=f"{tmp_path}/none.sock")
    assert answer["failure"] == "ctr"
    assert "ctr failed on this host" in answer["msg"]


@pytest.mark.image
def test_an_image_is_imported_on_every_node_of_a_kind_cluster(
    deliver: Deliver, image: str, kind_node: Any, engine: docker.DockerClient
) -> None:
    arguments = {"method": "kind", "image": image, "kind_cluster": "test"}
    first = deliver(**arguments)
    assert (first["changed"], first["nodes"], first["pull_policy"]) == (True, [kind_node.name], "Never"), first["msg"]
    assert not deliver(**arguments)["changed"]
    code, listed = kind_node.exec_run(["ls", "/root"])
    assert (code, listed) == (0, b"")
    none = deliver(method="kind", image=image, kind_cluster="other")
    assert (none["failure"], "name the cluster" in none["msg"]) == ("no_nodes", True)


def test_an_engine_that_the_kubelet_uses_has_it(deliver: Deliver, image: str, engine: docker.DockerClient) -> None:
    answer = deliver(method="shared", image=image)
    assert (answer["changed"], answer["image"], answer["pull_policy"]) == (False, image, "Never")
    assert answer["image_ids"] == [engine.images.get(image).id]


def test_an_image_that_was_not_built(deliver: Deliver) -> None:
    answer = deliver(method="shared", image="rightsize-test-missing:1")
    assert (answer["failure"], "build it with role runner_image" in answer["msg"]) == ("image_missing", True)
