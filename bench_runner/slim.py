# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run in the image's build: `python3 slim.py FOLDER` removes what inference never touches from installed packages.

The build proves afterwards that an inference still works. Stands alone: it runs before this package is there.
"""

from __future__ import annotations

import os
import shutil
import struct
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
# What every run imports leaves its byte code here, once for all models.
IMPORTED = "import torch, whisper, soundfile, soxr, jsonschema, cpuinfo.cpuinfo"

# Byte code holds the time of its source. With one time for every installation, the same packages are the same layer.
MODIFIED = 315_532_800  # 1980-01-01, where the times of zip archives begin

ELF_64_LITTLE_ENDIAN = b"\x7fELF\x02\x01"
# Offsets and formats of what is read and written, from elf(5): Elf64_Ehdr and Elf64_Phdr.
SEGMENT_TABLE = (32, "<Q")
SEGMENT_SIZE_AND_COUNT = (54, "<HH")
SECTION_TABLE = slice(40, 48)
SECTION_COUNT_AND_NAMES = slice(60, 64)
SEGMENT_OFFSET = (8, "<Q")
SEGMENT_FILE_SIZE = (32, "<Q")


def main(folder: Path) -> None:
    before = size(folder)
    remove(folder)
    for library in folder.rglob("*.so*"):
        if library.is_file() and not library.is_symlink():
            strip(library)
    for path in folder.rglob("*"):
        os.utime(path, (MODIFIED, MODIFIED), follow_symlinks=False)
    environment = {"PYTHONPATH": str(folder), "PATH": "/usr/local/bin:/usr/bin:/bin", "PYTHONHASHSEED": "0"}
    subprocess.run([sys.executable, "-c", IMPORTED], env=environment, check=True)
    print(f"packages: {before / 1e6:.0f} MB before, {size(folder) / 1e6:.0f} MB after")


def remove(folder: Path) -> None:
    """Delete what REMOVED lists."""
    for pattern in REMOVED:
        for path in sorted(folder.glob(pattern)):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def strip(library: Path) -> None:
    """Cut off what lies behind the last segment of an ELF file: symbols and sections, which only debuggers read.

    The program `strip` does the same and is not in the base image; the loader maps segments and knows no sections.
    """
    with library.open("r+b") as file:
        header = bytearray(file.read(64))
        if not header.startswith(ELF_64_LITTLE_ENDIAN):
            return
        (table,) = _field(header, SEGMENT_TABLE)
        segment_size, count = _field(header, SEGMENT_SIZE_AND_COUNT)
        file.seek(table)
        segments = [file.read(segment_size) for _number in range(count)]
        ends = [_field(segment, SEGMENT_OFFSET)[0] + _field(segment, SEGMENT_FILE_SIZE)[0] for segment in segments]
        header[SECTION_TABLE] = bytes(8)
        header[SECTION_COUNT_AND_NAMES] = bytes(4)
        file.seek(0)
        file.write(header)
        file.truncate(max([*ends, table + segment_size * count]))


def size(folder: Path) -> int:
    """The bytes in all files below."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())


def _field(record: bytes | bytearray, place: tuple[int, str]) -> tuple[int, ...]:
    offset, layout = place
    return struct.unpack_from(layout, record, offset)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
