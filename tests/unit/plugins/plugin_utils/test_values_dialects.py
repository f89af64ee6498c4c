# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
from typing import Any

import pytest
from ansible_collections.rightsize.whisper.plugins.plugin_utils.values_dialects import DIALECTS, Chart, ChartError

OWN = {"resources": "app.resources"}


def test_without_options_it_is_the_chart_of_helm_create() -> None:
    assert Chart.of() == Chart.of(dialect="", map={}, prefix=None, env=False, cpu_limit=True) == Chart()
    assert Chart().dialect is DIALECTS["helm_create"]


@pytest.mark.parametrize("name", DIALECTS)
def test_every_dialect_has_resources_and_no_path_within_another(name: str) -> None:
    assert Chart.of(dialect=name).dialect.resources


def test_a_thread_count_may_lie_among_the_variables_of_a_map() -> None:
    assert Chart.of(map={**OWN, "env": "e", "threads": "e.threads"}).dialect.threads == ("e", "threads")


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (
            {"dialect": "helm"},
            "dialect is 'helm': name helm_create, opea_whisper, localai, bjw_s_common, or give a map",
        ),
        ({"dialect": ["localai"]}, "dialect is ['localai']: name helm_create"),
        ({"chart": "x"}, "chart is no option of a chart: it has cpu_limit, cpus_per_worker, dialect, env, map, prefix"),
        ({"dialect": "localai", "map": OWN}, "map and dialect are both named ('localai'): name one of the two"),
        ({"map": "resources"}, "map is 'resources': name keys such as {replicas: replicaCount, resources: resources}"),
        ({"map": {"replicas": "a"}}, "map has no resources: name the path of the container's resources"),
        ({"map": {**OWN, "ressources": "a"}}, "map has the key 'ressources': it may have replicas, resources, env,"),
        ({"map": {"resources": "a..b"}}, "map.resources is 'a..b': name keys with dots between them"),
        ({"map": {"resources": 7}}, "map.resources is 7: name keys with dots between them"),
        ({"map": {**OWN, "env": "e", "env_style": "tree"}}, "map has env_style 'tree': name map or list"),
        ({"map": {**OWN, "env_style": "list"}}, "map has env_style 'list': name map or list where it has env"),
        ({"map": {**OWN, "replicas": "app"}}, "map.replicas is app and map.resources is app.resources: they collide"),
        (
            {"map": {**OWN, "replicas": "app.resources"}},
            "map.replicas is app.resources and map.resources is app.resources:",
        ),
        (
            {"map": {**OWN, "min_replicas": "a"}},
            "map has one of min_replicas and max_replicas: an autoscaler needs both",
        ),
        (
            {"map": {**OWN, "env": "e", "env_style": "list", "threads": "e.threads"}},
            "map.env is e and map.threads is e.threads: they collide",
        ),
        ({"map": {**OWN, "threads": "app.resources"}}, "map.resources is app.resources and map.threads is app."),
        ({"map": {**OWN, "replicas": "n", "threads": "n.t"}}, "map.replicas is n and map.threads is n.t: they collide"),
        ({"map": {**OWN, "env": "e.x", "threads": "e"}}, "map.threads is e and map.env is e.x: they collide"),
        ({"map": {**OWN, "default_cpu_limit": "x"}}, "map.default_cpu_limit is 'x': name true or false"),
        ({"prefix": "a/b"}, "prefix is 'a/b': name keys with dots between them, such as service.resources"),
        ({"cpus_per_worker": 0}, "cpus_per_worker is 0: name a whole number from 1 to 8"),
        ({"cpus_per_worker": "1.5"}, "cpus_per_worker is '1.5': name a whole number from 1 to 8"),
        ({"env": "perhaps"}, "env is 'perhaps': name true or false"),
    ],
)
def test_what_no_values_can_be_written_for_is_named_first(typed: dict[str, Any], message: str) -> None:
    with pytest.raises(ChartError, match="^" + re.escape(message)):
        Chart.of(**typed)
