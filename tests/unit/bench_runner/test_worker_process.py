# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bench_runner import cgroup, worker_process
from bench_runner.errors import BenchmarkError, ExitCode

PRELUDE = """
import json, os, signal, sys, time
order = json.loads(sys.stdin.readline())
pipe = os.fdopen(order["answers"], "w")
def send(**answer):
    print(json.dumps(answer), file=pipe, flush=True)
    sys.stdin.readline()
"""
NO_GROUP = cgroup.ControlGroup(None)


@pytest.fixture
def hear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The answers of a process that runs the code given."""

    def start(code: str, group: cgroup.ControlGroup = NO_GROUP, threads: int = 1) -> Any:
        script = tmp_path / "worker.py"
        script.write_text(PRELUDE + code)
        monkeypatch.setattr(worker_process, "WORKER", (str(script),))
        with worker_process.shared_samples(b"\x00\x00\x80\x3f") as samples:
            yield from worker_process.answers({"threads": threads}, samples, group)

    return start


def test_answers_come_one_by_one(hear: Any) -> None:
    assert [answer["n"] for answer in hear("for n in range(3): send(kind='iteration', n=n)")] == [0, 1, 2]


def test_the_samples_reach_the_process(hear: Any) -> None:
    (answer,) = hear("send(kind='seen', data=list(os.pread(order['samples'], 100, 0)))")
    assert answer["data"] == [0, 0, 128, 63]


def test_every_thread_pool_has_its_size_before_the_process_starts(hear: Any) -> None:
    (answer,) = hear("send(kind='seen', env=dict(os.environ))", threads=3)
    pools = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
    assert {answer["env"][name] for name in pools} == {"3"}


def test_what_libraries_print_is_no_answer_and_blocks_nothing(hear: Any, capfd: pytest.CaptureFixture[str]) -> None:
    (answer,) = hear("print('chatter ' * 100000); print('more', file=sys.stderr); send(kind='done')")
    assert answer == {"kind": "done"}
    assert capfd.readouterr() == ("", "")


def test_an_error_that_the_process_reports(hear: Any) -> None:
    with pytest.raises(BenchmarkError, match="no such model") as caught:
        list(hear("send(kind='error', code=4, message='no such model')"))
    assert caught.value.code == ExitCode.CHECKPOINT


def test_a_process_that_fails(hear: Any) -> None:
    with pytest.raises(BenchmarkError, match=r"ended with status 3 \(ImportError: libgomp\)") as caught:
        list(hear("send(kind='loaded'); print('ImportError: libgomp', file=sys.stderr); sys.exit(3)"))
    assert caught.value.code == ExitCode.INTERNAL


def test_a_process_that_is_refused_its_threads(hear: Any) -> None:
    said = "libgomp: Thread creation failed: Resource temporarily unavailable"
    with pytest.raises(BenchmarkError, match=r"may not start so many threads \(libgomp: .*ask for fewer") as caught:
        list(hear(f"print({said!r}, file=sys.stderr); sys.exit(1)"))
    assert caught.value.code == ExitCode.USAGE


def test_a_process_that_does_not_start(hear: Any) -> None:
    with pytest.raises(BenchmarkError, match="SyntaxError"):
        list(hear("this is no Python"))


def test_a_process_that_is_killed(hear: Any) -> None:
    with pytest.raises(BenchmarkError, match=r"killed by SIGKILL") as caught:
        list(hear("os.kill(os.getpid(), signal.SIGKILL)"))
    assert caught.value.code == ExitCode.INTERNAL


def test_a_process_that_is_killed_for_want_of_memory(hear: Any, tmp_path: Path) -> None:
    events = tmp_path / "memory.events"
    events.write_text("oom_kill 4\n")
    (tmp_path / "memory.max").write_text("536870912\n")
    code = f"open({str(events)!r}, 'w').write('oom_kill 5'); os.kill(os.getpid(), signal.SIGKILL)"
    with pytest.raises(BenchmarkError, match="the limit is 512 MiB; raise it") as caught:
        list(hear(code, cgroup.ControlGroup(2, memory=(tmp_path,))))
    assert caught.value.code == ExitCode.OUT_OF_MEMORY


def test_leaving_early_ends_the_process(hear: Any) -> None:
    with closing(hear("send(kind='pid', pid=os.getpid(), group=os.getpgid(0)); time.sleep(600)")) as answers:
        answer = next(answers)
        assert answer["group"] == answer["pid"] != os.getpgid(0)
    with pytest.raises(ProcessLookupError):
        os.kill(answer["pid"], 0)
