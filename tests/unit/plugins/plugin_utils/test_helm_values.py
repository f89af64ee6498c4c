# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
import yaml
from ansible_collections.rightsize.whisper.plugins.plugin_utils.helm_values import (
    MARKER,
    THREAD_VARIABLES,
    ValuesFile,
    values_file,
)
from ansible_collections.rightsize.whisper.plugins.plugin_utils.load import Load
from ansible_collections.rightsize.whisper.plugins.plugin_utils.normalization import normalize
from ansible_collections.rightsize.whisper.plugins.plugin_utils.sizing import size_cpus
from ansible_collections.rightsize.whisper.plugins.plugin_utils.values_dialects import DIALECTS, Chart

from tests.unit.factories import mac_m4, xeon_pool
from tests.unit.markdown_shown import HOSTILE

ASKED = Load(5.0)
VALUES = {
    "replicaCount": 16,
    "resources": {"requests": {"cpu": "1", "memory": "896Mi"}, "limits": {"cpu": "1", "memory": "896Mi"}},
}


def made(
    reference: dict[str, Any] | None = None, target: dict[str, Any] | None = None, asked: Load = ASKED, **chart: Any
) -> ValuesFile:
    target = target or xeon_pool()
    normalization = normalize(reference or mac_m4(), target)
    of = Chart.of(**chart)
    sizing = size_cpus(normalization, target, asked, cpus_per_worker=of.cpus_per_worker)
    return values_file("values.yaml", normalization, sizing, target, of)


def text_of(reference: dict[str, Any] | None = None, target: dict[str, Any] | None = None) -> str:
    return made(reference, target).text


def values(**options: Any) -> Any:
    return yaml.safe_load(made(**options).text)


def codes(file: ValuesFile) -> list[str]:
    return [warning["code"] for warning in file.warnings]


def test_requests_equal_limits_and_cpus_are_texts() -> None:
    text = text_of()
    assert yaml.safe_load(text) == VALUES
    assert "cpu: '1'" in text


def test_the_order_of_keys_is_that_of_a_chart() -> None:
    assert next(line for line in text_of().splitlines() if not line.startswith("#")) == "replicaCount: 16"
    assert "&id" not in text_of()


def test_the_header_says_where_every_figure_comes_from() -> None:
    header = [line for line in text_of().splitlines() if line.startswith("#")]
    assert header[0] == f"# {MARKER}"
    told = "\n".join(header)
    for words in (
        "-f your-values.yaml -f this-file.yaml",
        "Model: base, 1 thread a worker",
        "Checkpoint: sha256 ed3a0b6b1c0edf879ad9b11b1af5a0e6ab5db9205f891f668f8b0e6c6326e34e",
        "Image: sha256:5861314d7fccb39c2192173240eab44fa35ca66426201ca2acd0630a6258dd51",
        "Reference: 1.338 s on Apple M4 (arm64), target mac_m4, run 20261123t120000-4d61634d of 2026-11-23T12:00:00Z",
        "on Intel(R) Xeon(R) Platinum 8488C (x86_64), target xeon_pool, run 20261123t121500-58656f6e of 2026-11-23T12:15:00Z",
        "Ratio: 1.57504, 95% interval 1.53389 to 1.61729",
        "5 requests/s × 1.338 s × ratio 1.61729 = load 10.8197; / ceiling 0.7, rounded up: 16",
        "Memory: the measured peak and 15%, rounded up: 896 MiB",
        "For the chart: helm_create",
        "Warnings: no_env_place",
        'OMP_NUM_THREADS, MKL_NUM_THREADS, OPENBLAS_NUM_THREADS, NUMBA_NUM_THREADS set to "1", as measured',
        "no key for environment variables",
    ):
        assert words in told


def test_the_formula_in_the_header_can_be_computed_again() -> None:
    (line,) = (line for line in text_of().splitlines() if line.startswith("# CPUs: "))
    words = line.split()
    rate, latency, ratio = float(words[2]), float(words[5]), float(words[9])
    assert rate * latency * ratio == pytest.approx(float(words[12].rstrip(";")), rel=1e-5)


def test_the_same_results_give_the_same_bytes() -> None:
    assert text_of() == text_of()


def test_without_a_peak_there_is_no_memory_and_a_reason() -> None:
    text = text_of(target=xeon_pool(memory={"peak_bytes": None}))
    assert yaml.safe_load(text)["resources"] == {"requests": {"cpu": "1"}, "limits": {"cpu": "1"}}
    assert "# Memory: the peak was not measured, so none is set" in text


def test_what_to_beware_of_is_named() -> None:
    text = text_of(target=xeon_pool(isolated=False, wall_ms=[[2000.0, 2100.0]]))
    assert "# DO NOT ORDER BY THIS: the ratio is tainted" in text
    assert "# Ratio: 1.53214, without an interval" in text
    assert "# Warnings: tainted_ratio, point_estimate, not_isolated, few_processes, no_env_place" in text
    assert "Self-check" not in text


def test_a_self_check_is_called_one() -> None:
    again = mac_m4(run_id="20261123t121500-4d61634d", target="again")
    assert "# Self-check: reference and target are one machine" in text_of(target=again)


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_of_a_target_leaves_the_header(text: str) -> None:
    name = text or "empty"
    text = text_of(
        mac_m4(cpu_model=name, target=f"{name}\nreplicaCount: 99"),
        xeon_pool(cpu_model=name, target=name, image={"id": f"{name}\nreplicaCount: 99"}, architecture=name),
    )
    assert yaml.safe_load(text) == VALUES
    assert text.startswith(f"# {MARKER}\n")
    assert text.count("\nreplicaCount:") == 1
    assert all(character.isprintable() or character == "\n" for character in text)


RESOURCES = VALUES["resources"]
ENV = dict.fromkeys(THREAD_VARIABLES, "1")


def test_a_chart_with_a_map_of_variables_gets_the_thread_pools_as_texts() -> None:
    file = made(dialect="localai")
    assert yaml.safe_load(file.text) == {
        "replicaCount": 16,
        "resources": RESOURCES,
        "deployment": {"env": {**ENV, "threads": "1"}},
    }
    assert "OMP_NUM_THREADS: '1'" in file.text
    assert codes(file) == []


def test_the_controller_of_the_common_library() -> None:
    container = {"resources": RESOURCES, "env": ENV}
    assert values(dialect="bjw_s_common") == {
        "controllers": {"main": {"replicas": 16, "containers": {"main": container}}}
    }


def test_a_subchart_is_under_its_name() -> None:
    assert values(dialect="opea_whisper", prefix="asr.whisper") == {"asr": {"whisper": VALUES}}


def test_a_users_own_map_and_a_list_of_variables_only_where_asked_for() -> None:
    own = {"replicas": "app.copies", "resources": "app.box", "env": "app.vars", "env_style": "list"}
    file = made(map=own)
    assert yaml.safe_load(file.text) == {"app": {"copies": 16, "box": RESOURCES}}
    assert codes(file) == ["env_list_not_written"]
    listed = [{"name": name, "value": "1"} for name in THREAD_VARIABLES]
    file = made(map=own, env="true")
    assert yaml.safe_load(file.text) == {"app": {"copies": 16, "box": RESOURCES, "vars": listed}}
    assert codes(file) == []


def test_a_base_rate_gives_an_autoscaler_its_bounds_in_place_of_replicas() -> None:
    asked = Load.of(5, base_rps=1)
    file = made(asked=asked)
    assert yaml.safe_load(file.text) == {
        "autoscaling": {
            "enabled": True,
            "minReplicas": 4,
            "maxReplicas": 17,
            "targetCPUUtilizationPercentage": 61,
        },
        "resources": RESOURCES,
    }
    assert "# Autoscaler: from 1 to 5 requests/s, and one replica to spare" in file.text
    without = made(asked=asked, dialect="opea_whisper")
    assert yaml.safe_load(without.text) == VALUES
    assert codes(without) == ["no_env_place", "no_autoscaling_place"]


def test_without_a_cpu_limit_a_default_of_the_chart_is_taken_away() -> None:
    own = {"resources": "resources", "default_cpu_limit": True}
    file = made(map=own, cpu_limit="false")
    limits = yaml.safe_load(file.text)["resources"]["limits"]
    assert limits == {"cpu": None, "memory": "896Mi"}
    assert "cpu: null" in file.text
    assert "no_cpu_limit" in codes(file)
    assert values(map=own) == {"resources": RESOURCES}


@pytest.mark.parametrize("name", DIALECTS)
def test_a_named_chart_has_no_cpu_limit_to_take_away_so_no_null_is_rendered(name: str) -> None:
    file = made(dialect=name, cpu_limit="false")
    assert "null" not in "".join(line for line in file.text.splitlines() if not line.startswith("#"))
    assert file.wanted.limits == {"cpu": None, "memory": "896Mi"}
    assert "no_cpu_limit" in codes(file)


def test_two_cpus_for_one_thread_where_nodes_hand_out_whole_cores() -> None:
    file = made(asked=Load.of(5, base_rps=1), cpus_per_worker="2")
    found = yaml.safe_load(file.text)
    assert found["resources"]["requests"]["cpu"] == found["resources"]["limits"]["cpu"] == "2"
    assert found["autoscaling"]["targetCPUUtilizationPercentage"] == 30
    assert "several_cpus_per_worker" in codes(file)
    assert "rounded up: 16 workers of 2 CPUs (a request" in file.text


def test_a_target_measured_with_a_whole_core_gets_one_without_being_asked() -> None:
    file = made(target=xeon_pool(cpu_limit=2.0))
    assert yaml.safe_load(file.text)["resources"]["requests"]["cpu"] == "2"
    assert "several_cpus_per_worker" in codes(file)
