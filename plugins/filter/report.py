# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter that gathers what the report says; what that is, is in plugin_utils."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible.utils.unsafe_proxy import wrap_var
from ansible_collections.rightsize.whisper.plugins.plugin_utils.load import Load, SizingError
from ansible_collections.rightsize.whisper.plugins.plugin_utils.plain import plain
from ansible_collections.rightsize.whisper.plugins.plugin_utils.queueing import DEFAULT_UTILISATION_CEILING
from ansible_collections.rightsize.whisper.plugins.plugin_utils.report import ReportError, make_report
from ansible_collections.rightsize.whisper.plugins.plugin_utils.values_dialects import Chart, ChartError


def report_contents(
    reference: Any,
    candidates: Any,
    target_rps: Any,
    utilisation_ceiling: Any = DEFAULT_UTILISATION_CEILING,
    unmeasured: Mapping[str, str] | None = None,
    allow_different_work: bool = False,
    load: Mapping[str, Any] | None = None,
    clips: Mapping[str, Sequence[Any]] | None = None,
    thread_runs: Sequence[Any] = (),
    chart: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """What the report says of the reference's result and the candidates'."""
    if isinstance(candidates, str) or not isinstance(candidates, Sequence):
        raise AnsibleFilterError(f"report_contents: candidates is a list of results, not {type(candidates).__name__}")
    for value in (reference, *candidates, *thread_runs, *(clip for own in (clips or {}).values() for clip in own)):
        if not isinstance(value, Mapping):
            raise AnsibleFilterError(
                f"report_contents: a result of the benchmark is a dictionary, not {type(value).__name__}"
            )
    try:
        asked = Load.of(target_rps, utilisation_ceiling, **(load or {}))
        report = make_report(
            reference,
            candidates,
            asked,
            unmeasured,
            allow_different_work,
            clips or {},
            thread_runs,
            Chart.of(**(chart or {})),
        )
    except (ChartError, ReportError, SizingError) as error:
        raise AnsibleFilterError(f"report_contents: {error}") from error
    # For ansible-core before 2.19, texts that came from a target are marked as never to be templated.
    returned: dict[str, Any] = wrap_var(plain(report))
    return returned


class FilterModule:
    """Maps the names."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"report_contents": report_contents}
