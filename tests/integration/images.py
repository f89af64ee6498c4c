# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Images for faults that the real runner does not have: one that misbehaves on demand, and tiny ones with a shell."""

from __future__ import annotations

import hashlib
import io
import json
import re
import subprocess
import tarfile
from pathlib import Path
from typing import Any

STAND_IN = Path(__file__).parent / "stand_in" / "runner.py"

# Says what bench_runner says of its iterations, until it is stopped.
ENDLESS_RUNNER = r"""
for argument; do case $argument in --run-id=*) id=${argument#*=} ;; esac; done
trap 'exit 143' TERM
number=0
while :; do
  sleep 0.2
  number=$((number + 1))
  printf '{"event": "iteration", "run_id": "%s", "number": %s, "of": 50, "mean_ms": 200, "eta_seconds": 9}\n' \
    "$id" "$number" >&2
done
"""


def stand_in_context(base: str) -> io.BytesIO:
    """What `docker build` needs for the stand-in runner."""
    dockerfile = f'FROM {base}\nCOPY runner.py /stand_in.py\nUSER 65532:65532\nENTRYPOINT ["python3", "/stand_in.py"]\n'
    return archive_of({"Dockerfile": dockerfile.encode(), "runner.py": STAND_IN.read_bytes()})


def tiny_image(name: str, script: str, architecture: str) -> bytes:
    """An image to `docker load`: this machine's shell and `sleep`, labelled as the architecture given, running `script`."""
    files = {path: Path(source).read_bytes() for path, source in _programs("/bin/sh", "/bin/sleep").items()}
    return image_of(name, files, architecture, {"Entrypoint": ["/bin/sh", "-c", script, "runner"]})


def script_image(name: str, path: str, script: str, architecture: str) -> bytes:
    """An image to `docker load`: this machine's shell and `sleep`, and the script where a program is looked for."""
    files = {found: Path(source).read_bytes() for found, source in _programs("/bin/sh", "/bin/sleep").items()}
    return image_of(name, {**files, path: script.encode()}, architecture, {"Env": ["PATH=/bin"]})


def image_of(name: str, files: dict[str, bytes], architecture: str, config: dict[str, Any]) -> bytes:
    """An image to `docker load` that holds these files and nothing else."""
    layer = archive_of(files)
    described = {
        "architecture": architecture,
        "os": "linux",
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer.getvalue()).hexdigest()]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]
    return archive_of(
        {
            "layer.tar": layer.getvalue(),
            "config.json": json.dumps(described).encode(),
            "manifest.json": json.dumps(manifest).encode(),
        }
    ).getvalue()


def _programs(*names: str) -> dict[str, str]:
    """Where the programs and the libraries they load belong in the image, and where they are here."""
    found = {}
    for name in names:
        program = str(Path(name).resolve())
        listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
        found |= {name: program} | {path: path for path in re.findall(r"(?<=\s)(/\S+)", listed)}
    return found


def archive_of(files: dict[str, bytes]) -> io.BytesIO:
    """A tar of these files."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name.lstrip("/"))
            member.size, member.mode = len(content), 0o755
            tar.addfile(member, io.BytesIO(content))
    archive.seek(0)
    return archive
