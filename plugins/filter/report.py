# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter that makes the report's contents; what it says is in plugin_utils."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible.utils.unsafe_proxy import wrap_var
from ansible_collections.rightsize.whisper.plugins.plugin_utils.plain import plain
from ansible_collections.rightsize.whisper.plugins.plugin_utils.report import make_report
from ansible_collections.rightsize.whisper.plugins.plugin_utils.sizing import UTILISATION_CEILING, SizingError


def report_contents(
    reference: Any,
    candidates: Any,
    target_rps: float,
    utilisation_ceiling: float = UTILISATION_CEILING,
    missing: Sequence[str] = (),
    allow_different_work: bool = False,
) -> dict[str, Any]:
    """What the report says of the reference's result and the candidates'."""
    if not isinstance(reference, Mapping):
        raise AnsibleFilterError("report_contents: the reference has no result; see why its run failed")
    if not candidates:
        raise AnsibleFilterError("report_contents: no candidate has a result; see why their runs failed")
    try:
        report = make_report(
            reference, candidates, float(target_rps), float(utilisation_ceiling), missing, allow_different_work
        )
    except (SizingError, ValueError) as error:
        raise AnsibleFilterError(f"report_contents: {error}") from error
    returned: dict[str, Any] = wrap_var(plain(report))
    return returned


class FilterModule:
    """Maps the names."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"report_contents": report_contents}
