# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CPU and memory limits and counters of this process's control group, version 1 or 2.

A limit may be set on any group above this process's own, as far up as it can see; the tightest one holds. Counters are
read where the limit is. Every function takes the root of the file system, so that tests give it a tree of their own.
Sources: the kernel's Documentation/admin-guide/cgroup-v2.rst, cgroup-v1/ and scheduler/sched-bwc.rst; proc(5).
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
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
    """The folders of this process's groups and of those above, own first: one row a controller, in version 2 the same."""

    version: int | None
    cpu: tuple[Path, ...] = ()
    cpuset: tuple[Path, ...] = ()
    memory: tuple[Path, ...] = ()

    def quota_cpus(self) -> float | None:
        """The CPU limit in CPUs, or `None` without one."""
        return min(self._quotas().values(), default=None)

    def cpuset_list(self) -> str | None:
        """The CPUs of the group as the kernel writes them, such as `0-3,8`."""
        names = ("cpuset.cpus.effective",) if self.version == 2 else ("cpuset.effective_cpus", "cpuset.cpus")
        return next((text for folder in self.cpuset for name in names if (text := _read(folder / name))), None)

    def memory_limit_bytes(self) -> int | None:
        """The memory limit, or `None` without one."""
        name = "memory.max" if self.version == 2 else "memory.limit_in_bytes"
        limits = (_integer(_read(folder / name)) for folder in self.memory)
        return min((limit for limit in limits if limit is not None and limit < V1_UNLIMITED_BYTES), default=None)

    def memory_peak_bytes(self) -> int | None:
        """The most memory that the group has used, page cache included (version 2: since Linux 5.19)."""
        name = "memory.peak" if self.version == 2 else "memory.max_usage_in_bytes"
        return next((_integer(_read(folder / name)) for folder in self.memory), None)

    def out_of_memory_kills(self) -> int:
        """How many processes of the group the kernel has killed for want of memory."""
        name = "memory.events" if self.version == 2 else "memory.oom_control"
        return next((_flat_keyed(folder / name).get("oom_kill", 0) for folder in self.memory), 0)

    def cpu_counters(self) -> CpuCounters:
        """Throttling so far, where the tightest quota is. Version 1 counts nanoseconds, version 2 microseconds."""
        quotas = self._quotas()
        if not quotas:
            return CpuCounters(None, None, None)
        stat = _flat_keyed(min(quotas, key=quotas.__getitem__) / "cpu.stat")
        name, unit_seconds = ("throttled_usec", 1e-6) if self.version == 2 else ("throttled_time", 1e-9)
        throttled = stat.get(name)
        seconds = None if throttled is None else throttled * unit_seconds
        return CpuCounters(stat.get("nr_periods"), stat.get("nr_throttled"), seconds)

    def _quotas(self) -> dict[Path, float]:
        """Folder -> its limit in CPUs, where it has one."""
        quotas = {folder: self._quota(folder) for folder in self.cpu}
        return {folder: quota for folder, quota in quotas.items() if quota is not None}

    def _quota(self, folder: Path) -> float | None:
        if self.version == 2:
            quota, _unused, period = (_read(folder / "cpu.max") or "max").partition(" ")
        else:
            quota = _read(folder / "cpu.cfs_quota_us") or "-1"
            period = _read(folder / "cpu.cfs_period_us") or ""
        if not quota.isdigit() or not period.isdigit() or not int(period):
            return None
        return int(quota) / int(period)


def find(root: Path = Path("/")) -> ControlGroup:
    """The control group of this process."""
    mounts = _mounts(root)
    memberships = _memberships(root)

    def folders(controller: str) -> tuple[Path, ...]:
        if controller not in mounts:
            return ()
        return tuple(_folders(root, *mounts[controller], memberships.get(controller, "/")))

    if mounts.keys() & {"cpu", "cpuset", "memory"}:
        return ControlGroup(1, folders("cpu"), folders("cpuset"), folders("memory"))
    if "" in mounts:
        return ControlGroup(2, *[folders("")] * 3)
    return ControlGroup(None)


def count_cpus(cpu_list: str) -> int:
    """How many CPUs a list such as `0-3,8` names."""
    return sum(1 for _unused in cpus(cpu_list))


def cpus(cpu_list: str) -> Iterator[int]:
    """The numbers of the CPUs in a list such as `0-3,8`."""
    for part in filter(None, cpu_list.split(",")):
        first, _unused, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)


def _mounts(root: Path) -> dict[str, tuple[str, str]]:
    """Controller (version 2: empty) -> which group is mounted, and where.

    A line of mountinfo: id, parent, device, root, mount point, options, optional fields, -, type, source, super options.
    """
    found: dict[str, tuple[str, str]] = {}
    for line in (_read(root / "proc/self/mountinfo") or "").splitlines():
        before, _unused, after = line.partition(" - ")
        mount, filesystem = before.split(), after.split()
        if len(mount) < 6 or len(filesystem) < 3:
            continue
        if filesystem[0] == "cgroup2":
            found.setdefault("", (mount[3], mount[4]))
        elif filesystem[0] == "cgroup":
            for controller in filesystem[2].split(","):
                found.setdefault(controller, (mount[3], mount[4]))
    return found


def _memberships(root: Path) -> dict[str, str]:
    """Controller (version 2: empty) -> the path of this process's group."""
    found: dict[str, str] = {}
    for line in (_read(root / "proc/self/cgroup") or "").splitlines():
        _unused, _unused, rest = line.partition(":")
        controllers, _unused, path = rest.partition(":")
        for controller in controllers.split(","):
            found[controller] = path
    return found


def _folders(root: Path, mounted: str, mount_point: str, path: str) -> Iterator[Path]:
    """The group's folder and those above it, up to the mount point.

    What is mounted is either the whole hierarchy or, in a container, one group; then the path starts with that group
    (the host's cgroup namespace) or has nothing to do with it (another namespace), and the mount is all that there is.
    """
    top = root / mount_point.lstrip("/")
    below = posixpath.relpath(path, mounted)
    inside = top if below.startswith("..") else top / below
    if not inside.is_dir():
        inside = top
    while inside != top:
        yield inside
        inside = inside.parent
    yield top


def _flat_keyed(path: Path) -> dict[str, int]:
    pairs = (line.split() for line in (_read(path) or "").splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


def _integer(text: str | None) -> int | None:
    return int(text) if text and text.isdigit() else None


def _read(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None
