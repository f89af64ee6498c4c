# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the machine is: many small functions, each of which knows one source and gives `None` where it is missing."""

from __future__ import annotations

import os
import platform
import re
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from bench_runner import cgroup

# The machine's own word -> the word of the container world.
ARCHITECTURES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}
# CPU implementers and parts of arm64, from the kernel's arch/arm64/include/asm/cputype.h.
ARM_PARTS = {
    ("0x41", "0xd03"): "Arm Cortex-A53",
    ("0x41", "0xd08"): "Arm Cortex-A72",
    ("0x41", "0xd0b"): "Arm Cortex-A76",
    ("0x41", "0xd0c"): "Arm Neoverse-N1",
    ("0x41", "0xd40"): "Arm Neoverse-V1",
    ("0x41", "0xd49"): "Arm Neoverse-N2",
    ("0x41", "0xd4f"): "Arm Neoverse-V2",
    ("0x41", "0xd84"): "Arm Neoverse-V3",
    ("0x61", "0x000"): "Apple virtual CPU",
    ("0xc0", "0xac3"): "Ampere-1",
    ("0xc0", "0xac4"): "Ampere-1A",
}
# File systems that a machine boots from and an engine does not give to a container.
DISK_FILESYSTEMS = {"ext2", "ext3", "ext4", "xfs", "f2fs"}
MOST_SIBLINGS = 64
CLOCK_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Isolation:
    """How this process is confined."""

    container: bool
    mode: str
    cgroup_version: int | None
    quota_cpus: float | None
    cpuset: str | None
    cpuset_cpus: int | None
    thread_siblings: dict[str, str] | None
    emulated: bool

    @property
    def cpu_limit(self) -> float | None:
        """The limit in CPUs: the quota, or the cpuset where that is tighter and smaller than the machine.

        One CPU is one CPU, also where the machine has no more.
        """
        limits = [self.quota_cpus] if self.quota_cpus is not None else []
        if self.cpuset_cpus is not None and (self.mode in ("cpuset", "both") or self.cpuset_cpus == 1):
            limits.append(float(self.cpuset_cpus))
        return min(limits, default=None)


@dataclass(frozen=True)
class CpuTimes:
    """CPU seconds since the machine started, over the CPUs of this process; `None` where the kernel keeps none."""

    steal_seconds: float | None
    demand_seconds: float | None


@dataclass(frozen=True)
class MachineTimes:
    """Seconds since the machine, and this process, started; `None` where the kernel keeps none."""

    # Time at work of all CPUs of the machine.
    busy_seconds: float | None
    # Time in which threads of this process could run and had no CPU.
    run_queue_seconds: float | None


def architecture() -> str:
    """`x86_64`, `arm64`, or the machine's own word for another."""
    return ARCHITECTURES.get(platform.machine(), platform.machine())


def isolation(group: cgroup.ControlGroup, root: Path = Path("/")) -> Isolation:
    """How this process is confined, from its control group and what the kernel says of its CPUs."""
    quota = group.quota_cpus()
    cpuset = allowed_cpus(root) or group.cpuset_list()
    cpus = cgroup.count_cpus(cpuset) if cpuset else None
    confined = cpus is not None and cpus < online_cpus(root)
    mode = {(True, True): "both", (True, False): "quota", (False, True): "cpuset"}.get(
        (quota is not None, confined), "none"
    )
    return Isolation(
        container=in_container(root),
        mode=mode,
        cgroup_version=group.version,
        quota_cpus=quota,
        cpuset=cpuset,
        cpuset_cpus=cpus,
        thread_siblings=thread_siblings(cpuset, root) if cpuset else None,
        emulated=emulated(root),
    )


def allowed_cpus(root: Path = Path("/")) -> str | None:
    """The CPUs that the kernel lets this process run on."""
    return _field(_read(root / "proc/self/status"), "Cpus_allowed_list")


def online_cpus(root: Path = Path("/")) -> int:
    """How many CPUs the machine has in use."""
    text = _read(root / "sys/devices/system/cpu/online")
    return cgroup.count_cpus(text) if text else os.cpu_count() or 1


def in_container(root: Path = Path("/")) -> bool:
    """Whether this process runs in a container.

    A control group named by an engine and a host name file mounted by one say so for sure. The engines' other marks do
    where the root lies on no disk of its own: a virtual machine whose disk was made from a container image carries them too.
    """
    if re.search(r"docker|kubepods|containerd|libpod|crio", _read(root / "proc/1/cgroup") or ""):
        return True
    filesystems = mounted_filesystems(root)
    if "/etc/hostname" in filesystems or "/etc/hosts" in filesystems:
        return True
    marks = (
        (root / ".dockerenv").exists()
        or (root / "run/.containerenv").exists()
        or "KUBERNETES_SERVICE_HOST" in os.environ
    )
    return marks and filesystems.get("/") not in DISK_FILESYSTEMS


def mounted_filesystems(root: Path = Path("/")) -> dict[str, str]:
    """Mount point -> type of the file system there, such as `overlay` or `ext4`."""
    lines = (line.split() for line in (_read(root / "proc/self/mounts") or "").splitlines())
    return {fields[1]: fields[2] for fields in lines if len(fields) > 2}


def thread_siblings(cpuset: str, root: Path = Path("/")) -> dict[str, str] | None:
    """CPU -> the CPUs of its core, for the first CPUs of the set: a sibling may be busy with somebody else's work."""
    topology = "sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"
    found = {str(cpu): _read(root / topology.format(cpu)) for cpu in islice(cgroup.cpus(cpuset), MOST_SIBLINGS)}
    return {cpu: siblings for cpu, siblings in found.items() if siblings} or None


def emulated(root: Path = Path("/")) -> bool:
    """Whether another architecture's instructions are translated: qemu or Rosetta show in the CPU's description."""
    text = _read(root / "proc/cpuinfo") or ""
    if "QEMU TCG" in text or "VirtualApple" in text:
        return True
    # qemu-user shows the host's own cpuinfo to a program of another architecture.
    is_arm_text = "CPU implementer" in text
    is_x86_text = "GenuineIntel" in text or "AuthenticAMD" in text
    return (is_arm_text and architecture() == "x86_64") or (is_x86_text and architecture() == "arm64")


def cpu_model(told: str | None, root: Path = Path("/")) -> str:
    """The CPU's name: what the target says of itself where it was passed in (a Mac's name does not reach its Linux VM),
    else py-cpuinfo's, else the kernel's, else the part of an arm64 CPU."""
    if told:
        return told
    text = _read(root / "proc/cpuinfo")
    return _from_py_cpuinfo() or _field(text, "model name") or _arm_part(text) or f"unknown {architecture()} CPU"


def cpu_times(root: Path = Path("/")) -> CpuTimes:
    """What the CPUs of this process did so far (proc(5), /proc/stat: user nice system idle iowait irq softirq steal).

    Steal is time in which a CPU had work and the hypervisor ran somebody else; demand is steal and all time at work.
    """
    allowed = {f"cpu{cpu}" for cpu in cgroup.cpus(allowed_cpus(root) or "")}
    rows = (line.split() for line in (_read(root / "proc/stat") or "").splitlines())
    ticks = [[int(figure) for figure in row[1:9]] for row in rows if row and row[0] in allowed and len(row) > 8]
    if not ticks:
        return CpuTimes(None, None)
    steal = sum(row[7] for row in ticks)
    demand = sum(sum(row) - row[3] - row[4] for row in ticks)
    return CpuTimes(steal / CLOCK_TICKS_PER_SECOND, demand / CLOCK_TICKS_PER_SECOND)


def machine_times(root: Path = Path("/")) -> MachineTimes:
    """How busy the machine was, and how long this process waited for a CPU.

    proc(5), /proc/stat: user nice system idle iowait irq softirq steal; user includes what guests ran. The second number of
    /proc/<pid>/task/<thread>/schedstat is the time spent on a run queue, in nanoseconds (Documentation/scheduler/sched-stats).
    """
    row = next(iter((_read(root / "proc/stat") or "").splitlines()), "").split()
    busy = None
    if len(row) > 8 and row[0] == "cpu":
        ticks = [int(figure) for figure in row[1:9]]
        busy = (sum(ticks) - ticks[3] - ticks[4] - ticks[7]) / CLOCK_TICKS_PER_SECOND
    waits = [(_read(path) or "").split() for path in (root / "proc/self/task").glob("*/schedstat")]
    known = [int(fields[1]) for fields in waits if len(fields) == 3]
    return MachineTimes(busy, sum(known) / 1e9 if known else None)


def matrix_unit(root: Path = Path("/")) -> bool:
    """Whether there may be a unit that multiplies matrices in single precision: Arm's SME, or what macOS uses by itself."""
    features = _field(_read(root / "proc/cpuinfo"), "Features") or ""
    return "sme" in features.split() or (platform.system() == "Darwin" and architecture() == "arm64")


def current_mhz(root: Path = Path("/")) -> float | None:
    """The frequency of the CPU that this process was on last (field 39 of /proc/self/stat), where a driver tells it.

    A virtual machine or a Mac tells none.
    """
    # The program's name, in brackets, may hold blanks.
    fields = (_read(root / "proc/self/stat") or "").rpartition(")")[2].split()
    if len(fields) < 37:
        return None
    khz = _read(root / f"sys/devices/system/cpu/cpu{fields[36]}/cpufreq/scaling_cur_freq")
    return int(khz) / 1000 if khz and khz.isdigit() else None


def power_saving(root: Path = Path("/")) -> str | None:
    """What keeps the CPUs slow on purpose, in the kernel's words; `None` where nothing is known to.

    The governor `powersave` of intel_pstate and amd-pstate-epp is their usual one and lets the CPU run fast; that of other
    drivers means the lowest frequency (Documentation/admin-guide/pm/cpufreq.rst, intel_pstate.rst, amd-pstate.rst).
    """
    profile = _read(root / "sys/firmware/acpi/platform_profile")
    if profile in ("low-power", "quiet"):
        return f"platform profile {profile}"
    folder = root / "sys/devices/system/cpu/cpu0/cpufreq"
    governor, driver = _read(folder / "scaling_governor"), _read(folder / "scaling_driver")
    if governor == "powersave" and driver not in ("intel_pstate", "amd-pstate-epp"):
        return f"governor powersave of {driver}"
    return None


def _from_py_cpuinfo() -> str | None:
    try:
        from cpuinfo import cpuinfo
    except ImportError:
        return None
    # Only its reader of /proc/cpuinfo: the whole library starts processes and times the CPU.
    name = cpuinfo._get_cpu_info_from_proc_cpuinfo().get("brand_raw")
    return name or None


def _arm_part(text: str | None) -> str | None:
    implementer, part = _field(text, "CPU implementer"), _field(text, "CPU part")
    if implementer is None or part is None:
        return None
    return ARM_PARTS.get((implementer, part), f"arm64 implementer {implementer} part {part}")


def _field(text: str | None, name: str) -> str | None:
    match = re.search(rf"^{re.escape(name)}\s*:\s*(.+)$", text or "", re.MULTILINE)
    return match.group(1).strip() if match else None


def _read(path: Path) -> str | None:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return None
