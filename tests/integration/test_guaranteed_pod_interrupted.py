# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs in Pods during which something dies: the controller, the kubelet, the API server, the connection, the login.

Whatever it is, no Pod stays for good and no finished result is lost.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

from tests.integration.cluster import Kubectl, Program, Proxy, ended, running
from tests.integration.playbooks import PlaybookRun
from tests.integration.pods import Pods

pytest_plugins = ["tests.integration.pod_fixtures"]
pytestmark = [pytest.mark.cluster, pytest.mark.engine, pytest.mark.image]


def kill_all(run: PlaybookRun) -> None:
    """SIGKILL to ansible-playbook and everything that it started, as when the machine loses power."""
    groups = subprocess.run(["pgrep", "-P", str(run.pid)], capture_output=True, text=True, check=True).stdout.split()
    os.kill(run.pid, signal.SIGKILL)
    for group in groups:
        os.killpg(int(group), signal.SIGKILL)
    run.stop()


def run_of(pod: dict[str, dict[str, dict[str, str]]]) -> str:
    return pod["metadata"]["labels"]["whisper.rightsize.io/run"]


@pytest.fixture
def kubelet(kubectl: Kubectl) -> Program:
    return Program("kubelet")


@pytest.fixture
def api_server(kubectl: Kubectl) -> Program:
    return Program("kube-apiserver")


@pytest.fixture
def proxy(kubectl: Kubectl) -> Iterator[Proxy]:
    with Proxy(kubectl.server) as between:
        yield between


# When everything is killed: as soon as there is a Pod, while it runs, after it has ended.
@pytest.mark.parametrize("is_time", [bool, running, ended])
def test_a_rerun_takes_up_what_a_killed_run_left(
    pods: Pods, kubectl: Kubectl, is_time: Callable[[object], object]
) -> None:
    run = pods.start(iterations=30)
    left = kubectl.wait_for_pod()
    if is_time is running:
        kubectl.wait_for_iteration()
    kill_all(run)
    if is_time is ended:
        kubectl.wait_for_pod(ended)
    answer = pods.measured(iterations=30)
    assert (answer["adopted"], answer["rescued"]) == (True, [])
    assert answer["result"]["run_id"] == run_of(left)
    assert json.loads(Path(answer["result_file"]).read_text()) == answer["result"]
    assert answer["result"]["iterations"] == 30


@pytest.mark.slow
def test_what_a_pod_had_finished_that_is_lost_with_its_node_is_gone_on_from(
    pods: Pods, kubectl: Kubectl, tiny_image: str, tmp_path: Path
) -> None:
    journal = tmp_path / "journals" / "here.jsonl"
    asked = {"image": tiny_image, "model": "tiny.en", "iterations": 4, "processes": 4, "memory": "1Gi", "timeout": 300}
    run = pods.start(**asked, journal=str(journal))
    while not journal.exists() or journal.read_text().count('"phase": "done"') < 2:
        assert run.is_running, run.output
        time.sleep(0.1)
    kubectl("delete", "pod", kubectl.wait_for_pod()["metadata"]["name"], "--force", "--grace-period=0")
    assert run.wait() == 2, run.output
    assert pods.answer()["failure"] in ("pod_vanished", "pod_killed")

    answer = pods.measured(**asked, journal=str(journal), resume=True)
    old = [process.get("resumed", False) for process in answer["result"]["processes"]]
    assert len(old) == 4
    assert 2 <= sum(old) < 4
    assert old == sorted(old, reverse=True)
    assert not answer["adopted"]
    [warning] = [warning for warning in answer["result"]["warnings"] if warning["code"] == "resumed"]
    assert f"processes 1 to {sum(old)} " in warning["message"]


def test_a_rerun_that_asks_for_something_else_saves_what_was_finished(pods: Pods, kubectl: Kubectl) -> None:
    run = pods.start(iterations=3)
    left = kubectl.wait_for_pod()
    kill_all(run)
    kubectl.wait_for_pod(ended)
    answer = pods.measured(iterations=2)
    assert not answer["adopted"]
    [rescued] = answer["rescued"]
    assert rescued["run_id"] == rescued["result"]["run_id"] == run_of(left)
    assert json.loads(Path(rescued["file"]).read_text()) == rescued["result"]
    assert rescued["result"]["iterations"] == 3
    assert answer["result"]["run_id"] != run_of(left)


def test_a_rerun_that_asks_for_something_else_removes_what_was_not_finished(pods: Pods, kubectl: Kubectl) -> None:
    run = pods.start(iterations=300)
    left = kubectl.wait_for_pod()
    kill_all(run)
    answer = pods.measured(iterations=2)
    assert (answer["adopted"], answer["rescued"]) == (False, [])
    assert answer["result"]["run_id"] != run_of(left)


def test_a_run_killed_after_its_result_was_written(pods: Pods, kubectl: Kubectl) -> None:
    run = pods.start(iterations=3)
    left = kubectl.wait_for_pod()["metadata"]["name"]
    # So that its removal takes until this is taken away.
    kubectl("patch", "pod", left, "--type=merge", "-p", '{"metadata": {"finalizers": ["example.com/test"]}}')
    while not list(pods.results.glob("*.json")):
        time.sleep(0.1)
    time.sleep(1)
    kill_all(run)
    kubectl("patch", "pod", left, "--type=merge", "-p", '{"metadata": {"finalizers": null}}')
    answer = pods.measured(iterations=3)
    assert not answer["adopted"]
    [rescued] = answer["rescued"]
    assert rescued["result"]["iterations"] == 3
    assert rescued["run_id"] != answer["result"]["run_id"]


@pytest.mark.parametrize("is_time", [running, ended])
def test_cleaning_after_a_killed_run(pods: Pods, kubectl: Kubectl, is_time: Callable[[object], object]) -> None:
    run = pods.start(iterations=5 if is_time is ended else 300)
    left = kubectl.wait_for_pod()
    kill_all(run)
    kubectl.wait_for_pod(is_time)
    name = left["metadata"]["name"]
    rehearsed = pods.clean(check=True)
    assert (rehearsed["changed"], rehearsed["removed"]) == (True, [name])
    assert kubectl.pods()
    answer = pods.clean()
    assert (answer["changed"], answer["removed"]) == (True, [name])
    assert kubectl.pods() == []
    assert [rescued["result"]["iterations"] for rescued in answer["rescued"]] == ([5] if is_time is ended else [])
    assert not pods.clean()["changed"]


def test_cleaning_leaves_what_is_under_way(pods: Pods, kubectl: Kubectl) -> None:
    run = pods.start(iterations=60)
    kubectl.wait_for_iteration()
    assert pods.clean()["removed"] == []
    assert pods.clean(target="another")["removed"] == []
    run.signal(signal.SIGTERM)
    kubectl.wait_until_empty()


def test_cleaning_removes_anybodys_pod_once_its_deadline_has_passed(pods: Pods, kubectl: Kubectl) -> None:
    run = pods.start(iterations=300)
    name = kubectl.wait_for_pod()["metadata"]["name"]
    kill_all(run)
    assert pods.clean(target="another")["removed"] == []
    kubectl("annotate", "pod", name, "--overwrite", "whisper.rightsize.io/deadline=1000000000")
    assert pods.clean(target="another")["removed"] == [name]


def test_cleaning_all_removes_what_others_left(pods: Pods, kubectl: Kubectl) -> None:
    run = pods.start(iterations=300)
    name = kubectl.wait_for_pod()["metadata"]["name"]
    kill_all(run)
    assert pods.clean(target="another", all=True)["removed"] == [name]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_who_stops_ansible_playbook_stops_the_pod(pods: Pods, kubectl: Kubectl, number: signal.Signals) -> None:
    run = pods.start(iterations=300)
    kubectl.wait_for_iteration()
    if number is signal.SIGINT:
        run.interrupt()
    else:
        run.signal(number)
    kubectl.wait_until_empty()
    assert run.wait() != 0


@pytest.mark.slow
def test_the_kubelet_is_killed_and_comes_back(pods: Pods, kubelet: Program, kubectl: Kubectl) -> None:
    run = pods.start(iterations=60)
    kubectl.wait_for_iteration()
    with kubelet.dead():
        time.sleep(15)
    assert run.wait() == 0, run.output
    assert pods.answer()["result"]["iterations"] == 60


@pytest.mark.slow
def test_the_kubelet_is_dead_when_the_run_ends(pods: Pods, kubelet: Program, kubectl: Kubectl) -> None:
    run = pods.start(iterations=20)
    kubectl.wait_for_iteration()
    with kubelet.dead():
        time.sleep(15)
    assert run.wait() == 0, run.output
    assert pods.answer()["result"]["iterations"] == 20


@pytest.mark.slow
def test_the_api_server_is_killed_and_comes_back(pods: Pods, api_server: Program, kubectl: Kubectl) -> None:
    run = pods.start(iterations=60)
    kubectl.wait_for_iteration()
    with api_server.dead():
        time.sleep(10)
    assert run.wait() == 0, run.output
    api_server.wait_until_ready(kubectl)
    assert pods.answer()["result"]["iterations"] == 60


@pytest.mark.slow
def test_an_api_server_that_stays_away_costs_no_result(pods: Pods, api_server: Program, kubectl: Kubectl) -> None:
    run = pods.start(iterations=60, api_patience=5)
    kubectl.wait_for_iteration()
    with api_server.dead():
        assert run.wait() == 2
    answer = pods.answer()
    assert answer["failure"] == "api_unreachable", answer["msg"]
    assert kubectl.server in answer["msg"]
    assert "stays (api_unreachable); the next run of this target takes it up" in run.output
    api_server.wait_until_ready(kubectl)
    again = pods.measured(iterations=60)
    assert again["adopted"]
    assert again["result"]["run_id"] == answer["manifests"][0]["metadata"]["labels"]["whisper.rightsize.io/run"]


@pytest.mark.slow
def test_a_connection_that_nobody_closes(pods: Pods, kubectl: Kubectl, proxy: Proxy, tmp_path: Path) -> None:
    run = pods.start(kubectl=kubectl.as_user(tmp_path, cluster={"server": proxy.url}), iterations=100, timeout=120)
    kubectl.wait_for_iteration()
    proxy.is_stalled.set()
    time.sleep(10)
    proxy.is_stalled.clear()
    assert run.wait(180) == 0, run.output
    assert pods.answer()["result"]["iterations"] == 100


@pytest.mark.slow
def test_a_connection_that_trickles(pods: Pods, kubectl: Kubectl, proxy: Proxy, tmp_path: Path) -> None:
    # A Pod's object has about 10 kB.
    proxy.bytes_a_second = 4000
    answer = pods.measured(kubectl=kubectl.as_user(tmp_path, cluster={"server": proxy.url}), timeout=120)
    assert answer["result"]["iterations"] == 2


def test_a_login_that_expires_costs_no_result(pods: Pods, kubectl: Kubectl, tmp_path: Path) -> None:
    kubectl("create", "rolebinding", "edit", "--clusterrole=edit", f"--serviceaccount={kubectl.namespace}:short-lived")
    user = kubectl.as_service_account("short-lived", tmp_path).wait_until_allowed("create", "pods")
    run = pods.start(kubectl=user, iterations=100)
    kubectl.wait_for_iteration()
    kubectl("delete", "serviceaccount", "short-lived")
    assert run.wait() == 2
    answer = pods.answer()
    assert answer["failure"] == "unauthorized", answer["msg"]
    assert "log in to it again" in answer["msg"]
    assert kubectl.pods()
    again = pods.measured(iterations=100)
    assert again["adopted"]


@pytest.mark.slow
def test_a_log_that_was_rotated_away(pods: Pods, kubectl: Kubectl, engine: docker.DockerClient) -> None:
    run = pods.start(iterations=3)
    kubectl.wait_for_pod()
    kill_all(run)
    pod = kubectl.wait_for_pod(ended)
    container = engine.containers.get(pod["status"]["containerStatuses"][0]["containerID"].removeprefix("docker://"))
    log = Path(container.attrs["LogPath"])
    if not log.exists():
        pytest.skip("the engine's log files are not on this machine")
    with log.open("r+b") as file:
        file.truncate(0)
    answer = pods.measured(iterations=3)
    assert answer["adopted"]
    [warning] = [warning for warning in answer["result"]["warnings"] if warning["code"] == "summary_only"]
    assert "was rotated or cut" in warning["message"]
    assert len(answer["result"]["processes"][0]["wall_ms"]) == 3
