# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bad input, through the command that users type: one line, the documented exit code, no result."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench_runner import cli

CHECKOUT = Path(__file__).parents[3]
COMMAND = [sys.executable, "-m", "bench_runner"]


def run(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "XDG_CACHE_HOME": "/nonexistent", "HTTPS_PROXY": "http://127.0.0.1:9"}
    command = [*COMMAND, *map(str, arguments)]
    options = {"capture_output": True, "text": True, "cwd": CHECKOUT, "env": environment, **options}
    return subprocess.run(command, check=False, **options)


def refused(exit_code: int, *arguments: object, **options: Any) -> str:
    """The error's line; the same error as an event, too."""
    ended = run(*arguments, **options)
    assert (ended.returncode, ended.stdout) == (exit_code, "")
    *_unused, last = ended.stderr.splitlines()
    assert last.startswith("bench_runner: error: ")
    assert "Traceback" not in ended.stderr

    ended = run(*arguments, "--progress", "jsonl", **options)
    assert (ended.returncode, ended.stdout) == (exit_code, "")
    events = [json.loads(line) for line in ended.stderr.splitlines()]
    assert [event["event"] for event in events].count("error") == 1
    assert events[-1]["code"] == exit_code
    return last.removeprefix("bench_runner: error: ")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--model-size", "huge"], "there is no model 'huge'; take one of tiny.en, tiny, base.en, base"),
        (["--iterations", "0"], "'0' is not a whole number from 1"),
        (["--iterations", "-5"], "'-5' is not a whole number"),
        (["--iterations", "many"], "'many' is not a whole number"),
        (["--iterations", "1e3"], "'1e3' is not a whole number"),
        (["--iterations", "٣"], "is not a whole number"),
        (["--iterations"], "expected one argument"),
        (["--processes", "0"], "--processes"),
        (["--threads", "0"], "--threads"),
        (["--warmup", "-1"], "--warmup"),
        (["--expect-cpus", "0"], "'0' is not a number above 0"),
        (["--expect-cpus", "nan"], "'nan' is not a number above 0"),
        (["--deadline", "inf"], "'inf' is not a number above 0"),
        (["--run-id", "short"], "'short' is not 8 to 63 of a-z, 0-9 and -"),
        (["--run-id", "Has-Capital-Letters"], "--run-id"),
        (["--run-id", "ends-with-newline\n"], "--run-id"),
        (["--label", "no-equals-sign"], "is not KEY=VALUE"),
        (["--label", "key=\x1b[31m"], "is not KEY=VALUE"),
        (["--target", ""], "--target"),
        (["--target", "line\nend"], "--target"),
        (["--cpu-model", "\x1b[2J"], "--cpu-model"),
        (["--checkpoint-sha256", "abc"], "is not 64 hexadecimal digits"),
        (["--progress", "xml"], "invalid choice"),
        (["--precision", "2"], "'2' is not a share from 0.001 to 0.5"),
        (["--precision", "2%"], "'2%' is not a number above 0"),
        (["--precision", "0.02", "--max-processes", "2"], "'2' is not a whole number from 3"),
        (["--precision", "0.02", "--precision-of", "luck"], "invalid choice"),
        (["--time-budget", "60"], "argument --time-budget: it goes with --precision"),
        (["--max-processes", "9"], "argument --max-processes: it goes with --precision"),
        (["--iter", "5"], "unrecognized arguments"),
        (["surplus"], "unrecognized arguments: surplus"),
    ],
)
def test_bad_usage(arguments: list[str], words: str) -> None:
    ended = run(*arguments)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("bench_runner: error: ")
    assert ended.stderr.count("\n") == 1
    assert words in ended.stderr


def test_bad_usage_as_an_event() -> None:
    for form in (["--progress", "jsonl"], ["--progress=jsonl"]):
        (event,) = map(json.loads, run("--iterations", "0", *form).stderr.splitlines())
        assert (event["event"], event["code"], event["kind"], event["run_id"]) == ("error", 2, "usage", "")


def test_the_deadline_is_a_time_budget_where_a_run_stops_by_itself() -> None:
    def budget(*arguments: str) -> float | None:
        return cli._settings(cli.parser().parse_args([*arguments])).time_budget_seconds

    assert budget("--precision=0.02") is None
    assert budget("--precision=0.02", "--time-budget=60") == 60
    assert budget("--precision=0.02", "--deadline=100") == 90
    assert budget("--precision=0.02", "--time-budget=60", "--deadline=50") == 45
    assert budget("--deadline=50") is None


def test_help_is_no_error() -> None:
    ended = run("--help")
    assert ended.returncode == 0
    assert "--checkpoint-sha256" in ended.stdout


@pytest.mark.parametrize("name", ["/nonexistent.wav", "/tmp", "/dev/null", "/etc/passwd"])
def test_audio_that_is_none(name: str) -> None:
    assert "audio" in refused(3, "--audio", name)


def test_audio_on_standard_input_that_is_none() -> None:
    assert "there is no audio in standard input" in refused(3, "--audio", "-", stdin=subprocess.DEVNULL)


def test_no_checkpoint() -> None:
    assert "No such file" in refused(4, "--checkpoint", "/nonexistent.pt")


def test_a_checkpoint_of_another_hash(tmp_path: Path) -> None:
    (tmp_path / "base.pt").write_bytes(b"other weights")
    arguments = ("--checkpoint", tmp_path / "base.pt", "--checkpoint-sha256", "0" * 64)
    assert f"not {'0' * 64}" in refused(4, *arguments)


def test_a_checkpoint_that_can_be_neither_found_nor_downloaded() -> None:
    assert "no checkpoint of model tiny in " in refused(4, "--model-size", "tiny")


@pytest.mark.parametrize("option", ["--output", "--history", "--journal"])
@pytest.mark.parametrize("path", ["/nonexistent/file", "/tmp", "/proc/nothing"])
def test_files_that_cannot_be_written_are_found_out_first(option: str, path: str) -> None:
    ended = run(option, path, "--audio", "/nonexistent.wav")
    assert (ended.returncode, ended.stdout) == (7, "")
    assert f"cannot write {'the journal ' if option == '--journal' else ''}{path}" in ended.stderr


def test_a_failure_leaves_no_empty_files(tmp_path: Path) -> None:
    refused(3, "--audio", "/nonexistent.wav", "--output", tmp_path / "o.json", "--history", tmp_path / "h.jsonl")
    assert not list(tmp_path.iterdir())


def test_the_journal_holds_the_failure_too(tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    run("--audio", "/nonexistent.wav", "--journal", journal, "--run-id", "the-run-id-asked-for")
    events = [json.loads(line) for line in journal.read_text().splitlines()]
    assert events[0]["event"] == "start"
    assert events[-1]["event"] == "error"
    assert {event["run_id"] for event in events} == {"the-run-id-asked-for"}


def test_what_the_machine_is_is_said_at_once(tmp_path: Path) -> None:
    """Standard input never ends, so that the run is still waiting for its audio when this is read."""
    with subprocess.Popen(
        [*COMMAND, "--audio", "-", "--cpu-model", "Apple M4", "--expect-cpus", "63.5"],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=CHECKOUT,
    ) as process:
        assert process.stderr is not None
        said = [process.stderr.readline() for _unused in range(3)]
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 6
        rest = process.stderr.read()
    assert "CPU model Apple M4" in said[0]
    assert "architecture " in said[0]
    assert "CPU limit " in said[1]
    assert "isolated" in said[1]
    assert said[2].startswith("bench_runner: warning: ")
    assert "the figures may be inaccurate" in said[2] + rest
    assert rest.splitlines()[-1] == "bench_runner: error: stopped by SIGINT; 0 iterations were finished"


def test_the_deadline_holds_before_measuring() -> None:
    with subprocess.Popen(
        [*COMMAND, "--audio", "-", "--deadline", "0.5"],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=CHECKOUT,
    ) as process:
        assert process.wait(60) == 6
        assert process.stderr is not None
        assert "the deadline has passed; 0 iterations were finished" in process.stderr.read()


def test_the_parent_and_recover_load_nothing_heavy() -> None:
    code = (
        "import sys, bench_runner.cli, bench_runner.recover, bench_runner.convert;"
        "print([m for m in ('torch', 'whisper', 'numpy', 'soundfile', 'jsonschema') if m in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=CHECKOUT)
    assert ended.stdout.strip() == "[]"


def test_a_library_that_is_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "soundfile.py").write_text("raise ModuleNotFoundError('no', name='soundfile')")
    ended = run(env={**os.environ, "PYTHONPATH": str(tmp_path)})
    assert ended.returncode == 1
    assert "the Python package soundfile is missing" in ended.stderr.splitlines()[-1]
