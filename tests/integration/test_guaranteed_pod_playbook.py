# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The main job against a real cluster: the reference in a container, the candidates in Pods, one ratio each."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from tests.integration.cluster import Kubectl, ended
from tests.integration.playbooks import ANSIBLE_PLAYBOOK, CHECKOUT
from tests.integration.pods import Pods
from tests.integration.test_guaranteed_pod_interrupted import kill_all

pytest_plugins = ["tests.integration.pod_fixtures"]
pytestmark = [pytest.mark.cluster, pytest.mark.engine, pytest.mark.image, pytest.mark.slow]

SCHEMA = Draft202012Validator(json.loads((CHECKOUT / "bench_runner" / "result.schema.json").read_text()))


def an_inventory(folder: Path, kubectl: Kubectl, image: str, **candidates: dict[str, Any]) -> Path:
    cluster = {
        "benchmark_backend": "kubernetes",
        "benchmark_kube_context": kubectl.context,
        "benchmark_kubeconfig": kubectl.kubeconfig,
        "benchmark_namespace": kubectl.namespace,
    }
    known = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "benchmark_image": image,
        "benchmark_results_dir": str(folder / "results"),
        "benchmark_iterations": 2,
        "benchmark_processes": 2,
        "benchmark_memory": "2Gi",
    }
    hosts = {name: {**cluster, **variables} for name, variables in candidates.items()}
    groups = {"reference": {"hosts": {"engine": {}}}, "candidates": {"hosts": hosts}, "all": {"vars": known}}
    path = folder / "inventory.yml"
    path.write_text(yaml.safe_dump(groups))
    return path


def play(name: str, inventory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(ANSIBLE_PLAYBOOK), str(CHECKOUT / "playbooks" / name), "-i", str(inventory), *arguments]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
    return subprocess.run(
        command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False, timeout=570
    )


def history(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "results" / "history.jsonl").read_text().splitlines()]


def test_a_container_and_pods_give_one_ratio_each_and_one_that_fails_costs_no_other(
    kubectl: Kubectl, runner_image: str, tmp_path: Path
) -> None:
    nowhere = {"benchmark_namespace": "nowhere"}
    inventory = an_inventory(tmp_path, kubectl, runner_image, xeon_pool={"benchmark_image": runner_image}, lost=nowhere)
    done = play("benchmark.yml", inventory)
    assert done.returncode == 2, done.stdout + done.stderr
    assert 'namespaces "nowhere" not found' in done.stdout + done.stderr
    results = {result["target"]: result for result in history(tmp_path)}
    assert results.keys() == {"engine", "xeon_pool"}
    for result in results.values():
        SCHEMA.validate(result)
        assert (result["cpu_limit"], result["isolated"]) == (1, True)
    assert results["engine"]["transcript"]["sha256"] == results["xeon_pool"]["transcript"]["sha256"]
    ratio = results["xeon_pool"]["avg_latency_ms"] / results["engine"]["avg_latency_ms"]
    # Both ran on this machine, but not at the same moment.
    assert 0.5 < ratio < 2
    folder = tmp_path / "results"
    [pod] = yaml.safe_load_all((folder / "pod-xeon_pool.yaml").read_text())
    assert pod["metadata"]["name"] == results["xeon_pool"]["kubernetes"]["pod"]
    assert "created" in kubectl("apply", "--dry-run=server", "-f", str(folder / "pod-xeon_pool.yaml"))
    assert "xeon_pool" in (folder / "report.md").read_text()
    assert list((folder / "unrecorded").iterdir()) == []
    assert kubectl.pods() == []


def test_threads_are_measured_against_the_quota_of_a_pod(kubectl: Kubectl, runner_image: str, tmp_path: Path) -> None:
    asked = {"stress_threads": [1, 2], "stress_blocks": 1, "stress_iterations": 1, "benchmark_warmup": 0}
    inventory = an_inventory(tmp_path, kubectl, runner_image, xeon_pool=asked)
    done = play("stress.yml", inventory, "--limit", "candidates")
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "results" / "stress-xeon_pool.json").read_text())
    rows = {row["figures"]["threads"]: row["figures"] for row in found["rows"]}
    assert rows[2]["verdict"] == "quota-throttled"
    assert rows[1]["throttled_share"] < 0.1
    for result in history(tmp_path):
        assert (result["labels"]["stress"], result["cpu_limit"]) == (found["stress_id"], 1)
        assert result["kubernetes"]["qos_class"] == "Guaranteed"
    assert kubectl.pods() == []


def test_cleaning_records_what_a_killed_run_had_finished(
    kubectl: Kubectl, pods: Pods, pod_image: str, tmp_path: Path
) -> None:
    run = pods.start(iterations=3, target="xeon_pool")
    name = kubectl.wait_for_pod()["metadata"]["name"]
    kill_all(run)
    kubectl.wait_for_pod(ended)
    inventory = an_inventory(tmp_path, kubectl, pod_image, xeon_pool={})
    rehearsed = play("clean.yml", inventory, "--check", "--limit", "candidates")
    assert rehearsed.returncode == 0, rehearsed.stdout + rehearsed.stderr
    assert [pod["metadata"]["name"] for pod in kubectl.pods()] == [name]
    done = play("clean.yml", inventory, "--limit", "candidates")
    assert done.returncode == 0, done.stdout + done.stderr
    [result] = history(tmp_path)
    assert (result["target"], result["iterations"], result["kubernetes"]["pod"]) == ("xeon_pool", 3, name)
    assert list((tmp_path / "results" / "unrecorded").iterdir()) == []
    assert kubectl.pods() == []
    assert "changed=0" in play("clean.yml", inventory, "--limit", "candidates").stdout
