# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What tests on a cluster need: a namespace, an image whose runner misbehaves, plays that measure with it."""

from __future__ import annotations

import os
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from tests.integration.cluster import Kubectl
from tests.integration.images import STAND_IN, archive_of
from tests.integration.playbooks import CHECKOUT
from tests.integration.pods import Play, Pods


@pytest.fixture(scope="session")
def administrator() -> Kubectl:
    """kubectl with the kubeconfig in `KUBECONFIG`."""
    kubeconfig = os.environ.get("KUBECONFIG")
    if not kubeconfig:
        pytest.skip("KUBECONFIG names no cluster")
    kubectl = Kubectl(kubeconfig)
    try:
        kubectl("get", "nodes")
    except (AssertionError, OSError, subprocess.TimeoutExpired) as error:
        pytest.skip(f"the cluster in KUBECONFIG does not answer: {error}")
    return kubectl


@pytest.fixture
def kubectl(administrator: Kubectl) -> Iterator[Kubectl]:
    """A namespace of the test's own, in which it must not leave a Pod of the benchmark."""
    namespace = f"rightsize-test-{secrets.token_hex(4)}"
    administrator("create", "namespace", namespace)
    mine = Kubectl(administrator.kubeconfig, namespace)
    while "default" not in mine("get", "serviceaccounts", "-o", "name"):
        pass
    yield mine
    left = [pod["metadata"]["name"] for pod in mine.pods()]
    mine("delete", "pods", "--all", "--force", "--grace-period=0", "--wait=false")
    administrator("delete", "namespace", namespace, "--wait=false")
    assert not left


@pytest.fixture(scope="session")
def pod_image(engine: docker.DockerClient, runner_image: str) -> Iterator[str]:
    """An image whose runner misbehaves as labels say, and whose way out of a Pod is the real one."""
    name = f"rightsize-test-pod:{secrets.token_hex(4)}"
    dockerfile = f"FROM {runner_image}\nCOPY stand_in.py template.json /opt/\nCOPY cli.py pod.py /opt/bench_runner/\n"
    files = {
        "Dockerfile": dockerfile.encode(),
        "stand_in.py": STAND_IN.read_bytes(),
        "template.json": (CHECKOUT / "tests" / "fixtures" / "results" / "xeon_pool.json").read_bytes(),
        "cli.py": (STAND_IN.parent / "pod_cli.py").read_bytes(),
        "pod.py": (CHECKOUT / "bench_runner" / "pod.py").read_bytes(),
    }
    engine.images.build(fileobj=archive_of(files), custom_context=True, tag=name, rm=True)
    yield name
    engine.images.remove(name, force=True)


@pytest.fixture
def pods(play: Play, kubectl: Kubectl, pod_image: str, tmp_path: Path) -> Pods:
    return Pods(play, kubectl, pod_image, tmp_path)
