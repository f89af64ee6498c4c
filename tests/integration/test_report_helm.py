# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Generated values, rendered by real Helm with the chart that `helm create` makes."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.rightsize.whisper.plugins.plugin_utils.load import Load
from ansible_collections.rightsize.whisper.plugins.plugin_utils.report import make_report

from tests.unit.factories import mac_m4, xeon_pool
from tests.unit.markdown_shown import HOSTILE

GUARANTEED = {"limits": {"cpu": "1", "memory": "896Mi"}, "requests": {"cpu": "1", "memory": "896Mi"}}


pytest_plugins = ["tests.integration.helm_fixtures"]


def values_of(folder: Path, **changes: Any) -> Path:
    (comparison,) = make_report(mac_m4(), [xeon_pool(**changes)], Load(5.0)).comparisons
    assert comparison.values_file is not None
    path = folder / comparison.values_file.name
    path.write_text(comparison.values_file.text)
    return path


def deployment(helm: str, chart: Path, *values: Path) -> Any:
    """The Deployment that Helm renders; the files are given in this order."""
    files = [argument for path in values for argument in ("-f", str(path))]
    rendered = subprocess.run(
        [helm, "template", "demo", str(chart), *files], check=True, capture_output=True, text=True
    )
    (found,) = [item for item in yaml.safe_load_all(rendered.stdout) if item and item["kind"] == "Deployment"]
    return found


def resources(rendered: Any) -> Any:
    (container,) = rendered["spec"]["template"]["spec"]["containers"]
    return container["resources"]


def test_replicas_requests_and_limits_reach_the_deployment(helm: str, chart: Path, tmp_path: Path) -> None:
    rendered = deployment(helm, chart, values_of(tmp_path))
    assert rendered["spec"]["replicas"] == 16
    assert resources(rendered) == GUARANTEED


def test_named_last_it_wins_over_a_users_own_values(helm: str, chart: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(
        yaml.safe_dump({"replicaCount": 2, "resources": {"limits": {"cpu": "100m"}}, "nodeSelector": {"a": "b"}})
    )
    rendered = deployment(helm, chart, own, values_of(tmp_path))
    assert rendered["spec"]["replicas"] == 16
    assert resources(rendered) == GUARANTEED
    assert rendered["spec"]["template"]["spec"]["nodeSelector"] == {"a": "b"}


def test_without_a_memory_peak_only_cpus_are_set(helm: str, chart: Path, tmp_path: Path) -> None:
    rendered = deployment(helm, chart, values_of(tmp_path, memory={"peak_bytes": None}))
    assert resources(rendered) == {"limits": {"cpu": "1"}, "requests": {"cpu": "1"}}


def test_hostile_names_change_nothing(helm: str, chart: Path, tmp_path: Path) -> None:
    text = "".join(HOSTILE).replace("\ud800", "") + "\nreplicaCount: 99\n{{ .Values }}"
    rendered = deployment(helm, chart, values_of(tmp_path, target=text, cpu_model=text, image={"id": text}))
    assert rendered["spec"]["replicas"] == 16
    assert resources(rendered) == GUARANTEED


def test_a_chart_with_autoscaling_ignores_the_replicas_as_the_header_says(
    helm: str, chart: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(yaml.safe_dump({"autoscaling": {"enabled": True}}))
    path = values_of(tmp_path)
    assert "replicas" not in deployment(helm, chart, own, path)["spec"]
    assert "# A chart with autoscaling on ignores the replicas" in path.read_text()
