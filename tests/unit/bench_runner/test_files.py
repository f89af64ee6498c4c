# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bench_runner import files


def append(path: Path, line: bytes) -> None:
    descriptor = files.open_to_append(path)
    try:
        files.append_line(descriptor, line)
    finally:
        os.close(descriptor)


def test_a_torn_last_line_is_ended_first(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_bytes(b'{"a": 1}\n{"torn')
    append(path, b'{"b": 2}\n')
    append(path, b'{"c": 3}\n')
    assert path.read_bytes() == b'{"a": 1}\n{"torn\n{"b": 2}\n{"c": 3}\n'


def test_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    lines = [b"%d " % number * 5000 + b"\n" for number in range(64)]
    with ThreadPoolExecutor(16) as writers:
        list(writers.map(lambda line: append(path, line), lines))
    assert sorted(path.read_bytes().splitlines(keepends=True)) == sorted(lines)


def test_a_line_that_does_not_fit_leaves_no_part_of_itself(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_bytes(b"whole\n")
    code = (
        "import resource, signal, sys; from pathlib import Path; from bench_runner import files\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "files.append_line(files.open_to_append(Path(sys.argv[1])), b'x' * 200 + b'\\n')"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False)
    assert "No space left on device" in ended.stderr
    assert path.read_bytes() == b"whole\n"


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    with files.written_whole(path) as stream:
        stream.write(b"first")
    with pytest.raises(RuntimeError):
        _fail_half_way(path)
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]


def _fail_half_way(path: Path) -> None:
    with files.written_whole(path) as stream:
        stream.write(b"half of the sec")
        raise RuntimeError


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "file")
    with files.written_whole(tmp_path / "link") as stream:
        stream.write(b"there")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_bytes() == b"there"


def test_a_device_is_written_to_and_never_replaced() -> None:
    with files.written_whole(Path("/dev/null")) as stream:
        stream.write(b"gone")
    assert Path("/dev/null").is_char_device()


def test_asking_whether_a_file_can_be_written_makes_none(tmp_path: Path) -> None:
    files.check_writable(tmp_path / "new.json")
    assert not list(tmp_path.iterdir())
    with pytest.raises(IsADirectoryError):
        files.check_writable(tmp_path)
    with pytest.raises(FileNotFoundError):
        files.check_writable(tmp_path / "missing" / "new.json")
