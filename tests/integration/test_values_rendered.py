# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role `report` renders a user's chart with the values that it wrote, by real Helm, and says which value is lost."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.cluster import Kubectl
from tests.integration.playbooks import ANSIBLE_PLAYBOOK, CHECKOUT, PlaybookRun
from tests.integration.reporting import REPORT, Reporting, groups
from tests.unit.factories import mac_m4, xeon_pool

pytest_plugins = ["tests.integration.helm_fixtures", "tests.integration.pod_fixtures"]

BOTH: dict[str, Any] = {"reference": {"mac_m4": mac_m4()}, "candidates": {"xeon_pool": xeon_pool()}}
# What charts of each dialect do with their values, and no more.
WORKLOAD = """
apiVersion: apps/v1
kind: Deployment
metadata: {{name: whisper}}
spec:
  replicas: {{{{ {replicas} }}}}
  template:
    spec:
      containers:
        - name: whisper
          resources: {{{{- toYaml {resources} | nindent 12 }}}}
{env}
"""
UPPER_CASED = """          env:
            {{- range $key, $value := .Values.deployment.env }}
            - {name: {{ $key | upper }}, value: {{ quote $value }}}
            {{- end }}"""
AS_THEY_ARE = """          env:
            {{- range $key, $value := .Values.controllers.main.containers.main.env }}
            - {name: {{ $key }}, value: {{ quote $value }}}
            {{- end }}"""
LISTED = """          env: {{- toYaml .Values.service.env | nindent 12 }}"""
CONTROLLER = ".Values.controllers.main"
CHARTS: dict[str, tuple[dict[str, Any], str]] = {
    "opea_whisper": (
        {"benchmark_values_dialect": "opea_whisper"},
        WORKLOAD.format(replicas=".Values.replicaCount", resources=".Values.resources", env=""),
    ),
    "localai": (
        {"benchmark_values_dialect": "localai"},
        WORKLOAD.format(replicas=".Values.replicaCount", resources=".Values.resources", env=UPPER_CASED),
    ),
    "bjw_s_common": (
        {"benchmark_values_dialect": "bjw_s_common"},
        WORKLOAD.format(
            replicas=f"{CONTROLLER}.replicas", resources=f"{CONTROLLER}.containers.main.resources", env=AS_THEY_ARE
        ),
    ),
    "a map of one's own": (
        {
            "benchmark_values_map": {
                "replicas": "service.copies",
                "resources": "service.box",
                "env": "service.env",
                "env_style": "list",
            },
            "benchmark_values_env": True,
        },
        WORKLOAD.format(replicas=".Values.service.copies", resources=".Values.service.box", env=LISTED),
    ),
}


@pytest.fixture
def reporting(play: Callable[..., PlaybookRun], tmp_path: Path) -> Reporting:
    return Reporting(play, tmp_path)


def a_chart(folder: Path, template: str, name: str = "whisper") -> Path:
    (folder / "templates").mkdir(parents=True)
    (folder / "Chart.yaml").write_text(yaml.safe_dump({"apiVersion": "v2", "name": name, "version": "0.1.0"}))
    (folder / "templates" / "deployment.yaml").write_text(template)
    return folder


def rendered(helm: str, made: Path, *values: Path) -> str:
    files = [argument for path in values for argument in ("--values", str(path))]
    return subprocess.run(
        [helm, "template", "whisper", str(made), *files], check=True, capture_output=True, text=True
    ).stdout


@pytest.mark.parametrize("name", CHARTS)
def test_every_value_reaches_a_chart_of_the_dialect(reporting: Reporting, helm: str, tmp_path: Path, name: str) -> None:
    options, template = CHARTS[name]
    made = a_chart(tmp_path / "whisper", template)
    run = reporting.run(**BOTH, **options, benchmark_values_chart=str(made), benchmark_helm=helm)
    assert run.wait() == 0, run.output
    assert "and every value found" in reporting.report.read_text()


def test_a_subchart_is_reached_under_its_name(reporting: Reporting, helm: str, tmp_path: Path) -> None:
    options, template = CHARTS["localai"]
    parent = a_chart(tmp_path / "voice", "", name="voice")
    a_chart(parent / "charts" / "whisper", template)
    run = reporting.run(
        **BOTH, **options, benchmark_values_prefix="whisper", benchmark_values_chart=str(parent), benchmark_helm=helm
    )
    assert run.wait() == 0, run.output


def test_an_autoscaler_and_no_cpu_limit_reach_the_chart_of_helm_create(
    reporting: Reporting, helm: str, chart: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(yaml.safe_dump({"resources": {"requests": {"cpu": "100m"}}}))
    options = {
        "benchmark_base_rps": "1",
        "benchmark_values_cpu_limit": "false",
        "benchmark_values_chart": str(chart),
        "benchmark_values_chart_values": [str(own)],
        "benchmark_helm": helm,
    }
    run = reporting.run(**BOTH, **options)
    assert run.wait() == 0, run.output
    assert "and every value found" in reporting.report.read_text()
    written = reporting.results / "values-base.yaml"
    assert "minReplicas: 4" in written.read_text()
    assert "cpu: null" not in rendered(helm, chart, own, written)
    own.write_text(yaml.safe_dump({"resources": {"limits": {"cpu": "100m"}}}))
    run = reporting.run(**BOTH, **options)
    assert run.wait() == 2
    assert "limits.cpu none: 100m is that of Deployment" in run.output


def test_a_cpu_limit_of_the_chart_is_taken_away_only_where_it_is_said_to_have_one(
    reporting: Reporting, helm: str, tmp_path: Path
) -> None:
    made = a_chart(tmp_path / "whisper", CHARTS["opea_whisper"][1])
    (made / "values.yaml").write_text(yaml.safe_dump({"resources": {"limits": {"cpu": "100m"}}}))
    own_map = {"replicas": "replicaCount", "resources": "resources", "default_cpu_limit": True}
    options: dict[str, Any] = {
        "benchmark_values_map": own_map,
        "benchmark_values_cpu_limit": "false",
        "benchmark_values_chart": str(made),
        "benchmark_helm": helm,
    }
    run = reporting.run(**BOTH, **options)
    assert run.wait() == 0, run.output
    assert "100m" not in rendered(helm, made, reporting.results / "values-base.yaml")
    (made / "values.yaml").unlink()
    run = reporting.run(**BOTH, **options)
    assert run.wait() == 2
    assert "limits.cpu none: null, which Kubernetes refuses, is that of Deployment whisper" in run.output


def test_nothing_is_rendered_in_check_mode(reporting: Reporting, helm: str, chart: Path, tmp_path: Path) -> None:
    reporting.remember(mac_m4(), xeon_pool())
    variables = {
        "report_reference_run_id": mac_m4()["run_id"],
        "report_candidate_run_ids": [xeon_pool()["run_id"]],
        "benchmark_values_chart": str(chart),
        "benchmark_helm": helm,
    }
    (tmp_path / "play.yml").write_text(yaml.safe_dump([REPORT]))
    hosts = groups({}, {"localhost": None}, reporting.results, variables)
    (tmp_path / "inventory.yml").write_text(yaml.safe_dump(hosts))
    done = subprocess.run(
        [ANSIBLE_PLAYBOOK, "--check", "-i", "inventory.yml", "play.yml"],
        cwd=tmp_path,
        env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / ".ansible" / "collections")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert not (reporting.results / "values-base.yaml").exists()


def test_a_value_that_does_not_reach_the_chart_is_named_and_nothing_is_lost(
    reporting: Reporting, helm: str, tmp_path: Path
) -> None:
    made = a_chart(tmp_path / "whisper", CHARTS["bjw_s_common"][1].replace(f"{CONTROLLER}.replicas", "3"))
    run = reporting.run(
        **BOTH, benchmark_values_dialect="bjw_s_common", benchmark_values_chart=str(made), benchmark_helm=helm
    )
    assert run.wait() == 2
    lost = f"values-base.yaml has not reached the chart {made}: replicas 16: in Deployment whisper there is 3"
    assert lost in run.output
    assert "in Deployment whisper there is 3" in reporting.report.read_text()
    assert (reporting.results / "values-base.yaml").exists()


def test_what_cannot_be_rendered_is_one_clear_line(reporting: Reporting, helm: str, tmp_path: Path) -> None:
    broken = a_chart(tmp_path / "broken", "{{ .Values.nothing.there }}")
    wrong: dict[str, dict[str, Any]] = {
        f"the chart {broken} does not render: ": {"benchmark_values_chart": str(broken), "benchmark_helm": helm},
        "there is no chart /no/such/chart: name its folder or archive": {
            "benchmark_values_chart": "/no/such/chart",
            "benchmark_helm": helm,
        },
        "there is no program /no/such/helm: install Helm, or name it in benchmark_helm": {
            "benchmark_values_chart": str(broken),
            "benchmark_helm": "/no/such/helm",
        },
        "benchmark_values_dialect is 'helm': name helm_create, opea_whisper": {"benchmark_values_dialect": "helm"},
    }
    for words, options in wrong.items():
        run = reporting.run(**BOTH, **options)
        assert run.wait() == 2
        assert words in run.output
        assert "Traceback" not in run.output


@pytest.fixture
def release(kubectl: Kubectl, helm: str) -> Iterator[Callable[..., None]]:
    """Installs a chart in the namespace of the test."""
    where = ["--kubeconfig", kubectl.kubeconfig, "--namespace", kubectl.namespace]

    def install(made: Path, *values: Path) -> None:
        files = [argument for path in values for argument in ("--values", str(path))]
        done = subprocess.run(
            [helm, "install", "whisper", str(made), *files, *where], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    yield install
    subprocess.run([helm, "uninstall", "whisper", *where], capture_output=True, check=False)


@pytest.mark.cluster
@pytest.mark.engine
@pytest.mark.image
def test_the_installed_pod_is_guaranteed_and_has_the_cpu_limit(
    reporting: Reporting,
    kubectl: Kubectl,
    chart: Path,
    release: Callable[..., None],
    runner_image: str,
    tmp_path: Path,
) -> None:
    run = reporting.run(**BOTH, benchmark_target_rps="0.01")
    assert run.wait() == 0, run.output
    repository, tag = runner_image.rsplit(":", 1)
    own = tmp_path / "own.yaml"
    image = {"repository": repository, "tag": tag, "pullPolicy": "Never"}
    own.write_text(yaml.safe_dump({"image": image, "livenessProbe": None, "readinessProbe": None}))
    release(chart, own, reporting.results / "values-base.yaml")
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        pods = json.loads(kubectl("get", "pods", "-l", "app.kubernetes.io/instance=whisper", "-o", "json"))["items"]
        if pods and pods[0]["status"].get("phase") == "Running":
            break
        time.sleep(1)
    (pod,) = pods
    assert pod["status"]["phase"] == "Running"
    assert pod["status"]["qosClass"] == "Guaranteed"
    assert pod["spec"]["containers"][0]["resources"]["limits"] == {"cpu": "1", "memory": "896Mi"}
    told = kubectl("exec", pod["metadata"]["name"], "--", "python3", "-c", CPU_LIMIT)
    assert float(told) == 1.0


CPU_LIMIT = "from bench_runner import cgroup, environment; print(environment.isolation(cgroup.find()).cpu_limit)"
