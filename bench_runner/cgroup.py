# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CPU and memory limits and counters of this process's control group, version 1 or 2.

Every reader takes the root of the file system, so that tests give it a tree of their own. Sources: the kernel's
Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/, Documentation/scheduler/sched-bwc.rst.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

# Version 1 says "no limit" with the largest multiple of a page.
V1_UNLIMITED_BYTES = 1 << 60


@dataclass(frozen=True)
class CpuCounters:
    """Counters since the group was made; `None` where the kernel keeps none."""

    periods: int | None
    throttled_periods: int | None
    throttled_seconds: float | None


@dataclass(frozen=True)
class ControlGroup:
    """Where the files of this process's groups lie: one folder in version 2, one a controller in version 1."""

    version: int | None
    cpu: Path | None
    cpuset: Path | None
    memory: Path | None

    def quota_cpus(self) -> float | None:
        """The CPU limit in CPUs, or `None` without one."""
        if self.cpu is None:
            return None
        if self.version == 2:
            quota, _, period = (_read(self.cpu / "cpu.max") or "max").partition(" ")
        else:
            quota = _read(self.cpu / "cpu.cfs_quota_us") or "-1"
            period = _read(self.cpu / "cpu.cfs_period_us") or ""
        if not quota.isdigit() or not period.isdigit() or not int(period):
            return None
        return int(quota) / int(period)

    def cpuset_list(self) -> str | None:
        """The CPUs of the group as the kernel writes them, such as `0-3,8`."""
        if self.cpuset is None:
            return None
        names = ("cpuset.cpus.effective",) if self.version == 2 else ("cpuset.effective_cpus", "cpuset.cpus")
        return next((text for name in names if (text := _read(self.cpuset / name))), None)

    def memory_limit_bytes(self) -> int | None:
        """The memory limit, or `None` without one."""
        if self.memory is None:
            return None
        text = _read(self.memory / ("memory.max" if self.version == 2 else "memory.limit_in_bytes")) or ""
        return int(text) if text.isdigit() and int(text) < V1_UNLIMITED_BYTES else None

    def memory_peak_bytes(self) -> int | None:
        """The most memory that the group has used (version 2: since Linux 5.19)."""
        if self.memory is None:
            return None
        text = _read(self.memory / ("memory.peak" if self.version == 2 else "memory.max_usage_in_bytes")) or ""
        return int(text) if text.isdigit() else None

    def out_of_memory_kills(self) -> int:
        """How many processes of the group the kernel has killed for want of memory."""
        if self.memory is None:
            return 0
        counters = _flat_keyed(_read(self.memory / ("memory.events" if self.version == 2 else "memory.oom_control")))
        return counters.get("oom_kill", 0)

    def cpu_counters(self) -> CpuCounters:
        """Throttling so far. Version 1 counts nanoseconds, version 2 microseconds."""
        stat = _flat_keyed(_read(self.cpu / "cpu.stat")) if self.cpu else {}
        throttled = stat.get("throttled_usec")
        seconds = throttled / 1e6 if throttled is not None else None
        if seconds is None and "throttled_time" in stat:
            seconds = stat["throttled_time"] / 1e9
        return CpuCounters(stat.get("nr_periods"), stat.get("nr_throttled"), seconds)


def find(root: Path = Path("/")) -> ControlGroup:
    """The control group of this process."""
    mounts = _mounts(root)
    memberships = _memberships(root)
    if any(controller in mounts for controller in ("cpu", "cpuset", "memory")):
        folders = {
            name: _folder(root, mounts[name], memberships.get(name, "/")) if name in mounts else None
            for name in ("cpu", "cpuset", "memory")
        }
        return ControlGroup(1, folders["cpu"], folders["cpuset"], folders["memory"])
    if "" in mounts:
        folder = _folder(root, mounts[""], memberships.get("", "/"))
        return ControlGroup(2, folder, folder, folder)
    return ControlGroup(None, None, None, None)


def count_cpus(cpu_list: str) -> int:
    """How many CPUs a list such as `0-3,8` names."""
    count = 0
    for part in filter(None, cpu_list.split(",")):
        first, _, last = part.partition("-")
        count += int(last or first) - int(first) + 1
    return count


def _mounts(root: Path) -> dict[str, str]:
    """Controller (version 2: empty) -> its mount point."""
    found: dict[str, str] = {}
    for line in (_read(root / "proc/self/mounts") or "").splitlines():
        fields = line.split()
        if len(fields) < 4:
            continue
        if fields[2] == "cgroup2":
            found.setdefault("", fields[1])
        elif fields[2] == "cgroup":
            for option in fields[3].split(","):
                found.setdefault(option, fields[1])
    return found


def _memberships(root: Path) -> dict[str, str]:
    """Controller (version 2: empty) -> the path of this process's group."""
    found: dict[str, str] = {}
    for line in (_read(root / "proc/self/cgroup") or "").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        for controller in controllers.split(","):
            found[controller] = path
    return found


def _folder(root: Path, mount: str, path: str) -> Path:
    """The group's folder. Inside a container the mount itself is the group, and its path means nothing there."""
    top = root / mount.lstrip("/")
    inside = top / path.lstrip("/")
    return inside if inside.is_dir() else top


def _flat_keyed(text: str | None) -> dict[str, int]:
    pairs = (line.split() for line in (text or "").splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


def _read(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None
