# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether values have reached the objects that a chart renders: Helm takes unknown keys in silence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

WORKLOADS = ("Deployment", "StatefulSet")
SCALER = "HorizontalPodAutoscaler"


@dataclass(frozen=True)
class Rendering:
    """A values file rendered with a chart; `problem` is one line, empty where every value was found."""

    name: str
    version: str
    problem: str


def judge(answer: Mapping[str, Any], chart: str) -> Rendering:
    """An answer of the module helm_render, whose item is the values file with what is wanted of it."""
    values_file = answer["item"]
    if "objects" not in answer:
        return Rendering(values_file["name"], "", str(answer.get("msg", "Helm has not answered")))
    missing = missing_values(answer["objects"], values_file["wanted"])
    problem = f"{values_file['name']} has not reached the chart {chart}: {'; '.join(missing)}" if missing else ""
    return Rendering(values_file["name"], str(answer["version"]), problem)


def missing_values(objects: Sequence[Any], wanted: Mapping[str, Any]) -> list[str]:
    """What of `wanted` (helm_values.Wanted, as plain types) no rendered object has, each in a line that says where it looked.

    One workload must have all of it, since an umbrella chart has others; of the one that comes nearest it is said what it
    lacks.
    """
    found = [item for item in objects if isinstance(item, Mapping)]
    workloads = [item for item in found if item.get("kind") in WORKLOADS]
    scalers = [item for item in found if item.get("kind") == SCALER]
    if not workloads:
        kinds = ", ".join(sorted({str(item.get("kind")) for item in found})) or "nothing"
        return [f"the chart renders no {' and no '.join(WORKLOADS)}, but {kinds}"]
    lacks = [
        [
            *_replicas(workload, wanted),
            *_scaler(workload, [item for item in scalers if _scales(item, workload)], wanted),
            *_container(workload, wanted),
        ]
        for workload in workloads
    ]
    return min(lacks, key=len)


def _replicas(workload: Mapping[str, Any], wanted: Mapping[str, Any]) -> Iterator[str]:
    replicas, there = wanted["replicas"], _at(workload, "spec", "replicas")
    if replicas is not None and replicas != there:
        yield f"replicas {replicas}: in {_name(workload)} there is {_listed([there])}"


def _scales(scaler: Mapping[str, Any], workload: Mapping[str, Any]) -> bool:
    target = _at(scaler, "spec", "scaleTargetRef")
    return (_at(target, "kind"), _at(target, "name")) == (workload.get("kind"), _at(workload, "metadata", "name"))


def _scaler(
    workload: Mapping[str, Any], scalers: Sequence[Mapping[str, Any]], wanted: Mapping[str, Any]
) -> Iterator[str]:
    where = _names(scalers) or f"no {SCALER} of {_name(workload)}"
    bounds = {"minReplicas": wanted["min_replicas"], "maxReplicas": wanted["max_replicas"]}
    for key, value in bounds.items():
        there = [_at(item, "spec", key) for item in scalers]
        if value is not None and value not in there:
            yield f"{key} {value}: in {where} there is {_listed(there)}"
    target = wanted["target_cpu_percent"]
    there = [percent for item in scalers for percent in _targets(item)]
    if target is not None and target not in there:
        yield f"target CPU utilisation {target}: in {where} there is {_listed(there)}"


def _targets(scaler: Mapping[str, Any]) -> Iterator[Any]:
    """In autoscaling/v1, and in v2."""
    yield _at(scaler, "spec", "targetCPUUtilizationPercentage")
    for metric in _list(_at(scaler, "spec", "metrics")):
        yield _at(metric, "resource", "target", "averageUtilization")


def _container(workload: Mapping[str, Any], wanted: Mapping[str, Any]) -> Iterator[str]:
    """One container must have all of it; of the one that comes nearest it is said what it lacks."""
    lacks = [
        [f"{lack} of {_name(workload)}, container {container.get('name')}" for lack in _lacks(container, wanted)]
        for container in _list(_at(workload, "spec", "template", "spec", "containers"))
        if isinstance(container, Mapping)
    ]
    if not lacks:
        yield f"{_name(workload)} has no container"
    else:
        yield from min(lacks, key=len)


def _lacks(container: Mapping[str, Any], wanted: Mapping[str, Any]) -> Iterator[str]:
    for kind in ("requests", "limits"):
        for name, value in wanted[kind].items():
            given = _at(container, "resources", kind)
            is_given = isinstance(given, Mapping) and name in given
            there = given[name] if isinstance(given, Mapping) and is_given else None
            if is_given and there is None:
                # Helm keeps a null that has no default to take away.
                yield f"{kind}.{name} {value or 'none'}: null, which Kubernetes refuses, is that"
            elif not _is_quantity(there, value):
                yield f"{kind}.{name} {value or 'none'}: {_listed([there])} is that"
    env = {item.get("name"): item.get("value") for item in _list(container.get("env")) if isinstance(item, Mapping)}
    for name, value in wanted["env"].items():
        if env.get(name) != value:
            there = env.get(name)
            unquoted = " without quotes" if str(there) == value else ""
            yield f"env {name} {value}: {_listed([there])}{unquoted} is that"


def _is_quantity(there: Any, value: str | None) -> bool:
    """A chart may drop the quotes of a quantity, which Kubernetes takes as a number too; an environment variable it does not."""
    return there is None if value is None else not isinstance(there, bool) and str(there) == value


def _list(value: Any) -> Sequence[Any]:
    """What a template renders need not be what Kubernetes takes."""
    return value if isinstance(value, list) else []


def _at(item: Any, *keys: str) -> Any:
    for key in keys:
        if not isinstance(item, Mapping):
            return None
        item = item.get(key)
    return item


def _name(item: Mapping[str, Any]) -> str:
    return f"{item.get('kind')} {_at(item, 'metadata', 'name')}"


def _names(items: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(map(_name, items))


def _listed(values: Sequence[Any]) -> str:
    return ", ".join("none" if value is None else str(value) for value in values) or "none"
