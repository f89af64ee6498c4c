# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a container for a run is: what is asked of it, how it is confined, and whether the engine recorded just that.

Nothing here talks to an engine: `_container_life` and what uses it do; `_container_outcome` judges what came of it.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field, replace

from ._docker import ARCHITECTURES

if t.TYPE_CHECKING:
    from collections.abc import Mapping

# The user of an image that names none that is provably not root.
UNPRIVILEGED_USER = "65532:65532"
# Well above what processes with pools of one thread need; a fork bomb ends here.
PIDS_LIMIT = 512
# torch starts two threads for each that it is asked for: one of its OpenMP pool, one of the pool between operations.
PIDS_OF_A_THREAD = 4
# The result and the events must stay readable to the end, so the log may hold more than the two may have.
LOG_OPTIONS = {"max-size": "32m", "max-file": "1"}
# How long the runner may take beyond its own deadline to write its last event, before it is killed.
GRACE_SECONDS = 15
RUN_ID_PATTERN = r"[a-z0-9][a-z0-9-]{6,61}[a-z0-9]"

PLATFORMS = {"x86_64": "linux/amd64", "arm64": "linux/arm64"}
MEMORY_UNITS = {
    "": 1, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12,
}  # fmt: skip

# What bench_runner means by the code that it exits with.
FAILURES = {
    1: "runner_error",
    2: "bad_usage",
    3: "audio",
    4: "checkpoint",
    5: "out_of_memory",
    6: "timed_out",
    7: "output",
}


class Warned(t.TypedDict):
    """A warning as a result carries it."""

    code: str
    message: str


class RunError(Exception):
    """A run that gave no result; `kind` is for programs, the message for a person."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True)
class Request:
    """What is asked of a run."""

    image: str
    target: str
    run_id: str
    model: str
    iterations: int
    processes: int
    threads: int
    warmup: int
    cpus: float
    memory_bytes: int
    timeout_seconds: int
    cpuset: bool = False
    allow_emulation: bool = False
    cpu_model: t.Optional[str] = None
    audio: t.Optional[str] = None
    fallback: bool = False
    labels: t.Mapping[str, str] = field(default_factory=dict)
    # 0: exactly the iterations; then the rest of these is not asked for.
    precision: float = 0
    precision_of: str = "latency"
    max_processes: int = 40
    time_budget_seconds: int = 0
    # Where the events are kept on this host, and whether to go on from those that are there.
    journal: t.Optional[str] = None
    resume: bool = False

    @property
    def nano_cpus(self) -> int:
        return round(self.cpus * 10**9)

    @property
    def expected_result(self) -> t.Dict[str, t.Any]:
        """What the result must say for it to be the answer."""
        expected: t.Dict[str, t.Any] = {
            "run_id": self.run_id,
            "target": self.target,
            "model_size": self.model,
            "iterations_requested": self.iterations,
            "threads": self.threads,
            "partial": False,
        }
        return expected if self.precision else {**expected, "iterations": self.iterations}

    @property
    def iterations_in_words(self) -> str:
        """How many there will be; with a precision nobody knows."""
        return "iterations" if self.precision else f"of {self.iterations} iterations"


def read_request(options: t.Dict[str, t.Any]) -> Request:
    """What the options ask of a container."""
    if not 0.01 <= options["cpus"] <= 1024:
        raise RunError("bad_usage", f"cpus {options['cpus']:g} is no CPU limit; the ratio is defined for 1")
    if options["cpuset"] and options["cpus"] > 1:
        raise RunError(
            "bad_usage",
            f"cpuset gives one CPU, and cpus is {options['cpus']:g}: leave cpuset out, or take at most 1 CPU",
        )
    return replace(
        read_run(options),
        cpuset=options["cpuset"],
        allow_emulation=options["allow_emulation"],
        cpu_model=options["cpu_model"] or None,
        audio=options["audio"] or None,
    )


def read_run(options: t.Dict[str, t.Any]) -> Request:
    """What the options ask of a run, which need not be all; what the runner itself judges, such as the model's name, is left to it."""
    if not re.fullmatch(RUN_ID_PATTERN, options["run_id"]):
        raise RunError(
            "bad_usage", f"run_id {options['run_id']!r} is not 8 to 63 lower-case letters, digits and dashes"
        )
    if options.get("resume") and not options["journal"]:
        raise RunError("bad_usage", "resume needs the journal to go on from")
    if options["timeout"] < 1:
        raise RunError("bad_usage", f"timeout {options['timeout']} leaves no time; give seconds")
    return Request(
        image=options["image"],
        target=options["target"],
        run_id=options["run_id"],
        model=options["model"],
        iterations=options["iterations"],
        processes=options["processes"],
        precision=options.get("precision", 0),
        precision_of=options.get("precision_of", "latency"),
        max_processes=options.get("max_processes", 40),
        time_budget_seconds=options.get("time_budget", 0),
        threads=options["threads"],
        warmup=options["warmup"],
        cpus=options["cpus"],
        memory_bytes=parse_memory(options["memory"]),
        timeout_seconds=options["timeout"],
        journal=options.get("journal") or None,
        resume=options.get("resume", False),
        fallback=options.get("fallback", False),
        labels=as_texts(options["labels"]),
    )


def as_texts(values: t.Mapping[str, t.Any]) -> t.Dict[str, str]:
    """Names and values as texts; YAML reads true as something else."""
    return {str(name): str(value).lower() if isinstance(value, bool) else str(value) for name, value in values.items()}


def parse_memory(text: str) -> int:
    """The bytes of a quantity as Kubernetes writes it: 4Gi, 512Mi, 2G, 1073741824."""
    match = re.fullmatch(r"([1-9]\d{0,17})(%s)" % "|".join(MEMORY_UNITS), text)
    if match is None:
        raise RunError("bad_usage", f"memory {text!r} is no whole figure with a unit; write it like 4Gi, 512Mi or 2G")
    return int(match.group(1)) * MEMORY_UNITS[match.group(2)]


def format_memory(count: int) -> str:
    return f"{count / 2**30:.4g} GiB" if count >= 2**30 else f"{count / 2**20:.4g} MiB"


def architecture(name: str) -> str:
    """One word for an architecture that engines, images and kernels spell differently."""
    return ARCHITECTURES.get(name, name)


def check_architecture(request: Request, image: str, engine: str) -> None:
    """Refuse an image that the engine could only emulate, unless that was asked for."""
    if architecture(image) != architecture(engine) and not request.allow_emulation:
        raise RunError(
            "wrong_architecture",
            f"image {request.image} is for {architecture(image)} but the engine runs on {architecture(engine)}: "
            "emulated figures mean nothing, so build the image on this engine (allow_emulation tries it, tainted)",
        )


def unprivileged_user(user: str) -> str:
    """The image's user if its number proves that it is not root, else one that is not."""
    return user if re.fullmatch(r"0*[1-9]\d*(:\d+)?", user) else UNPRIVILEGED_USER


def runner_arguments(request: Request, image_id: str) -> t.List[str]:
    """The command line of bench_runner; each value is tied to its flag, so that none can be taken for another flag."""
    values: t.Dict[str, t.Any] = {
        "run-id": request.run_id,
        "target": request.target,
        "model-size": request.model,
        "iterations": request.iterations,
        "processes": request.processes,
        "threads": request.threads,
        "warmup": request.warmup,
        "expect-cpus": f"{request.cpus:g}",
        "deadline": request.timeout_seconds,
        "image-id": image_id,
        "progress": "jsonl",
    }
    if request.precision:
        values["precision"] = f"{request.precision:g}"
        values["precision-of"] = request.precision_of
        values["max-processes"] = request.max_processes
        if request.time_budget_seconds:
            values["time-budget"] = request.time_budget_seconds
    if request.cpu_model:
        values["cpu-model"] = request.cpu_model
    if request.audio:
        values["audio"] = "-"
    arguments = [f"--{name}={value}" for name, value in values.items()]
    if request.fallback:
        arguments.append("--fallback")
    return arguments + [f"--label={name}={value}" for name, value in request.labels.items()]


def confinement(request: Request, cpu: t.Optional[str]) -> t.Dict[str, t.Any]:
    """The host config: exactly so many CPUs and so much memory, and no right that the runner does not need."""
    config: t.Dict[str, t.Any] = {
        "nano_cpus": request.nano_cpus,
        "mem_limit": request.memory_bytes,
        "memswap_limit": request.memory_bytes,
        "pids_limit": PIDS_LIMIT + PIDS_OF_A_THREAD * request.threads,
        "network_mode": "none",
        "read_only": True,
        "tmpfs": {"/tmp": "rw,noexec,nosuid,nodev,size=256m,mode=1777"},
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "log_config": {"Type": "json-file", "Config": LOG_OPTIONS},
    }
    return config if cpu is None else {**config, "cpuset_cpus": cpu}


def check_record(request: Request, record: Mapping[str, t.Any], cpu: t.Optional[str]) -> t.List[Warned]:
    """Hold what the engine recorded of the container (`docker inspect`) against what was asked for."""
    host_config = record["HostConfig"]
    asked = {
        "NanoCpus": request.nano_cpus,
        "CpusetCpus": cpu or "",
        "Memory": request.memory_bytes,
        "NetworkMode": "none",
        "ReadonlyRootfs": True,
        "Privileged": False,
    }
    for key, value in asked.items():
        if host_config.get(key) != value:
            raise RunError(
                "limits_refused",
                f"the engine recorded {key} {host_config.get(key)!r} where {value!r} was asked for; "
                "use an engine that can limit containers",
            )
    if host_config.get("MemorySwap") != request.memory_bytes:
        return [
            Warned(
                code="swap_not_limited",
                message="the engine cannot limit swap, so the run may have been swapped out; boot its kernel with "
                "swapaccount=1 or switch swap off",
            )
        ]
    return []
