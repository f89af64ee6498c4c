# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A test that lacks something skips and says what; where RIGHTSIZE_NO_SKIPS is set, everything is there or it fails.

Slow tests run there, and where a cluster is given, whose tests take as long anyway. Elsewhere they say that they were skipped.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes says something of the machine, not of what is tested.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

NO_SKIPS = "RIGHTSIZE_NO_SKIPS"
INTEGRATION = Path(__file__).parent / "integration"
# Their tests take the engine's turn, so they would wait for each other.
TURN_TAKING = (
    "test_isolated_container",
    "test_make",
    "test_measure",
    "test_progress_over_ssh",
    "test_runner_image",
    "test_stress",
    "test_verify_sizing",
)


# Before pytest-xdist's own, which reads the groups.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the slow tests that are skipped here, and the queue of each integration test."""
    for item in items:
        if item.get_closest_marker("slow") and not (os.environ.get(NO_SKIPS) or os.environ.get("KUBECONFIG")):
            item.add_marker(pytest.mark.skip(reason=f"slow: {NO_SKIPS}=1 runs it"))
        if INTEGRATION in item.path.parents:
            item.add_marker(pytest.mark.xdist_group(_queue(item)))


def _queue(item: pytest.Item) -> str:
    """In each queue one test runs at a time: that of the cluster, which mostly waits, two that measure, and one for each file else."""
    if item.get_closest_marker("cluster"):
        return "cluster"
    if item.path.name.startswith(TURN_TAKING):
        return "turns"
    return "runner" if item.path.name.startswith("test_bench_runner") else item.path.stem


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return _without_skip((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return _without_skip((yield))


def _without_skip(report: Any) -> Any:
    """The report, failed in place of skipped; a failure that is expected stays one."""
    if os.environ.get(NO_SKIPS) and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{reason} ({NO_SKIPS} is set, so this is a failure)"
    return report
