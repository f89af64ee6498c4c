# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`python bench_runner/update_lock.py`: write requirements.lock from requirements.in, with hashes for amd64 and arm64.

pip resolves for each platform without installing anything. Two things it cannot know are written here: triton is left out
(openai-whisper asks for it for GPUs; it is never imported on a CPU), and the hash of PyTorch's CPU wheel for arm64, which
lies on PyTorch's own index alone.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PLATFORMS = {"amd64": "x86_64", "arm64": "aarch64"}
PYTHON = "3.11"
LEFT_OUT = {"triton", "setuptools"}
# pip itself installs the wheels inside the build, straight from its own wheel, and stays out of the image.
INSTALLER = "pip==25.3"
TORCH = "torch==2.13.0+cpu"
# As published for download.pytorch.org/whl/cpu.
TORCH_SHA256 = {"arm64": "84453b69508ec79902f899c5ed9495acb9e2bbe9fda5f1d5d6f19e3c3842e1a7"}


def resolve(requirements: list[str], machine: str) -> list[dict[str, Any]]:
    """pip's installation report for a platform."""
    platforms = [f"--platform=manylinux_2_{minor}_{machine}" for minor in (28, 27, 24, 17)] + [
        f"--platform=manylinux2014_{machine}"
    ]
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--dry-run",
        "--quiet",
        "--ignore-installed",
        "--report=-",
        "--target=/nonexistent",
    ]
    command += ["--only-binary=:all:", f"--python-version={PYTHON}", "--implementation=cp", *platforms, *requirements]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"pip cannot resolve for {machine}: {done.stderr.strip().splitlines()[-1]}")
    return list(json.loads(done.stdout)["install"])


def sdist_hash(requirement: str) -> str:
    """The hash of a package that is published as source alone."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--dry-run",
        "--quiet",
        "--no-deps",
        "--ignore-installed",
        "--report=-",
        requirement,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    (item,) = json.loads(done.stdout)["install"]
    return str(item["download_info"]["archive_info"]["hashes"]["sha256"])


def main() -> None:
    wanted = [line for line in (HERE / "requirements.in").read_text().splitlines() if line and not line.startswith("#")]
    whisper = next(line for line in wanted if line.startswith("openai-whisper"))
    rest = [line for line in wanted if not line.startswith(("openai-whisper", "torch"))]
    # What openai-whisper needs beside torch and triton, and what torch needs: pip cannot read a source package for
    # another platform, nor torch's CPU wheel where it is not offered.
    rest += [
        "more-itertools",
        "numba",
        "tiktoken",
        "tqdm",
        "filelock",
        "fsspec",
        "jinja2",
        "networkx",
        "sympy",
        "typing-extensions",
        INSTALLER,
    ]
    hashes: dict[str, set[str]] = {whisper: {sdist_hash(whisper)}}
    for name, machine in PLATFORMS.items():
        for item in resolve(rest, machine):
            package = item["metadata"]["name"].lower().replace("_", "-")
            if package not in LEFT_OUT:
                found = item["download_info"]["archive_info"]["hashes"]["sha256"]
                hashes.setdefault(f"{package}=={item['metadata']['version']}", set()).add(found)
        if name in TORCH_SHA256:
            hashes.setdefault(TORCH, set()).add(TORCH_SHA256[name])
        else:
            (torch,) = resolve(["--no-deps", TORCH], machine)
            hashes.setdefault(TORCH, set()).add(torch["download_info"]["archive_info"]["hashes"]["sha256"])
    lines = [
        "# Written by update_lock.py from requirements.in: every package of the runner image, for amd64 and arm64."
    ]
    for requirement in sorted(hashes):
        lines.append(
            " \\\n    ".join([requirement, *(f"--hash=sha256:{digest}" for digest in sorted(hashes[requirement]))])
        )
    (HERE / "requirements.lock").write_text("\n".join(lines) + "\n")
    print(f"requirements.lock: {len(hashes)} packages")


if __name__ == "__main__":
    main()
