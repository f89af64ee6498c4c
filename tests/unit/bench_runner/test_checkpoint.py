# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from bench_runner import checkpoint
from bench_runner.errors import BenchmarkError, ExitCode
from bench_runner.models import CHECKPOINT_FILE, PUBLISHED_SHA256

CONTENT = b"weights"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_RUNNER_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def put(path: Path, content: bytes = CONTENT, sha256: str | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    if sha256 is not None:
        path.with_name(path.name + ".sha256").write_text(f"{sha256}  {path.name}\n")
    return path


def locate(given: Path | None = None, expected: str | None = None, model: str = "base") -> checkpoint.Checkpoint:
    return checkpoint.locate(model, given, expected, may_download=False)


def refusal(given: Path | None = None, expected: str | None = None, model: str = "base") -> str:
    with pytest.raises(BenchmarkError) as caught:
        locate(given, expected, model)
    assert caught.value.code == ExitCode.CHECKPOINT
    return str(caught.value)


def test_a_file_given_with_its_hash(tmp_path: Path) -> None:
    found = locate(put(tmp_path / "mine.pt"), SHA256.upper())
    assert (found.sha256, found.size_bytes, found.is_verified) == (SHA256, len(CONTENT), True)


def test_a_file_given_with_another_hash(tmp_path: Path) -> None:
    assert f"has SHA-256 {SHA256}, not {'0' * 64}" in refusal(put(tmp_path / "mine.pt"), "0" * 64)


def test_a_file_given_with_a_hash_beside_it(tmp_path: Path) -> None:
    assert locate(put(tmp_path / "mine.pt", sha256=SHA256)).is_verified
    assert "damaged" in refusal(put(tmp_path / "other.pt", sha256="0" * 64))


def test_a_file_given_without_a_hash_is_taken_and_not_vouched_for(tmp_path: Path) -> None:
    assert not locate(put(tmp_path / "mine.pt")).is_verified


def test_a_file_given_that_is_openais(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PUBLISHED_SHA256, "base", SHA256)
    assert locate(put(tmp_path / "mine.pt")).is_verified


def test_the_file_given_wins_over_the_baked_in_one(tmp_path: Path) -> None:
    put(tmp_path / "models/base.pt", b"baked in", hashlib.sha256(b"baked in").hexdigest())
    assert locate(put(tmp_path / "mine.pt"), SHA256).path == tmp_path / "mine.pt"


def test_the_baked_in_file(tmp_path: Path) -> None:
    put(tmp_path / "models/base.pt", sha256=SHA256)
    put(tmp_path / "cache/whisper/base.pt", b"another")
    found = locate()
    assert found.path == tmp_path / "models/base.pt"
    assert found.is_verified


def test_a_baked_in_file_that_was_changed(tmp_path: Path) -> None:
    put(tmp_path / "models/base.pt", sha256="0" * 64)
    assert "damaged" in refusal()


def test_a_baked_in_file_without_its_hash_must_be_openais(tmp_path: Path) -> None:
    put(tmp_path / "models/base.pt")
    assert PUBLISHED_SHA256["base"] in refusal()


@pytest.mark.parametrize("text", ["", "  \n", "\x00\xff"])
def test_a_hash_file_that_holds_none(tmp_path: Path, text: str) -> None:
    path = put(tmp_path / "models/base.pt")
    path.with_name("base.pt.sha256").write_bytes(text.encode("latin-1"))
    refusal()


def test_whispers_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(tmp_path / "cache/whisper" / CHECKPOINT_FILE["large"])
    assert PUBLISHED_SHA256["large"] in refusal(model="large")
    monkeypatch.setitem(PUBLISHED_SHA256, "large", SHA256)
    assert locate(model="large").path == path


def test_no_checkpoint_at_all() -> None:
    assert "build the image with this model or give --checkpoint" in refusal()


def test_no_such_file(tmp_path: Path) -> None:
    assert "No such file" in refusal(tmp_path / "none.pt")
    assert "Is a directory" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("size_bytes", "limit_bytes", "fits"),
    [
        (145_267_554, 560 * 1024**2, False),
        (145_267_554, 566 * 1024**2, True),
        (145_267_554, None, True),
        (1_528_000_000, 3 * 1024**3, False),
        (1_528_000_000, 4 * 1024**3, True),
    ],
)
def test_memory_is_looked_at_before_anything_is_loaded(size_bytes: int, limit_bytes: int | None, fits: bool) -> None:
    weights = checkpoint.Checkpoint(Path("/models/base.pt"), SHA256, size_bytes, True)
    if fits:
        weights.check_memory(limit_bytes)
        return
    with pytest.raises(BenchmarkError, match="does not hold the model") as caught:
        weights.check_memory(limit_bytes)
    assert caught.value.code == ExitCode.OUT_OF_MEMORY
