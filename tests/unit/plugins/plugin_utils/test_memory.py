# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.rightsize.whisper.plugins.plugin_utils import memory
from hypothesis import given
from hypothesis import strategies as st


def test_a_worker_needs_no_page_cache() -> None:
    # Two runs of one image, of which the first read its files from the disk.
    cold = {"peak_bytes": 1_268_858_880, "source": "cgroup", "rss_peak_bytes": 738_099_200}
    warm = {"peak_bytes": 610_291_712, "source": "cgroup", "rss_peak_bytes": 739_381_248}
    needed = [memory.limit_mib(memory.peak_bytes({"memory": found})) for found in (cold, warm)]
    assert needed == [832, 832]


@pytest.mark.parametrize(("found", "peak"), [({"peak_bytes": 5}, 5), ({"peak_bytes": None}, None)])
def test_a_result_without_a_resident_set_has_its_groups_peak(found: dict[str, Any], peak: int | None) -> None:
    assert memory.peak_bytes({"memory": found}) == peak


def test_a_limit_is_the_peak_with_headroom_in_whole_steps() -> None:
    assert memory.limit_mib(768_000_000) == 896  # 842.3 MiB
    assert memory.limit_mib(1) == 64
    assert memory.limit_mib(int(64 * 1024**2 / 1.15)) == 64
    assert memory.limit_mib(round(640 * 1024**2 / 1.15) + 1024) == 704
    assert memory.limit_mib(None) is None


@given(st.integers(min_value=1, max_value=10**12))
def test_a_limit_covers_the_peak_and_no_step_is_spare(peak_bytes: int) -> None:
    mib = memory.limit_mib(peak_bytes)
    assert mib is not None
    assert mib % 64 == 0
    assert peak_bytes * 1.15 <= mib * 1024**2 * (1 + 1e-8)
    assert peak_bytes * 1.15 >= (mib - 64) * 1024**2 * (1 - 1e-8)
