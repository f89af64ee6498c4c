# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bench_runner import cgroup, environment
from bench_runner.environment import CpuTimes, Isolation, MachineTimes
from tests.unit.bench_runner.test_cgroup import plant, version_2

OVERLAY = "overlay / overlay rw,relatime 0 0"
DISK = "/dev/vda / ext4 rw,relatime 0 0"


@pytest.fixture(autouse=True)
def _no_kubernetes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)


def isolation_of(root: Path) -> Isolation:
    return environment.isolation(cgroup.find(root), root)


def machine(root: Path, cpu_max: str, allowed: str, online: str = "0-7") -> Path:
    version_2(root, "/", {"cpu.max": cpu_max})
    return plant(
        root,
        {
            "proc/self/status": f"Name:\tpython3\nCpus_allowed:\tff\nCpus_allowed_list:\t{allowed}",
            "sys/devices/system/cpu/online": online,
            **{
                f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list": f"{cpu},{cpu + 4}" for cpu in range(4)
            },
        },
    )


@pytest.mark.parametrize(
    ("cpu_max", "allowed", "online", "mode", "limit"),
    [
        ("100000 100000", "0-7", "0-7", "quota", 1),
        ("max 100000", "3", "0-7", "cpuset", 1),
        ("max 100000", "0-1,4", "0-7", "cpuset", 3),
        ("100000 100000", "0-1", "0-7", "both", 1),
        ("400000 100000", "0-1", "0-7", "both", 2),
        ("max 100000", "0-7", "0-7", "none", None),
        ("max 100000", "0", "0", "none", 1),
    ],
)
def test_mode_and_limit(
    tmp_path: Path, cpu_max: str, allowed: str, online: str, mode: str, limit: float | None
) -> None:
    found = isolation_of(machine(tmp_path, cpu_max, allowed, online))
    assert (found.mode, found.cpu_limit, found.cpuset) == (mode, limit, allowed)


def test_thread_siblings_of_the_cpuset(tmp_path: Path) -> None:
    assert isolation_of(machine(tmp_path, "max 100000", "1-2")).thread_siblings == {"1": "1,5", "2": "2,6"}


def test_thread_siblings_unknown(tmp_path: Path) -> None:
    assert environment.thread_siblings("0-3", tmp_path) is None


@pytest.mark.parametrize(
    "files",
    [
        {"proc/1/cgroup": "0::/kubepods.slice/pod1/cri-containerd-1.scope"},
        {"proc/1/cgroup": "4:memory:/docker/0123", "proc/self/mounts": DISK},
        {"proc/1/cgroup": "0::/", "proc/self/mounts": f"{DISK}\n/dev/vda /etc/hostname ext4 rw 0 0"},
        {".dockerenv": "", "proc/self/mounts": OVERLAY},
        {"run/.containerenv": "", "proc/self/mounts": OVERLAY},
    ],
)
def test_in_a_container(tmp_path: Path, files: dict[str, str]) -> None:
    assert environment.in_container(plant(tmp_path, files))


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"proc/1/cgroup": "0::/init.scope", "proc/self/mounts": DISK},
        {"proc/self/mounts": OVERLAY},
        {".dockerenv": "", "proc/1/cgroup": "0::/", "proc/self/mounts": DISK},
    ],
    ids=["nothing known", "a machine", "a live system", "a virtual machine made from a container image"],
)
def test_not_in_a_container(tmp_path: Path, files: dict[str, str]) -> None:
    assert not environment.in_container(plant(tmp_path, files))


def test_a_pod_without_marks_of_an_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    assert environment.in_container(plant(tmp_path, {"proc/self/mounts": OVERLAY}))


def cpuinfo(root: Path, text: str) -> Path:
    return plant(root, {"proc/cpuinfo": text})


def test_the_cpu_model_that_was_told_wins(tmp_path: Path) -> None:
    assert environment.cpu_model("Apple M4", cpuinfo(tmp_path, "model name\t: QEMU")) == "Apple M4"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("processor\t: 0\nmodel name\t: Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz", "Xeon(R) Platinum 8481C"),
        ("CPU implementer\t: 0x41\nCPU part\t: 0xd4f", "Arm Neoverse-V2"),
        ("CPU implementer\t: 0x61\nCPU part\t: 0x000", "Apple virtual CPU"),
        ("CPU implementer\t: 0x70\nCPU part\t: 0x123", "arm64 implementer 0x70 part 0x123"),
        ("", "unknown"),
    ],
)
def test_the_cpu_model_of_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, name: str) -> None:
    monkeypatch.setattr(environment, "_from_py_cpuinfo", lambda: None)
    assert name in environment.cpu_model(None, cpuinfo(tmp_path, text))


@pytest.mark.parametrize(
    ("machine_word", "text", "is_emulated"),
    [
        ("x86_64", "vendor_id\t: GenuineIntel\nmodel name\t: Intel(R) Xeon(R)", False),
        ("aarch64", "CPU implementer\t: 0x61", False),
        ("x86_64", "CPU implementer\t: 0x61\nCPU part\t: 0x000", True),
        ("aarch64", "vendor_id\t: AuthenticAMD", True),
        ("x86_64", "vendor_id\t: GenuineIntel\nmodel name\t: VirtualApple @ 2.50GHz", True),
        ("x86_64", "model name\t: QEMU TCG CPU version 2.5+", True),
        ("riscv64", "isa\t: rv64imafdc", False),
    ],
)
def test_emulation_shows_in_the_cpus_description(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, machine_word: str, text: str, is_emulated: bool
) -> None:
    monkeypatch.setattr("platform.machine", lambda: machine_word)
    assert environment.emulated(cpuinfo(tmp_path, text)) is is_emulated


@pytest.mark.parametrize(("word", "architecture"), [("aarch64", "arm64"), ("x86_64", "x86_64"), ("s390x", "s390x")])
def test_architecture(monkeypatch: pytest.MonkeyPatch, word: str, architecture: str) -> None:
    monkeypatch.setattr("platform.machine", lambda: word)
    assert environment.architecture() == architecture


def test_cpu_times_of_the_allowed_cpus_alone(tmp_path: Path) -> None:
    root = plant(
        tmp_path,
        {
            "proc/self/status": "Cpus_allowed_list:\t1-2",
            "proc/stat": "cpu  999 0 0 999 0 0 0 999 0 0\n"
            "cpu0 100 0 0 0 0 0 0 900 0 0\n"
            "cpu1 10 20 30 4000 50 1 2 7 0 0\n"
            "cpu2 40 0 0 4000 0 0 0 3 0 0\nintr 1",
        },
    )
    ticks = os.sysconf("SC_CLK_TCK")
    assert environment.cpu_times(root) == CpuTimes(10 / ticks, (70 + 43) / ticks)


def test_cpu_times_unknown(tmp_path: Path) -> None:
    assert environment.cpu_times(tmp_path) == CpuTimes(None, None)


def test_how_busy_the_machine_is_and_how_long_this_process_waited(tmp_path: Path) -> None:
    root = plant(
        tmp_path,
        {
            "proc/stat": "cpu  10 20 30 4000 50 1 2 7 5 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n",
            "proc/self/task/7/schedstat": "1000 1500000000 3",
            "proc/self/task/8/schedstat": "1000 500000000 3",
        },
    )
    ticks = os.sysconf("SC_CLK_TCK")
    assert environment.machine_times(root) == MachineTimes(63 / ticks, 2.0)
    assert environment.machine_times(tmp_path / "nothing") == MachineTimes(None, None)


def test_the_frequency_is_that_of_the_cpu_that_was_used(tmp_path: Path) -> None:
    fields = " ".join(["S", *["0"] * 35, "3", "0"])
    root = plant(
        tmp_path,
        {
            "proc/self/stat": f"123 (a name) with ) {fields}",
            "sys/devices/system/cpu/cpu3/cpufreq/scaling_cur_freq": "3400000",
        },
    )
    assert environment.current_mhz(root) == 3400
    assert environment.current_mhz(plant(tmp_path / "virtual", {"proc/self/stat": f"1 (python) {fields}"})) is None
    assert environment.current_mhz(tmp_path / "nothing") is None


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, None),
        ({"sys/firmware/acpi/platform_profile": "balanced"}, None),
        ({"sys/firmware/acpi/platform_profile": "low-power"}, "platform profile low-power"),
        ({"scaling_governor": "powersave", "scaling_driver": "intel_pstate"}, None),
        ({"scaling_governor": "powersave", "scaling_driver": "acpi-cpufreq"}, "governor powersave of acpi-cpufreq"),
        ({"scaling_governor": "performance", "scaling_driver": "acpi-cpufreq"}, None),
    ],
)
def test_what_keeps_the_cpu_slow(tmp_path: Path, files: dict[str, str], words: str | None) -> None:
    folder = "sys/devices/system/cpu/cpu0/cpufreq/"
    root = plant(tmp_path, {name if "/" in name else folder + name: text for name, text in files.items()})
    assert environment.power_saving(root) == words


@pytest.mark.parametrize(
    ("text", "has_one"),
    [
        ("Features\t: fp asimd sme sve2", True),
        ("Features\t: fp asimd sve2 smesomething", False),
        ("flags\t: amx_tile", False),
    ],
)
def test_a_matrix_unit(tmp_path: Path, text: str, has_one: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.system", lambda: "Linux")
    assert environment.matrix_unit(plant(tmp_path, {"proc/cpuinfo": text})) is has_one
