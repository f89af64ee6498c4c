# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from bench_runner import bake

WEIGHTS = b"weights"
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    return folder


def test_a_checkpoint_and_its_hash_are_put_in_place(source: Path, tmp_path: Path) -> None:
    (source / "model.pt").write_bytes(WEIGHTS)
    assert bake.main(["small", str(source), str(tmp_path / "models"), SHA256]) == 0
    assert {path.name for path in (tmp_path / "models").iterdir()} == {"small.pt", "small.pt.sha256"}
    assert (tmp_path / "models/small.pt").read_bytes() == WEIGHTS
    assert (tmp_path / "models/small.pt.sha256").read_text() == f"{SHA256}  small.pt\n"
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "models").iterdir()} == {0o444}


def test_a_checkpoint_with_another_hash_ends_the_build(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (source / "model.pt").write_bytes(b"other weights")
    assert bake.main(["small", str(source), str(tmp_path / "models"), SHA256]) == 4
    found = hashlib.sha256(b"other weights").hexdigest()
    told = capsys.readouterr().err
    assert told == f"bench_runner: error: the checkpoint of small has SHA-256 {found}, not {SHA256}\n"


def test_a_conversion_that_is_none_ends_the_build(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (source / "model.bin").write_bytes(b"no model")
    assert bake.main(["base", str(source), str(tmp_path / "models"), SHA256]) == 4
    told = capsys.readouterr().err
    assert told.startswith("bench_runner: error: ")
    assert told.count("\n") == 1
