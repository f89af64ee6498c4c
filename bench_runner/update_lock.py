# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`python bench_runner/update_lock.py`: write requirements.lock from requirements.in, with hashes for amd64 and arm64.

pip resolves for each platform without installing anything. What it cannot know is written here: triton is left out
(openai-whisper asks for it for GPUs; it is never imported on a CPU), and PyTorch's CPU wheel for arm64 lies on PyTorch's
own index alone.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PYTHON = "3.11"
MACHINES = ("x86_64", "aarch64")
# The oldest C library that all wheels accept is that of manylinux_2_28.
GLIBC_MINORS = (28, 27, 24, 17)
LEFT_OUT = {"triton"}
# Not in the image: pip installs the wheels inside the build, from its own wheel; setuptools, in the newest version that
# Python 3.9 runs, makes openai-whisper's wheel, on the machine that has the engine.
TOOLS = ["pip==25.3", "setuptools==80.9.0"]
TORCH = "torch==2.13.0+cpu"
# As published on download.pytorch.org/whl/cpu for aarch64.
TORCH_SHA256_ARM64 = "84453b69508ec79902f899c5ed9495acb9e2bbe9fda5f1d5d6f19e3c3842e1a7"
# What openai-whisper needs beside torch, and what torch needs: pip cannot read a source package for another platform, nor
# torch's CPU wheel where it is not offered.
NEEDED_BY_WHISPER = ["more-itertools", "numba", "tiktoken", "tqdm"]
NEEDED_BY_TORCH = ["filelock", "fsspec", "jinja2", "networkx", "sympy", "typing-extensions"]


def main() -> None:
    locked = collect((HERE / "requirements.in").read_text())
    (HERE / "requirements.lock").write_text(render(locked))
    print(f"requirements.lock: {len(locked)} packages")


def collect(requirements: str) -> dict[str, set[str]]:
    """Every package that is needed, pinned, with its hashes."""
    lines = requirements.splitlines()
    wanted = [line for line in lines if line and not line.startswith("#")]
    whisper = next(line for line in wanted if line.startswith("openai-whisper=="))
    others = [line for line in wanted if not line.startswith(("openai-whisper==", "torch=="))]
    locked: dict[str, set[str]] = {TORCH: {TORCH_SHA256_ARM64}}
    reports = [resolve(["--no-deps", whisper]), resolve(["--no-deps", TORCH, *wheels_for("x86_64")])]
    for machine in MACHINES:
        reports.append(resolve([*others, *NEEDED_BY_WHISPER, *NEEDED_BY_TORCH, *TOOLS, *wheels_for(machine)]))
    for item in [item for report in reports for item in report]:
        name = item["metadata"]["name"].lower().replace("_", "-")
        if name not in LEFT_OUT:
            digest = item["download_info"]["archive_info"]["hashes"]["sha256"]
            locked.setdefault(f"{name}=={item['metadata']['version']}", set()).add(digest)
    return locked


def wheels_for(machine: str) -> list[str]:
    """pip's options to take wheels for the image rather than for this machine."""
    platforms = [f"--platform=manylinux_2_{minor}_{machine}" for minor in GLIBC_MINORS]
    platforms.append(f"--platform=manylinux2014_{machine}")
    return ["--only-binary=:all:", f"--python-version={PYTHON}", "--implementation=cp", *platforms]


def resolve(arguments: list[str]) -> list[dict[str, Any]]:
    """What pip would install, by its own report."""
    options = ["--dry-run", "--quiet", "--ignore-installed", "--report=-", "--target=/nonexistent"]
    command = [sys.executable, "-m", "pip", "install", *options, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"pip cannot resolve {' '.join(arguments)}: {done.stderr.strip().splitlines()[-1]}")
    return list(json.loads(done.stdout)["install"])


def render(locked: dict[str, set[str]]) -> str:
    """The lock file's text."""
    lines = [
        "# Written by update_lock.py from requirements.in: every package of the runner image, for amd64 and arm64,",
        "# and the tools that put them in place (pip, setuptools), which stay out of it.",
    ]
    for requirement in sorted(locked):
        hashes = [f"--hash=sha256:{digest}" for digest in sorted(locked[requirement])]
        lines.append(" \\\n    ".join([requirement, *hashes]))
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
