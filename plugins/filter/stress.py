# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filters of the stress test; what they compute is in plugin_utils."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible.utils.unsafe_proxy import wrap_var
from ansible_collections.rightsize.whisper.plugins.plugin_utils.plain import plain
from ansible_collections.rightsize.whisper.plugins.plugin_utils.throttling import (
    StressError,
    plan_runs,
    report_stress,
)


def stress_plan(threads: Any, cpus: Any, cpu_limits: Any, blocks: Any, seed: Any) -> list[dict[str, Any]]:
    """The runs of a stress test, in order."""
    if any(isinstance(value, str) or not isinstance(value, Sequence) for value in (threads, cpu_limits)):
        raise AnsibleFilterError("stress_plan: threads and cpu_limits are lists of numbers")
    try:
        counts, limits = [int(count) for count in threads], [float(limit) for limit in cpu_limits]
        planned = plan_runs(counts, float(cpus), limits, int(blocks), int(seed))
    except (StressError, TypeError, ValueError) as error:
        raise AnsibleFilterError(f"stress_plan: {error}") from error
    runs: list[dict[str, Any]] = plain(planned)
    return runs


def stress_report(judgement: Any, stress_id: str, seed: Any, stopped_early: Sequence[str] = ()) -> dict[str, Any]:
    """What the judgement of a stress test comes to."""
    if not isinstance(judgement, Mapping):
        raise AnsibleFilterError(f"stress_report: a judgement is a dictionary, not {type(judgement).__name__}")
    try:
        report = report_stress(judgement, stress_id, int(seed), stopped_early)
    except StressError as error:
        raise AnsibleFilterError(f"stress_report: {error}") from error
    # For ansible-core before 2.19, texts that came from a target are marked as never to be templated.
    returned: dict[str, Any] = wrap_var(plain(report))
    return returned


class FilterModule:
    """Maps the names."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"stress_plan": stress_plan, "stress_report": stress_report}
