# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters about Helm values; what they say is decided in plugin_utils."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible.utils.unsafe_proxy import wrap_var
from ansible_collections.rightsize.whisper.plugins.plugin_utils.plain import plain
from ansible_collections.rightsize.whisper.plugins.plugin_utils.rendered_values import judge
from ansible_collections.rightsize.whisper.plugins.plugin_utils.values_dialects import Chart, ChartError


def chart_problem(chart: Any) -> str:
    """What is wrong with what was said of a chart; empty where nothing is."""
    if not isinstance(chart, Mapping):
        raise AnsibleFilterError(f"chart_problem: a chart is a dictionary, not {type(chart).__name__}")
    try:
        Chart.of(**chart)
    except ChartError as error:
        return str(error)
    return ""


def values_renderings(answers: Any, chart: Any) -> list[dict[str, Any]]:
    """Whether the values of each rendered file have reached the chart's objects."""
    if isinstance(answers, str) or not isinstance(answers, Sequence):
        raise AnsibleFilterError(f"values_renderings: the answers are a list, not {type(answers).__name__}")
    try:
        found = [judge(answer, str(chart)) for answer in answers]
    except (KeyError, TypeError) as error:
        raise AnsibleFilterError(
            f"values_renderings: this is no answer of helm_render in a loop over values files ({error!r})"
        ) from error
    # For ansible-core before 2.19, texts that came from a chart are marked as never to be templated.
    returned: list[dict[str, Any]] = wrap_var(plain(found))
    return returned


class FilterModule:
    """Maps the names."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"chart_problem": chart_problem, "values_renderings": values_renderings}
