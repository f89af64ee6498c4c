# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

from ansible_collections.rightsize.whisper.plugins.plugin_utils.rendered_values import judge, missing_values

RESOURCES = {"requests": {"cpu": "1", "memory": "896Mi"}, "limits": {"cpu": "1", "memory": "896Mi"}}
ENV = [{"name": "OMP_NUM_THREADS", "value": "1"}]
WANTED: dict[str, Any] = {
    "replicas": 16,
    "min_replicas": None,
    "max_replicas": None,
    "target_cpu_percent": None,
    "env": {"OMP_NUM_THREADS": "1"},
    **RESOURCES,
}


def workload(
    replicas: int | None = 16, resources: Any = None, env: Any = None, kind: str = "Deployment", name: str = "asr"
) -> dict[str, Any]:
    whisper = {
        "name": "whisper",
        "resources": RESOURCES if resources is None else resources,
        "env": ENV if env is None else env,
    }
    containers = [{"name": "proxy"}, whisper]
    spec = {"replicas": replicas, "template": {"spec": {"containers": containers}}}
    return {"kind": kind, "metadata": {"name": name}, "spec": spec}


def scaler(target: str = "asr", **spec: Any) -> dict[str, Any]:
    return {
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "asr"},
        "spec": {"scaleTargetRef": {"kind": "Deployment", "name": target}, **spec},
    }


def test_every_value_is_found_among_other_objects_and_containers() -> None:
    assert missing_values([{"kind": "Service"}, workload(), workload(1, {}, [])], WANTED) == []
    assert missing_values([workload(kind="StatefulSet")], WANTED) == []


def test_what_is_missing_is_named_with_what_is_there() -> None:
    other = {"requests": {"cpu": "1", "memory": "896Mi"}, "limits": {"cpu": "500m"}}
    assert missing_values([workload(2, other, [])], WANTED) == [
        "replicas 16: in Deployment asr there is 2",
        "limits.cpu 1: 500m is that of Deployment asr, container whisper",
        "limits.memory 896Mi: none is that of Deployment asr, container whisper",
        "env OMP_NUM_THREADS 1: none is that of Deployment asr, container whisper",
    ]


def test_a_limit_that_must_go_must_be_gone() -> None:
    wanted = {**WANTED, "limits": {"cpu": None, "memory": "896Mi"}}
    gone = {"requests": RESOURCES["requests"], "limits": {"memory": "896Mi"}}
    assert missing_values([workload(resources=gone)], wanted) == []
    assert missing_values([workload()], wanted) == ["limits.cpu none: 1 is that of Deployment asr, container whisper"]
    kept = {"requests": RESOURCES["requests"], "limits": {"cpu": None, "memory": "896Mi"}}
    assert missing_values([workload(resources=kept)], wanted) == [
        "limits.cpu none: null, which Kubernetes refuses, is that of Deployment asr, container whisper"
    ]


def test_a_quantity_without_quotes_is_the_same_and_a_variable_is_not() -> None:
    unquoted = {"requests": {"cpu": 1, "memory": "896Mi"}, "limits": {"cpu": 1, "memory": "896Mi"}}
    assert missing_values([workload(resources=unquoted)], WANTED) == []
    assert missing_values([workload(env=[{"name": "OMP_NUM_THREADS", "value": 1}])], WANTED) == [
        "env OMP_NUM_THREADS 1: 1 without quotes is that of Deployment asr, container whisper"
    ]


def test_one_workload_must_have_all_of_it() -> None:
    frontend = workload(16, {}, [], name="frontend")
    assert missing_values([workload(3), frontend], WANTED) == ["replicas 16: in Deployment asr there is 3"]
    wanted = {**WANTED, "replicas": None, "min_replicas": 4, "max_replicas": 17}
    of_another = scaler("frontend", minReplicas=4, maxReplicas=17)
    assert missing_values([workload(None), frontend, of_another], wanted) == [
        "minReplicas 4: in no HorizontalPodAutoscaler of Deployment asr there is none",
        "maxReplicas 17: in no HorizontalPodAutoscaler of Deployment asr there is none",
    ]


def test_objects_that_no_cluster_would_take_are_looked_through_all_the_same() -> None:
    odd = [{"kind": "Deployment", "spec": {"template": {"spec": {"containers": 7}}}}, scaler(metrics=7)]
    assert missing_values(odd, WANTED)[-1] == "Deployment None has no container"


def test_bounds_are_looked_for_in_autoscalers_of_both_versions() -> None:
    wanted = {**WANTED, "replicas": None, "min_replicas": 4, "max_replicas": 17, "target_cpu_percent": 61}
    metric = {"type": "Resource", "resource": {"name": "cpu", "target": {"averageUtilization": 61}}}
    for target in ({"targetCPUUtilizationPercentage": 61}, {"metrics": [metric]}):
        assert missing_values([workload(None), scaler(minReplicas=4, maxReplicas=17, **target)], wanted) == []
    assert missing_values([workload(None)], wanted) == [
        "minReplicas 4: in no HorizontalPodAutoscaler of Deployment asr there is none",
        "maxReplicas 17: in no HorizontalPodAutoscaler of Deployment asr there is none",
        "target CPU utilisation 61: in no HorizontalPodAutoscaler of Deployment asr there is none",
    ]


def test_a_chart_without_a_workload_is_called_so() -> None:
    assert missing_values([{"kind": "Job"}, "odd"], WANTED) == [
        "the chart renders no Deployment and no StatefulSet, but Job"
    ]
    assert missing_values([], WANTED) == ["the chart renders no Deployment and no StatefulSet, but nothing"]


def test_an_answer_of_the_module_is_judged() -> None:
    item = {"name": "values.yaml", "wanted": WANTED}
    assert judge({"item": item, "objects": [workload()], "version": "v4"}, "c").problem == ""
    lost = judge({"item": item, "objects": [workload(1)], "version": "v4"}, "charts/asr")
    assert lost.problem == "values.yaml has not reached the chart charts/asr: replicas 16: in Deployment asr there is 1"
    assert judge({"item": item, "msg": "there is no program helm"}, "c").problem == "there is no program helm"
