# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run in the image's build: `python3 slim.py FOLDER` removes what inference never touches from installed packages.

The build proves afterwards that an inference still works. Runs without this package, before anything is importable.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

# Pattern -> why it may go.
REMOVED = {
    "torch/test": "torch's own C++ tests",
    "torch/bin/[!t]*": "the compiler of protocol buffers (torch_shm_manager stays: torch looks for it)",
    "torch/bin/test*": "torch's test programs",
    "torch/include": "C++ headers, for building extensions",
    "torch/share": "CMake files, for building extensions",
    "torch/lib/*test*": "libraries of torch's tests",
    "torch/_inductor": "torch's compiler, imported by torch.compile alone",
    "torch/onnx": "the exporter to ONNX",
    "sympy": "imported by torch's tracing of shapes alone",
    "mpmath": "for sympy",
    "networkx": "imported by torch's compiler alone",
    "**/tests": "tests of numpy, numba and others",
    "**/*.pyi": "types, for editors and type checkers",
    "bin": "command-line programs of the packages",
    "share": "manual pages",
}
# What the build itself needs: the modules that every run imports leave their byte code here, once for all images.
IMPORTED = "import torch, whisper, soundfile, soxr, jsonschema, cpuinfo.cpuinfo"


def main(folder: Path) -> None:
    before = size(folder)
    for pattern in REMOVED:
        for path in sorted(folder.glob(pattern)):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
    subprocess.run(
        [sys.executable, "-c", IMPORTED], env={"PYTHONPATH": str(folder), "PATH": "/usr/bin:/bin"}, check=True
    )
    print(f"packages: {before / 1e6:.0f} MB before, {size(folder) / 1e6:.0f} MB after")


def size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
