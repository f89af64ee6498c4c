# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy
import math
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.rightsize.whisper.plugins.filter.normalization import normalization_ratio
from ansible_collections.rightsize.whisper.plugins.plugin_utils import normalization_file
from ansible_collections.rightsize.whisper.plugins.plugin_utils.normalization_file import (
    NormalizationFileError,
    entry_of,
    store,
    with_entry,
)

from tests.unit.factories import mac_m4, xeon_pool

HOSTILE = "\x1b[2J\x00\u202e\n- evil: &a {{ lookup('pipe', 'id') }} # ' \" : *a !!python/object | > é\n..."


def entry(number: int = 0, **changes: Any) -> dict[str, Any]:
    """The entry of the ratio of the two fixtures, as of run `number` on the target."""
    target = xeon_pool(run_id=f"run-{number:08d}", **changes)
    return entry_of(normalization_ratio(target, mac_m4()))


@pytest.fixture(params=["CSafeLoader", "SafeLoader"], autouse=True)
def loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With libyaml and without it."""
    if request.param == "SafeLoader":
        monkeypatch.delattr("yaml.CSafeLoader", raising=False)
    elif not hasattr(yaml, "CSafeLoader"):
        pytest.skip("PyYAML was built without libyaml")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "normalization.yml"


def loaded(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def test_an_entry_has_what_the_ratio_was_made_of() -> None:
    found = entry()
    assert found["ratio"] == pytest.approx(1.575, abs=0.001)
    assert found["interval"]["low"] < found["ratio"] < found["interval"]["high"]
    assert found["encoder_ratio"]["ratio"] == pytest.approx(1.548, abs=0.001)
    assert (found["model_size"], found["reference_cpu_model"]) == ("base", "Apple M4")
    assert found["target_cpu_model"] == "Intel(R) Xeon(R) Platinum 8488C"
    assert (found["reference"]["run_id"], found["target"]["run_id"]) == ("20261123t120000-4d61634d", "run-00000000")
    assert found["time"] == "2026-11-23T12:15:00Z"
    assert found["warnings"] == []


def test_an_entry_without_interval_says_so() -> None:
    found = entry_of(normalization_ratio(xeon_pool(wall_ms=[[2000.0, 2100.0]]), mac_m4()))
    assert found["interval"] is None
    assert [warning["code"] for warning in found["warnings"]] == ["few_processes"]


@pytest.mark.parametrize("normalization", [{}, {"ratio": 1.5}, {"ratio": None, "reference": None, "target": None}])
def test_what_is_no_ratio_is_refused(normalization: dict[str, Any]) -> None:
    with pytest.raises(NormalizationFileError, match="this is no ratio"):
        entry_of(normalization)


def test_a_new_file_says_where_it_comes_from(path: Path) -> None:
    stored = store(str(path), entry())
    assert (stored.before, stored.entries) == ("", 1)
    assert path.read_text() == stored.after
    assert "# Written by the module rightsize.whisper.normalization_store" in stored.after
    assert loaded(path) == {"normalizations": [entry()]}


def test_a_later_run_adds(path: Path) -> None:
    for number in range(3):
        before = path.read_text() if path.exists() else ""
        assert store(str(path), entry(number)).entries == number + 1
        assert path.read_text().startswith(before)
    assert loaded(path)["normalizations"] == [entry(0), entry(1), entry(2)]


def test_the_ratio_of_two_runs_is_kept_once(path: Path) -> None:
    store(str(path), entry(1))
    before = path.stat()
    stored = store(str(path), entry(1))
    assert stored.before == stored.after
    assert stored.entries == 1
    assert path.stat() == before or path.stat().st_mtime_ns == before.st_mtime_ns


def test_another_ratio_of_the_same_runs_is_refused(path: Path) -> None:
    store(str(path), entry(1))
    with pytest.raises(
        NormalizationFileError, match=r"has the ratio of the same two runs as 1\.57.*, not 1\.6; mend it"
    ):
        store(str(path), {**entry(1), "ratio": 1.6})


@pytest.mark.parametrize("end", ["", "\n", "  # mine\n", "\n\n\n# the end\n", "\n...\n"])
@pytest.mark.parametrize("indent", [0, 2, 5])
@pytest.mark.parametrize("rest", ["", "\n# about the rest\nother: [1, 2]  # two\nlast: |\n  text\n"])
def test_what_somebody_wrote_into_the_file_stays(end: str, indent: int, rest: str) -> None:
    item = " " * indent + "- {reference: {run_id: a}, target: {run_id: b}, ratio: 2, note: ünü}  # by hand"
    text = f"# mine\nfirst: 1 # one\nnormalizations: # all of them\n{item}{rest}{end}"
    stored = with_entry(text, entry())
    assert stored.entries == 2
    lines = iter(stored.after.splitlines())
    assert all(line in lines for line in text.splitlines()), "every line is there, in its order"
    before, after = yaml.safe_load(text), yaml.safe_load(stored.after)
    assert after == {**before, "normalizations": [*before["normalizations"], entry()]}


@pytest.mark.parametrize(
    "last",
    [
        "note: |\n      two\n      lines\n",
        "note: >-\n      folded\n",
        "note:\n",
        "note: []\n",
        "note: 'a\n\n      b'\n",
    ],
)
def test_an_entry_goes_below_whatever_the_last_one_ends_with(last: str) -> None:
    text = f"normalizations:\n  - reference: {{run_id: a}}\n    {last}"
    assert with_entry(text, entry()).after.startswith(text)


def test_texts_are_data_whatever_is_in_them(path: Path) -> None:
    hostile = entry(1, target=HOSTILE, cpu_model=HOSTILE, warnings=[{"code": "noisy", "message": HOSTILE}])
    store(str(path), hostile)
    store(str(path), entry(2))
    assert loaded(path)["normalizations"] == [hostile, entry(2)]
    assert hostile["target_cpu_model"] == HOSTILE
    assert path.read_text().replace("\n", "").isascii()
    assert path.read_text().replace("\n", "").isprintable()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"normalizations: [", "it is no YAML"),
        (b"normalizations:\n  - a: 1\n - b\n", r"it is no YAML \(line 3\)"),
        (b"a: 1\n---\nnormalizations: [{}]\n", "it is no YAML"),
        (b"!!python/object/apply:os.system [id]\n", "it is no YAML"),
        (b"time: 2026-99-99\nnormalizations: [{}]\n", "it is no YAML"),
        (b"[" * 5000, "it is no YAML"),
        (b"\x00\x01", "it is no YAML"),
        (b"\xff\xfe", "it is not UTF-8"),
        (b"text", "no list of entries at the key normalizations"),
        (b"- 1\n", "no list of entries"),
        (b"other: 1\n", "no list of entries"),
        (b"normalizations:\n", "no list of entries"),
        (b"normalizations: [1]\n", "no list of entries"),
        (b"normalizations: [{a: 1}]\n", "nothing can be added below the last entry"),
        (b"normalizations:\n  - &a {a: {b: 1}}\n  - *a\n", "nothing can be added below the last entry"),
    ],
)
def test_a_file_to_which_nothing_can_be_added_is_left_as_it_is(path: Path, content: bytes, words: str) -> None:
    path.write_bytes(content)
    with pytest.raises(NormalizationFileError, match=words) as caught:
        store(str(path), entry())
    assert str(caught.value).isprintable()
    assert str(path) in str(caught.value)
    assert path.read_bytes() == content
    assert list(path.parent.iterdir()) == [path]


def test_in_check_mode_nothing_is_written(path: Path) -> None:
    assert store(str(path), entry(1), check_mode=True).entries == 1
    assert not path.exists()
    store(str(path), entry(1))
    before = path.read_bytes()
    assert store(str(path), entry(2), check_mode=True).entries == 2
    assert path.read_bytes() == before


def test_mode_and_owner_stay(path: Path) -> None:
    store(str(path), entry(1))
    path.chmod(0o640)
    store(str(path), entry(2))
    assert path.stat().st_mode & 0o777 == 0o640
    assert path.stat().st_uid == os.getuid()


@pytest.mark.parametrize("exists", [True, False])
def test_a_write_that_fails_leaves_what_was(path: Path, exists: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if exists:
        store(str(path), entry(1))
    before = {file.name: file.read_bytes() for file in path.parent.iterdir()}

    def failing(descriptor: int, data: bytes) -> None:
        os.write(descriptor, data[:100])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(normalization_file, "write_fully", failing)
    with pytest.raises(NormalizationFileError, match=r"cannot write .*: No space left on device; free some space"):
        store(str(path), entry(2))
    assert {file.name: file.read_bytes() for file in path.parent.iterdir()} == before


def test_what_a_killed_writer_left_is_no_obstacle(path: Path) -> None:
    store(str(path), entry(1))
    path.with_name(".normalization.yml.new").write_text("half an ent")
    assert store(str(path), entry(2)).entries == 2
    assert list(path.parent.iterdir()) == [path]


def test_a_link_is_not_followed(path: Path) -> None:
    victim = path.with_name("victim")
    victim.write_text("precious")
    path.symlink_to(victim)
    with pytest.raises(NormalizationFileError, match="symbolic link"):
        store(str(path), entry())
    assert victim.read_text() == "precious"


def test_an_entry_is_what_yaml_reads_back(path: Path) -> None:
    """Floats to the last digit, and texts that look like something else."""
    odd = copy.deepcopy(entry(1))
    odd["ratio"] = math.pi * 1e-7
    for text in ("yes", "1e3", "2026-11-23", "~", "0x10", "1:30"):
        odd["target"]["target"] = text
        odd["target"]["run_id"] = f"run-of-{abs(hash(text))}"
        store(str(path), odd)
        assert loaded(path)["normalizations"][-1] == odd
