# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filters that size CPUs; the arithmetic is in plugin_utils."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible.utils.unsafe_proxy import wrap_var
from ansible_collections.rightsize.whisper.plugins.plugin_utils.load import Load, SizingError
from ansible_collections.rightsize.whisper.plugins.plugin_utils.normalization import NormalizationError, normalize
from ansible_collections.rightsize.whisper.plugins.plugin_utils.plain import plain
from ansible_collections.rightsize.whisper.plugins.plugin_utils.queueing import DEFAULT_UTILISATION_CEILING
from ansible_collections.rightsize.whisper.plugins.plugin_utils.sizing import Measurements, size_cpus


def cpu_sizing(
    target: Any,
    reference: Any,
    target_rps: Any,
    utilisation_ceiling: Any = DEFAULT_UTILISATION_CEILING,
    allow_different_work: bool = False,
    load: Mapping[str, Any] | None = None,
    clips: Sequence[Any] = (),
    thread_runs: Sequence[Any] = (),
) -> dict[str, Any]:
    """CPUs, workers and memory for a rate, from a target's result and the reference's."""
    for value in (target, reference, *clips, *thread_runs):
        if not isinstance(value, Mapping):
            raise AnsibleFilterError(
                f"cpu_sizing: a result of the benchmark is a dictionary, not {type(value).__name__}"
            )
    try:
        asked = Load.of(target_rps, utilisation_ceiling, **(load or {}))
        normalization = normalize(reference, target, allow_different_work)
        sizing = size_cpus(normalization, target, asked, Measurements(clips, thread_runs))
    except (NormalizationError, SizingError) as error:
        raise AnsibleFilterError(f"cpu_sizing: {error}") from error
    # For ansible-core before 2.19, texts that came from a target are marked as never to be templated.
    returned: dict[str, Any] = wrap_var(plain(sizing))
    return returned


def load_problem(
    target_rps: Any,
    utilisation_ceiling: Any = DEFAULT_UTILISATION_CEILING,
    load: Mapping[str, Any] | None = None,
) -> str:
    """What is wrong with what was asked for; empty where nothing is."""
    try:
        Load.of(target_rps, utilisation_ceiling, **(load or {}))
    except SizingError as error:
        return str(error)
    return ""


class FilterModule:
    """Maps the names."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"cpu_sizing": cpu_sizing, "load_problem": load_problem}
