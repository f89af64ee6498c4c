# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The faults that a history must survive, each made to happen."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import resource
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.rightsize.whisper.plugins.module_utils._history import check_creatable, open_history
from ansible_collections.rightsize.whisper.plugins.module_utils._history_record import (
    HistoryError,
    Record,
    accept,
    read_schema,
)

from tests.integration.history_tasks import appending, ask, probing
from tests.integration.playbooks import PlaybookRun, inventory
from tests.unit.factories import SCHEMA_FILE, mac_m4, xeon_pool

Play = Callable[..., PlaybookRun]

NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount, or become somebody else")


def record(number: int, **changes: Any) -> Record:
    return accept(xeon_pool(run_id=f"run-{number:08d}", **changes), read_schema(str(SCHEMA_FILE)))


def append(path: Path, *numbers: int) -> None:
    for number in numbers:
        with open_history(str(path), create=True) as history:
            assert not history.holds(record(number))
            history.append(record(number))


def records(path: Path) -> int:
    with open_history(str(path)) as history:
        return history.records


def in_a_process_of_its_own(work: Callable[[], Any], prepare: Callable[[], None]) -> Any:
    """What the work answers, or the message of its HistoryError, in a child that is prepared for it."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            prepare()
            try:
                answer = work()
            except HistoryError as error:
                answer = str(error)
            os.write(writing, pickle.dumps(answer))
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    return pickle.loads(answer)


def become_nobody() -> None:
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "results").mkdir()
    return tmp_path / "results" / "history.jsonl"


@pytest.fixture
def public_path() -> Iterator[Path]:
    """A history in a folder that everybody may enter; pytest's own are private."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder / "history.jsonl"
    shutil.rmtree(folder)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 200 kB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", folder], check=False, capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


def fill(folder: Path, room: int) -> Path:
    """Fill the file system with a file, but for so many bytes."""
    filling = folder / "filling"
    descriptor = os.open(filling, os.O_WRONLY | os.O_CREAT)
    with contextlib.suppress(OSError):
        while True:
            os.write(descriptor, b"x" * 4096)
    os.ftruncate(descriptor, os.fstat(descriptor).st_size - room)
    os.close(descriptor)
    return filling


@as_root
def test_a_full_disk_leaves_the_history_as_it_was(small_disk: Path, tmp_path: Path, play: Play) -> None:
    path = small_disk / "history.jsonl"
    append(path, 1, 2)
    # Half a record fits.
    filling = fill(small_disk, room=4096)
    before = path.read_bytes()
    (answer,) = ask(play, tmp_path / "answers", appending(path, mac_m4(), tmp_path / "given"))
    assert answer["failed"]
    assert "No space left on device; free some space; the result was saved as" in answer["msg"]
    assert path.read_bytes() == before
    saved = Path(answer["saved_aside"])
    assert json.loads(saved.read_text()) == mac_m4()
    saved.unlink()
    filling.unlink()
    append(path, 3)
    with open_history(str(path)) as history:
        assert (history.records, history.damaged, history.all_warnings()) == (3, 0, [])


@as_root
def test_an_index_for_which_the_disk_has_no_room_is_done_without(small_disk: Path) -> None:
    path = small_disk / "history.jsonl"
    append(path, 1)
    path.with_name(".history.jsonl.index").unlink()
    # Room for a record, and not for the index.
    filling = fill(small_disk, room=12288)
    with open_history(str(path), create=True) as history:
        assert not history.holds(record(2))
        history.append(record(2))
        assert history.records == 2
        (warning,) = history.all_warnings()
    assert "no index can be kept" in warning
    filling.unlink()
    with open_history(str(path)) as history:
        assert (history.records, history.damaged, history.all_warnings()) == (2, 0, [])


@as_root
def test_an_index_that_cannot_follow_is_told_and_catches_up(small_disk: Path) -> None:
    path = small_disk / "history.jsonl"
    append(path, 1)
    # Room for a record, and not for the journal of the index.
    filling = fill(small_disk, room=8192)
    with open_history(str(path), create=True) as history:
        history.append(record(2))
        assert history.records == 2
        (warning,) = history.all_warnings()
    assert "was not updated" in warning
    filling.unlink()
    with open_history(str(path)) as history:
        assert (history.records, history.damaged, history.all_warnings()) == (2, 0, [])


def test_a_limit_on_the_size_of_files_leaves_the_history_as_it_was(path: Path) -> None:
    append(path, *range(12))
    before = path.read_bytes()
    limit = len(before) + 1000

    def prepare() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    message = in_a_process_of_its_own(lambda: append(path, 12), prepare)
    assert "cannot append to the history" in message
    assert "File too large; raise the limit" in message
    assert path.read_bytes() == before
    append(path, 12)
    assert records(path) == 13


@as_root
def test_a_folder_that_may_not_be_written(public_path: Path) -> None:
    message = in_a_process_of_its_own(lambda: append(public_path, 1), become_nobody)
    assert f"cannot open the history {public_path}: Permission denied; let this user write there" in message
    message = in_a_process_of_its_own(lambda: check_creatable(str(public_path)), become_nobody)
    assert f"cannot make the history {public_path}: Permission denied; let this user write there" in message
    assert not public_path.exists()


@as_root
def test_a_history_that_may_not_be_written(public_path: Path) -> None:
    append(public_path, 1)
    before = public_path.read_bytes()
    public_path.chmod(0o644)
    message = in_a_process_of_its_own(lambda: append(public_path, 2), become_nobody)
    assert "Permission denied" in message
    assert public_path.read_bytes() == before


@as_root
def test_a_history_that_may_only_be_read_can_be_read(public_path: Path) -> None:
    append(public_path, 1, 2)
    public_path.chmod(0o644)

    def look() -> tuple[int, str, list[str]]:
        with open_history(str(public_path)) as history:
            return history.records, history.read("run-00000002")["run_id"], history.all_warnings()

    count, run_id, warnings = in_a_process_of_its_own(look, become_nobody)
    assert (count, run_id) == (2, "run-00000002")
    (warning,) = warnings
    assert "may only be read" in warning


@as_root
def test_a_folder_where_the_history_may_be_written_and_no_index_be_made(public_path: Path) -> None:
    append(public_path, 1)
    public_path.with_name(".history.jsonl.index").unlink()
    os.chown(public_path, NOBODY, NOBODY)
    in_a_process_of_its_own(lambda: append(public_path, 2), become_nobody)
    assert records(public_path) == 2


def test_places_that_are_no_file(path: Path, tmp_path: Path, play: Play) -> None:
    folder = path.parent
    (folder / "file").touch()
    (folder / "link").symlink_to("/dev/null")
    (folder / "folder").mkdir()
    places = {
        folder / "missing" / "history.jsonl": "No such file or directory; create the folder first",
        folder / "file" / "history.jsonl": "Not a directory; a folder on the way is a file",
        folder / "link": "it is a symbolic link, which is not followed",
        folder / "folder": "Is a directory; name a file",
    }
    answers = ask(play, tmp_path / "answers", *(appending(place, mac_m4(), tmp_path / "given") for place in places))
    probed = ask(play, tmp_path / "answers", *(probing(place) for place in places))
    for answer, probe, words in zip(answers, probed, places.values(), strict=True):
        assert probe["failed"]
        assert words in probe["msg"]
        assert "saved_aside" not in probe
        assert answer["failed"]
        assert words in answer["msg"]
        assert "\n" not in answer["msg"]
        saved = Path(answer["saved_aside"])
        assert stat.S_IMODE(saved.stat().st_mode) == 0o600
        assert json.loads(saved.read_text()) == mac_m4()
        saved.unlink()


def test_bad_results_and_bad_schemas(path: Path, tmp_path: Path, play: Play) -> None:
    given = tmp_path / "given"
    tasks = [
        appending(path, mac_m4(schema_version="2.0"), given),
        appending(path, mac_m4(avg_latency_ms=1.0), given),
        appending(path, mac_m4(host={"note": "x" * 5_000_000}), given),
        appending(path, {}, given),
        appending(path, mac_m4(), given),
    ]
    tasks[-1]["rightsize.whisper.result_history"]["schema_file"] = str(path)
    answers = ask(play, tmp_path / "answers", *tasks)
    for answer, words in zip(
        answers,
        [
            "reads 1.x",
            "avg_latency_ms 1.0",
            "more than the 4194304 allowed",
            "schema version None",
            "cannot read the schema",
        ],
        strict=True,
    ):
        assert answer["failed"]
        assert words in answer["msg"]
        assert "saved_aside" not in answer
    assert not path.exists()


@pytest.fixture
def without_jsonschema(tmp_path: Path) -> dict[str, str]:
    """The environment in which there is no such library."""
    package = tmp_path / "python" / "jsonschema" / "__init__.py"
    package.parent.mkdir(parents=True)
    package.write_text("raise ImportError('no such library')\n")
    return {"PYTHONPATH": str(tmp_path / "python")}


def test_a_missing_library_is_named(path: Path, tmp_path: Path, play: Play, without_jsonschema: dict[str, str]) -> None:
    task = appending(path, mac_m4(), tmp_path / "given", environment=without_jsonschema)
    (history,) = ask(play, tmp_path / "answers", task)
    assert "Failed to import the required Python library (jsonschema)" in history["msg"]


def test_a_missing_library_is_named_before_anything_is_measured(
    tmp_path: Path, play: Play, without_jsonschema: dict[str, str]
) -> None:
    measure = [{"name": "Measure", "hosts": "all", "gather_facts": False, "roles": ["rightsize.whisper.measure"]}]
    results = tmp_path / "results"
    hosts = inventory("here", benchmark_image="image:nowhere", benchmark_results_dir=str(results))
    run = play(measure, hosts, **without_jsonschema)
    assert run.wait() == 2
    assert "Failed to import the required Python library (jsonschema)" in run.output
    assert "image:nowhere" not in run.output


def test_a_writer_that_is_stopped_by_a_signal_takes_its_part_back(path: Path) -> None:
    """Ctrl-C in the middle of a write: Python raises KeyboardInterrupt there."""
    append(path, 1)
    before = path.read_bytes()
    program = f"""
import os, signal, sys
sys.path[:0] = {sys.path!r}
from pathlib import Path
from ansible_collections.rightsize.whisper.plugins.module_utils import _history
from tests.integration.test_result_history_faults import append

def interrupted(descriptor, data):
    os.write(descriptor, data[:500])
    os.kill(os.getpid(), signal.SIGINT)

# A parent that runs in the background may have taught its children to ignore it.
signal.signal(signal.SIGINT, signal.default_int_handler)
_history.write_fully = interrupted
append(Path({str(path)!r}), 2)
"""
    ended = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
    assert "KeyboardInterrupt" in ended.stderr
    assert path.read_bytes() == before
