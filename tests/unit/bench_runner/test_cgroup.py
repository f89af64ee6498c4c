# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import pytest

from bench_runner import cgroup
from bench_runner.cgroup import CpuCounters

V2_MOUNT = "30 23 0:26 {} /sys/fs/cgroup rw,nosuid,nodev shared:4 - cgroup2 cgroup2 rw,nsdelegate"
V1_MOUNT = "3{} 31 0:2{} {} /sys/fs/cgroup/{} rw,relatime - cgroup cgroup rw,{}"


def plant(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return root


def version_2(root: Path, path: str, files: dict[str, str], mounted: str = "/") -> Path:
    return plant(
        root,
        {
            "proc/self/cgroup": f"0::{path}",
            "proc/self/mountinfo": V2_MOUNT.format(mounted),
            **{f"sys/fs/cgroup/{name}": text for name, text in files.items()},
        },
    )


def version_1(root: Path, path: str, files: dict[str, str], mounted: str = "/") -> Path:
    controllers = ["cpu,cpuacct", "cpuset", "memory"]
    return plant(
        root,
        {
            "proc/self/cgroup": "\n".join(f"{i}:{name}:{path}" for i, name in enumerate(controllers, start=2))
            + "\n0::/",
            "proc/self/mountinfo": "\n".join(
                V1_MOUNT.format(i, i, mounted, name, name) for i, name in enumerate(controllers, start=2)
            ),
            **{f"sys/fs/cgroup/{name}": text for name, text in files.items()},
        },
    )


def test_version_2_in_a_container(tmp_path: Path) -> None:
    root = version_2(
        tmp_path,
        "/",
        {
            "cpu.max": "100000 100000",
            "cpu.stat": "usage_usec 5000000\nnr_periods 40\nnr_throttled 3\nthrottled_usec 250000",
            "cpuset.cpus.effective": "0-3,8",
            "memory.max": "2147483648",
            "memory.peak": "812646400",
            "memory.events": "low 0\nhigh 0\nmax 2\noom 1\noom_kill 1",
        },
    )
    group = cgroup.find(root)
    assert group.version == 2
    assert group.quota_cpus() == 1
    assert group.cpu_counters() == CpuCounters(40, 3, 0.25)
    assert group.cpuset_list() == "0-3,8"
    assert group.memory_limit_bytes() == 2**31
    assert group.memory_peak_bytes() == 812646400
    assert group.out_of_memory_kills() == 1


def test_version_2_without_limits_counts_nothing(tmp_path: Path) -> None:
    root = version_2(
        tmp_path,
        "/",
        {"cpu.max": "max 100000", "cpu.stat": "nr_periods 0\nnr_throttled 0\nthrottled_usec 0", "memory.max": "max"},
    )
    group = cgroup.find(root)
    assert group.quota_cpus() is None
    assert group.cpu_counters() == CpuCounters(None, None, None)
    assert group.memory_limit_bytes() is None
    assert group.memory_peak_bytes() is None
    assert group.out_of_memory_kills() == 0


def test_the_tightest_limit_above_holds_and_its_counters_are_read(tmp_path: Path) -> None:
    root = version_2(
        tmp_path,
        "/kubepods/pod1/c1",
        {
            "kubepods/pod1/c1/cpu.max": "400000 100000",
            "kubepods/pod1/c1/cpu.stat": "nr_periods 9\nnr_throttled 0\nthrottled_usec 0",
            "kubepods/pod1/cpu.max": "150000 100000",
            "kubepods/pod1/cpu.stat": "nr_periods 7\nnr_throttled 5\nthrottled_usec 1500",
            "kubepods/pod1/c1/memory.max": "max",
            "kubepods/pod1/memory.max": "1000000",
            "kubepods/cpu.max": "max 100000",
        },
    )
    group = cgroup.find(root)
    assert group.quota_cpus() == 1.5
    assert group.cpu_counters() == CpuCounters(7, 5, pytest.approx(0.0015))
    assert group.memory_limit_bytes() == 1000000


def test_version_2_with_the_hosts_namespace_inside_a_container(tmp_path: Path) -> None:
    root = version_2(tmp_path, "/docker/abc", {"cpu.max": "50000 100000"}, mounted="/docker/abc")
    assert cgroup.find(root).quota_cpus() == 0.5


def test_a_path_that_is_not_mounted_means_the_mount(tmp_path: Path) -> None:
    root = version_2(tmp_path, "/../../elsewhere", {"cpu.max": "200000 100000"})
    assert cgroup.find(root).quota_cpus() == 2


def test_version_1_in_a_container(tmp_path: Path) -> None:
    root = version_1(
        tmp_path,
        "/docker/abc",
        {
            "cpu,cpuacct/cpu.cfs_quota_us": "100000",
            "cpu,cpuacct/cpu.cfs_period_us": "100000",
            "cpu,cpuacct/cpu.stat": "nr_periods 12\nnr_throttled 6\nthrottled_time 1500000000",
            "cpuset/cpuset.cpus": "1",
            "memory/memory.limit_in_bytes": "1572864000",
            "memory/memory.max_usage_in_bytes": "900000000",
            "memory/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 3",
        },
        mounted="/docker/abc",
    )
    group = cgroup.find(root)
    assert group.version == 1
    assert group.quota_cpus() == 1
    assert group.cpu_counters() == CpuCounters(12, 6, 1.5)
    assert group.cpuset_list() == "1"
    assert group.memory_limit_bytes() == 1572864000
    assert group.memory_peak_bytes() == 900000000
    assert group.out_of_memory_kills() == 3


def test_version_1_without_limits(tmp_path: Path) -> None:
    root = version_1(
        tmp_path,
        "/",
        {
            "cpu,cpuacct/cpu.cfs_quota_us": "-1",
            "cpu,cpuacct/cpu.cfs_period_us": "100000",
            "memory/memory.limit_in_bytes": "9223372036854771712",
        },
    )
    group = cgroup.find(root)
    assert group.quota_cpus() is None
    assert group.memory_limit_bytes() is None


def test_version_1_beside_an_empty_version_2_is_version_1(tmp_path: Path) -> None:
    root = version_1(
        tmp_path, "/", {"cpu,cpuacct/cpu.cfs_quota_us": "50000", "cpu,cpuacct/cpu.cfs_period_us": "100000"}
    )
    mountinfo = root / "proc/self/mountinfo"
    mountinfo.write_text(mountinfo.read_text() + V2_MOUNT.format("/").replace("cgroup rw,nos", "cgroup/unified rw,nos"))
    assert cgroup.find(root).quota_cpus() == 0.5


def test_no_control_group_at_all(tmp_path: Path) -> None:
    group = cgroup.find(tmp_path)
    assert group.version is None
    assert group.quota_cpus() is None
    assert group.memory_limit_bytes() is None
    assert group.cpuset_list() is None
    assert group.out_of_memory_kills() == 0


@pytest.mark.parametrize("text", ["", "garbage", "100000", "100000 0", "-5 100000", "1e3 1e3"])
def test_a_limit_that_makes_no_sense_is_none(tmp_path: Path, text: str) -> None:
    assert cgroup.find(version_2(tmp_path, "/", {"cpu.max": text})).quota_cpus() is None


def test_lists_of_cpus() -> None:
    assert list(cgroup.cpus("0-2,5,8-9")) == [0, 1, 2, 5, 8, 9]
    assert cgroup.count_cpus("") == 0
