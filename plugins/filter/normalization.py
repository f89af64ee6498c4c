# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters that compare results; the arithmetic is in plugin_utils."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible.utils.unsafe_proxy import wrap_var
from ansible_collections.rightsize.whisper.plugins.plugin_utils.normalization import NormalizationError, normalize
from ansible_collections.rightsize.whisper.plugins.plugin_utils.plain import plain
from ansible_collections.rightsize.whisper.plugins.plugin_utils.same_work import compare_work
from ansible_collections.rightsize.whisper.plugins.plugin_utils.statistics import Sample, StatisticsError, estimate_mean


def normalization_ratio(target: Any, reference: Any, allow_different_work: bool = False) -> dict[str, Any]:
    """The ratio of a target's result to the reference's, with its intervals and warnings."""
    for value in (target, reference):
        _check_result("normalization_ratio", value)
    try:
        return _returned(normalize(reference, target, allow_different_work))
    except NormalizationError as error:
        raise AnsibleFilterError(f"normalization_ratio: {error}") from error


def same_work(target: Any, reference: Any) -> dict[str, Any]:
    """Whether two results come from the same work, and why not."""
    for value in (target, reference):
        _check_result("same_work", value)
    return _returned(compare_work(reference, target))


def latency_interval(result: Any) -> dict[str, Any]:
    """The mean latency of a result in milliseconds, with its interval."""
    _check_result("latency_interval", result)
    try:
        return _returned(estimate_mean(Sample.of_result(result)))
    except StatisticsError as error:
        raise AnsibleFilterError(f"latency_interval: {error}") from error


def _check_result(name: str, value: Any) -> None:
    if not isinstance(value, Mapping):
        raise AnsibleFilterError(f"{name}: a result of the benchmark is a dictionary, not {type(value).__name__}")


def _returned(value: Any) -> dict[str, Any]:
    """Plain types; texts that came from a target are marked, for ansible-core before 2.19, as never to be templated."""
    returned: dict[str, Any] = wrap_var(plain(value))
    return returned


class FilterModule:
    """Maps the names."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {
            "latency_interval": latency_interval,
            "normalization_ratio": normalization_ratio,
            "same_work": same_work,
        }
