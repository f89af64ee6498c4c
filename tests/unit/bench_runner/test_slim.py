# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import _ctypes
import fnmatch
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bench_runner import slim

LIBRARY = Path(_ctypes.__file__)


def load(library: Path) -> subprocess.CompletedProcess[str]:
    """What a Python that imports this copy of _ctypes prints."""
    program = "import sys; sys.path.insert(0, sys.argv[1]); import _ctypes; print(_ctypes.__file__)"
    command = [sys.executable, "-c", program, str(library.parent)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A copy of a shared library, with what a debugger would read behind it."""
    copy = tmp_path / LIBRARY.name
    shutil.copy(LIBRARY, copy)
    with copy.open("ab") as file:
        file.write(b"symbols" * 1000)
    return copy


def test_a_stripped_library_is_smaller_and_still_works(library: Path) -> None:
    before = library.stat().st_size
    slim.strip(library)
    assert library.stat().st_size <= before - 7000
    done = load(library)
    assert done.stdout.strip() == str(library), done.stderr


def test_stripping_twice_changes_nothing_more(library: Path) -> None:
    slim.strip(library)
    once = library.read_bytes()
    slim.strip(library)
    assert library.read_bytes() == once


@pytest.mark.parametrize("content", [b"", b"GROUP ( libc.so.6 )\n", b"\x7fELF\x01\x01" + bytes(100)])
def test_what_is_no_library_of_this_kind_is_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "libc.so"
    path.write_bytes(content)
    slim.strip(path)
    assert path.read_bytes() == content


def test_what_is_listed_goes_and_nothing_else(tmp_path: Path) -> None:
    gone = [
        "torch/include/ATen/ATen.h",
        "torch/lib/libtorch_test.so",
        "torch/bin/protoc",
        "torch/bin/test_api",
        "sympy/core.py",
        "numpy/tests/test_numpy.py",
        "numba/core/tests/a/test_it.py",
        "whisper/model.pyi",
        "bin/tqdm",
    ]
    kept = ["torch/lib/libtorch_cpu.so", "torch/bin/torch_shm_manager", "torch/testing/__init__.py", "whisper/model.py"]
    for name in gone + kept:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    slim.remove(tmp_path)
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()) == sorted(kept)


def test_every_removal_has_a_reason() -> None:
    for pattern, reason in slim.REMOVED.items():
        assert reason.strip(), pattern
    imported = slim.IMPORTED.removeprefix("import ").split(", ")
    for name in imported:
        assert not any(fnmatch.fnmatch(name.partition(".")[0], pattern) for pattern in slim.REMOVED), name


def test_the_same_packages_installed_at_another_time_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slim, "IMPORTED", "import package")

    def installed_at(time: float) -> bytes:
        folder = tmp_path / "packages"
        (folder / "package").mkdir(parents=True)
        source = folder / "package" / "__init__.py"
        source.write_text("def known(word):\n    return word in {'one', 'two', 'three', 'four', 'five', 'six'}\n")
        os.utime(source, (time, time))
        slim.main(folder)
        [byte_code] = folder.rglob("*.pyc")
        content = byte_code.read_bytes()
        shutil.rmtree(folder)
        return content

    assert installed_at(1_700_000_000) == installed_at(1_800_000_000)
