# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a chart has the values that this collection sets: a map of key paths for each chart, or a user's own.

The maps are those of the charts' own values files: `helm create`; opea-project/GenAIInfra helm-charts/common/whisper;
go-skynet/helm-charts charts/local-ai, which upper-cases the names in its map of variables; and bjw-s-labs/helm-charts
charts/library/common, whose controller and container are called `main` by habit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, cast

Path = tuple[str, ...]
KEY = re.compile(r"[A-Za-z0-9_-]+")
ENV_STYLES = ("map", "list", "none")
# What a map has beside paths.
NO_PATHS = ("env_style", "default_cpu_limit")
# What users set; the rest of a Chart follows from it.
OPTIONS = frozenset({"dialect", "map", "prefix", "env", "cpu_limit", "cpus_per_worker"})
# A worker has one thread; a second CPU is the other hyperthread of its core, where nodes hand out whole cores.
MOST_CPUS_PER_WORKER = 8
DEFAULT_DIALECT = "helm_create"


class ChartError(ValueError):
    """A chart that no values can be written for; the message is one line that begins with the name of the option."""


@dataclass(frozen=True)
class Dialect:
    """Key paths; None where the chart has no such value. `threads` is a number of threads that the chart itself sets.

    `default_cpu_limit` is whether the chart's own values set a CPU limit, which only null takes away. Where they set none,
    Helm renders the null, and Kubernetes refuses it.
    """

    replicas: Path | None = None
    resources: Path | None = None
    env: Path | None = None
    env_style: str = "none"
    autoscaling_enabled: Path | None = None
    min_replicas: Path | None = None
    max_replicas: Path | None = None
    target_cpu: Path | None = None
    threads: Path | None = None
    default_cpu_limit: bool = False

    @property
    def paths(self) -> dict[str, Path]:
        """Those that there are."""
        found = {item.name: getattr(self, item.name) for item in fields(self) if item.name not in NO_PATHS}
        return {name: path for name, path in found.items() if path is not None}

    @property
    def has_autoscaling(self) -> bool:
        return self.min_replicas is not None and self.max_replicas is not None


def _path(text: str) -> Path:
    return tuple(text.split("."))


DIALECTS: dict[str, Dialect] = {
    "helm_create": Dialect(
        replicas=_path("replicaCount"),
        resources=_path("resources"),
        autoscaling_enabled=_path("autoscaling.enabled"),
        min_replicas=_path("autoscaling.minReplicas"),
        max_replicas=_path("autoscaling.maxReplicas"),
        target_cpu=_path("autoscaling.targetCPUUtilizationPercentage"),
    ),
    "opea_whisper": Dialect(replicas=_path("replicaCount"), resources=_path("resources")),
    "localai": Dialect(
        replicas=_path("replicaCount"),
        resources=_path("resources"),
        env=_path("deployment.env"),
        env_style="map",
        threads=_path("deployment.env.threads"),
    ),
    "bjw_s_common": Dialect(
        replicas=_path("controllers.main.replicas"),
        resources=_path("controllers.main.containers.main.resources"),
        env=_path("controllers.main.containers.main.env"),
        env_style="map",
    ),
}


@dataclass(frozen=True)
class Chart:
    """The chart that values are written for.

    `prefix` is where it is a subchart; `env_list` whether a list of variables may replace the chart's own, which is what
    Helm does with lists; `cpu_limit` whether workers have one; `cpus_per_worker` how many CPUs a worker is given.
    """

    name: str = DEFAULT_DIALECT
    dialect: Dialect = field(default_factory=lambda: DIALECTS[DEFAULT_DIALECT])
    prefix: Path = ()
    env_list: bool = False
    cpu_limit: bool = True
    cpus_per_worker: int = 1

    @classmethod
    def of(cls, **typed: object) -> Chart:
        """From what a user typed; what is empty is as if it were not named."""
        unknown = sorted(set(typed) - OPTIONS)
        if unknown:
            raise ChartError(f"{unknown[0]} is no option of a chart: it has {', '.join(sorted(OPTIONS))}")
        given = {name: value for name, value in typed.items() if value is not None and value != "" and value != {}}
        name, dialect = _dialect(given)
        chart = cls(
            name=name,
            dialect=dialect,
            prefix=_typed_path("prefix", given["prefix"]) if "prefix" in given else (),
            env_list=_switch("env", given.get("env", False)),
            cpu_limit=_switch("cpu_limit", given.get("cpu_limit", True)),
            cpus_per_worker=_cpus(given.get("cpus_per_worker", 1)),
        )
        _check_collisions(chart.dialect)
        return chart


DEFAULT_CHART = Chart()


def _dialect(given: Mapping[str, object]) -> tuple[str, Dialect]:
    if "map" in given:
        if "dialect" in given:
            raise ChartError(f"map and dialect are both named ({_shown(given['dialect'])}): name one of the two")
        return "your own map", _own(given["map"])
    name = given.get("dialect", DEFAULT_DIALECT)
    if not isinstance(name, str) or name not in DIALECTS:
        raise ChartError(f"dialect is {_shown(name)}: name {', '.join(DIALECTS)}, or give a map")
    return name, DIALECTS[name]


def _own(typed: object) -> Dialect:
    known = [item.name for item in fields(Dialect)]
    if not isinstance(typed, Mapping):
        raise ChartError(f"map is {_shown(typed)}: name keys such as {{replicas: replicaCount, resources: resources}}")
    unknown = sorted(str(name) for name in typed if name not in known)
    if unknown:
        raise ChartError(f"map has the key {_shown(unknown[0])}: it may have {', '.join(known)}")
    style = typed.get("env_style", "map" if "env" in typed else "none")
    if style not in ENV_STYLES or (style == "none") != ("env" not in typed):
        raise ChartError(
            f"map has env_style {_shown(style)}: name map or list where it has env, and none where it has not"
        )
    if "resources" not in typed:
        raise ChartError("map has no resources: name the path of the container's resources, such as resources")
    paths: dict[str, Any] = {
        name: _typed_path(f"map.{name}", path) for name, path in typed.items() if name not in NO_PATHS
    }
    default_cpu_limit = _switch("map.default_cpu_limit", typed.get("default_cpu_limit", False))
    dialect = Dialect(env_style=cast(str, style), default_cpu_limit=default_cpu_limit, **paths)
    if (dialect.min_replicas is None) != (dialect.max_replicas is None):
        raise ChartError("map has one of min_replicas and max_replicas: an autoscaler needs both")
    return dialect


def _typed_path(name: str, typed: object) -> Path:
    if not isinstance(typed, str) or not all(KEY.fullmatch(key) for key in typed.split(".")):
        raise ChartError(f"{name} is {_shown(typed)}: name keys with dots between them, such as service.resources")
    return _path(typed)


def _check_collisions(dialect: Dialect) -> None:
    """A value cannot lie within another; a thread count may lie among the variables of a map."""
    paths = dialect.paths.items()
    for name, path in paths:
        for other, longer in paths:
            among_variables = (name, other, dialect.env_style) == ("env", "threads", "map") and longer != path
            if other != name and longer[: len(path)] == path and not among_variables:
                raise ChartError(f"map.{name} is {'.'.join(path)} and map.{other} is {'.'.join(longer)}: they collide")


def _cpus(typed: object) -> int:
    text = str(typed)
    if isinstance(typed, bool) or not text.isdecimal() or not 1 <= int(text) <= MOST_CPUS_PER_WORKER:
        raise ChartError(f"cpus_per_worker is {_shown(typed)}: name a whole number from 1 to {MOST_CPUS_PER_WORKER}")
    return int(text)


def _switch(name: str, typed: object) -> bool:
    words = {"true": True, "yes": True, "false": False, "no": False}
    found = typed if isinstance(typed, bool) else words.get(str(typed).lower())
    if found is None:
        raise ChartError(f"{name} is {_shown(typed)}: name true or false")
    return found


def _shown(value: object) -> str:
    return ascii(value)[:60]
