# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filters of the playbook verify_sizing; what they compute is in plugin_utils."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible.utils.unsafe_proxy import wrap_var
from ansible_collections.rightsize.whisper.plugins.plugin_utils.load import DEFAULT_PERCENTILE
from ansible_collections.rightsize.whisper.plugins.plugin_utils.plain import plain
from ansible_collections.rightsize.whisper.plugins.plugin_utils.queueing import (
    DEFAULT_UTILISATION_CEILING,
    LatencyObjective,
)
from ansible_collections.rightsize.whisper.plugins.plugin_utils.sizing_verification import verify
from ansible_collections.rightsize.whisper.plugins.plugin_utils.sizing_verification_plan import (
    Asked,
    VerificationError,
    newest_usable,
    plan_test,
)


def sizing_verification_run(results: Any, threads: Any = 1, cpus: Any = 1) -> dict[str, Any]:
    """The first result that can predict such workers; an empty dictionary where none can."""
    if isinstance(results, str | Mapping) or not isinstance(results, Sequence):
        raise AnsibleFilterError("sizing_verification_run: give a list of results")
    try:
        return dict(newest_usable(results, int(threads), float(cpus)) or {})
    except (AttributeError, TypeError, ValueError) as error:
        raise AnsibleFilterError(f"sizing_verification_run: {error}") from error


def sizing_verification_plan(
    result: Any,
    target_rps: Any,
    workers: Any = 0,
    utilisation: Any = 0,
    utilisation_ceiling: Any = DEFAULT_UTILISATION_CEILING,
    dispatch: Any = "random",
    threads: Any = 1,
    cpus: Any = 1,
    latency_seconds: Any = None,
    latency_percentile: Any = DEFAULT_PERCENTILE,
) -> dict[str, Any]:
    """How many workers to test, and at which rate."""
    name = "sizing_verification_plan"
    try:
        asked = Asked(
            target_rps=float(target_rps),
            workers=int(workers) or None,
            utilisation=float(utilisation) or None,
            utilisation_ceiling=float(utilisation_ceiling),
            dispatch=dispatch,
            threads=int(threads),
            cpus=float(cpus),
            objective=LatencyObjective(float(latency_percentile), float(latency_seconds)) if latency_seconds else None,
        )
        planned: dict[str, Any] = plain(plan_test(_mapping(name, "result", result), asked))
    except (VerificationError, TypeError, ValueError) as error:
        raise AnsibleFilterError(f"{name}: {error}") from error
    return planned


def sizing_verification_report(test: Any, result: Any) -> dict[str, Any]:
    """What a test says of the sizing that this result predicts."""
    name = "sizing_verification_report"
    try:
        verification = verify(_mapping(name, "result", result), _mapping(name, "test", test))
    except VerificationError as error:
        raise AnsibleFilterError(f"{name}: {error}") from error
    # For ansible-core before 2.19, texts that came from a target are marked as never to be templated.
    returned: dict[str, Any] = wrap_var(plain(verification))
    return returned


def _mapping(filter_name: str, name: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise AnsibleFilterError(f"{filter_name}: the {name} is a dictionary, not {type(value).__name__}")
    return value


class FilterModule:
    """Maps the names."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {
            "sizing_verification_run": sizing_verification_run,
            "sizing_verification_plan": sizing_verification_plan,
            "sizing_verification_report": sizing_verification_report,
        }
