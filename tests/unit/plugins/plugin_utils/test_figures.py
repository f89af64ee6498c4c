# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.rightsize.whisper.plugins.plugin_utils.figures import Figure, Share, figures

from tests.unit.factories import mac_m4, xeon_pool


def table(
    reference: dict[str, Any] | None = None, target: dict[str, Any] | None = None
) -> dict[tuple[str, str], Figure]:
    return {(row.name, row.kind): row for row in figures(reference or mac_m4(), target or xeon_pool())}


def test_every_figure_is_the_results_own() -> None:
    rows = table()
    values = {key: (row.reference.value, row.target.value) for key, row in rows.items()}
    assert values[("Architecture", "text")] == ("arm64", "x86_64")
    assert values[("CPU", "text")] == ("Apple M4", "Intel(R) Xeon(R) Platinum 8488C")
    assert values[("CPU limit", "cpus")] == (1.0, 1.0)
    assert values[("CPU limited by", "text")] == ("quota", "quota")
    assert values[("Iterations", "count")] == (50, 50)
    assert values[("Processes", "count")] == (5, 5)
    assert values[("Average latency", "seconds")] == (
        mac_m4()["avg_latency_seconds"],
        xeon_pool()["avg_latency_seconds"],
    )
    assert values[("Average latency", "milliseconds")] == (mac_m4()["avg_latency_ms"], xeon_pool()["avg_latency_ms"])
    assert values[("Median", "milliseconds")] == (mac_m4()["latency_ms"]["median"], xeon_pool()["latency_ms"]["median"])
    assert values[("Encoder, mean", "milliseconds")] == (756.0688, 1170.54754)
    assert values[("Throttled periods", "share")] == (Share(5, 658, 5 / 658), Share(3, 1057, 3 / 1057))
    assert values[("Memory peak", "mebibytes")] == (741e6 / 2**20, 768e6 / 2**20)
    assert values[("Tokens", "count")] == (53, 53)
    assert values[("PyTorch", "text")] == ("2.13.0+cpu", "2.13.0+cpu")
    assert values[("Image", "code")] == ("f69162950f23", "5861314d7fcc")


def test_the_interval_of_the_mean_is_in_seconds() -> None:
    row = table()[("Its 95 % interval", "interval_seconds")]
    low, high = row.target.value
    assert low < xeon_pool()["avg_latency_seconds"] < high


def test_too_few_processes_have_no_interval() -> None:
    row = table(target=xeon_pool(wall_ms=[[2000.0, 2001.0]]))[("Its 95 % interval", "interval_seconds")]
    assert row.reference.value is not None
    assert (row.target.value, row.target.absent) == (None, "too few processes")


def test_a_percentile_is_there_if_a_side_has_it_and_never_made_up() -> None:
    assert not [name for name, _kind in table() if name in ("p90", "p95", "p99")]
    rows = table(target=xeon_pool(latency_ms={"p90": 2190.0}))
    assert rows[("p90", "milliseconds")].target.value == 2190.0
    assert rows[("p90", "milliseconds")].reference.value is None
    assert rows[("p90", "milliseconds")].reference.absent == "too few iterations"
    assert ("p95", "milliseconds") not in rows
    assert rows[("Slowest (maximum)", "milliseconds")].target.value == xeon_pool()["latency_ms"]["max"]


@pytest.mark.parametrize(
    ("throttling", "value", "absent"),
    [
        ({"applicable": False, "periods": None, "throttled_periods": None}, None, "not applicable"),
        ({"applicable": True, "periods": None, "throttled_periods": None}, None, "not known"),
        ({"applicable": True, "periods": 0, "throttled_periods": 0}, Share(0, 0, 0.0), "not known"),
        ({"applicable": True, "periods": 8, "throttled_periods": 2}, Share(2, 8, 0.25), "not known"),
    ],
)
def test_throttling_that_the_kernel_does_not_count_is_not_0(
    throttling: dict[str, Any], value: Share | None, absent: str
) -> None:
    side = table(target=xeon_pool(throttling=throttling))[("Throttled periods", "share")].target
    assert (side.value, side.absent) == (value, absent)


def test_what_a_result_lacks_is_absent() -> None:
    bare = xeon_pool(
        image=None, kubernetes=None, cpu_limit=None, isolation={"mode": "none"}, memory={"peak_bytes": None}
    )
    bare["throttling"]["steal_seconds"] = None
    rows = {name: row.target for (name, _kind), row in table(target=bare).items()}
    assert {name: side.absent for name, side in rows.items() if side.value is None} == {
        "CPU limit": "none",
        "CPU limited by": "nothing",
        "CPU time stolen by the hypervisor": "not known",
        "Memory peak": "not known",
        "Image": "not known",
    }
    assert "Kubernetes node" not in rows
