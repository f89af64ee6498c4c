# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Faults of bench_runner while the real model is at work: one error, the documented exit code, finished iterations kept."""

from __future__ import annotations

import os
import re
import signal
import zipfile
from pathlib import Path

import docker
import pytest

from bench_runner.recover import recover
from bench_runner.result import problems
from tests.integration.runner_container import Ended, Started, run, started

pytestmark = [pytest.mark.engine, pytest.mark.image]
MEASURE = ("--iterations", "50", "--processes", "1", "--warmup", "0", "--progress", "jsonl")


def assert_recovered(ended: Ended, iterations: int) -> None:
    """The container's standard error is a journal: every iteration that it tells of is kept."""
    partial = recover(ended.stderr)
    assert partial["partial"] is True
    assert iterations <= partial["iterations"] < partial["iterations_requested"] == 50
    assert problems(partial) == []


def processes_below(container: Started) -> list[int]:
    """The measuring processes, as this machine numbers them."""
    container.container.reload()
    parent = container.container.attrs["State"]["Pid"]
    return [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


@pytest.mark.parametrize("number", ["SIGTERM", "SIGINT"])
def test_a_signal_ends_the_run(engine: docker.DockerClient, runner_image: str, number: str) -> None:
    with started(engine, runner_image, *MEASURE) as container:
        container.wait_for_iteration(2)
        container.container.kill(number)
        ended = container.end(timeout=10)
    assert ended.exit_code == 6
    assert ended.error["kind"] == "interrupted"
    assert re.fullmatch(rf"stopped by {number}; \d+ iterations were finished", ended.error["message"])
    assert_recovered(ended, 2)


def test_a_run_that_is_killed_leaves_its_journal(engine: docker.DockerClient, runner_image: str) -> None:
    with started(engine, runner_image, *MEASURE) as container:
        container.wait_for_iteration(1)
        container.container.kill("SIGKILL")
        ended = container.end(timeout=10)
    assert ended.exit_code == 137
    assert ended.stdout == ""
    assert_recovered(ended, 1)


def test_the_deadline_ends_the_run(engine: docker.DockerClient, runner_image: str) -> None:
    ended = run(engine, runner_image, *MEASURE, "--deadline", "2")
    assert ended.exit_code == 6
    assert "the deadline has passed" in ended.error["message"]


def test_more_threads_than_the_container_may_start(engine: docker.DockerClient, runner_image: str) -> None:
    ended = run(engine, runner_image, *MEASURE, "--threads", "32", pids_limit=24)
    assert ended.exit_code == 2
    assert "may not start so many threads" in ended.error["message"]
    assert "ask for fewer" in ended.error["message"]


def test_a_measuring_process_that_is_killed(engine: docker.DockerClient, runner_image: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs to be root to kill a process of a container")
    with started(engine, runner_image, *MEASURE) as container:
        container.wait_for_iteration(1)
        (worker,) = processes_below(container)
        os.kill(worker, signal.SIGKILL)
        ended = container.end(timeout=20)
    assert ended.exit_code == 1
    assert "the measuring process was killed by SIGKILL" in ended.error["message"]
    assert_recovered(ended, 1)


def test_memory_that_cannot_hold_the_model_is_refused_at_once(engine: docker.DockerClient, runner_image: str) -> None:
    ended = run(engine, runner_image, *MEASURE, mem_limit="500m", memswap_limit="500m")
    assert ended.exit_code == 5
    assert "the memory limit of 500 MiB does not hold the model, which needs about" in ended.error["message"]
    assert not [event for event in ended.events if event["event"] == "process"]


def test_memory_that_runs_out_on_the_way(engine: docker.DockerClient, runner_image: str, tmp_path: Path) -> None:
    """Ten minutes of sound need more than the model alone; the kernel kills, and the runner says so."""
    np = pytest.importorskip("numpy")
    soundfile = pytest.importorskip("soundfile")
    tmp_path.chmod(0o755)
    noise = np.random.default_rng(1).standard_normal(600 * 16_000) * 0.05
    soundfile.write(tmp_path / "long.flac", noise, 16_000)
    ended = run(
        engine,
        runner_image,
        *(*MEASURE, "--audio", "/given/long.flac"),
        mem_limit="600m",
        memswap_limit="600m",
        volumes={str(tmp_path): {"bind": "/given", "mode": "ro"}},
    )
    assert ended.exit_code == 5
    assert ended.error["kind"] == "out_of_memory"
    assert "the limit is 600 MiB; raise it or take a smaller model" in ended.error["message"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--model-size", "small", "--checkpoint", "/models/base.pt"], "is not of model small"),
        (["--model-size", "small"], "no checkpoint of model small in /models; build the image with this model"),
        (["--checkpoint", "/opt/bench_runner/sample.flac"], "is no openai-whisper model"),
        (["--checkpoint", "/given/archive.pt"], "is no openai-whisper model"),
        (["--checkpoint", "/given/cut.pt"], "is no openai-whisper model"),
    ],
)
def test_checkpoints_that_are_not_the_models(
    engine: docker.DockerClient, runner_image: str, tmp_path: Path, arguments: list[str], words: str
) -> None:
    tmp_path.chmod(0o755)
    with zipfile.ZipFile(tmp_path / "archive.pt", "w") as archive:
        archive.writestr("archive/data.pkl", b"cos\nsystem\n(S'touch /tmp/owned'\ntR.")
        archive.writestr("archive/version", b"3\n")
    (tmp_path / "cut.pt").write_bytes((tmp_path / "archive.pt").read_bytes()[:100])
    volumes = {str(tmp_path): {"bind": "/given", "mode": "ro"}}
    ended = run(engine, runner_image, *MEASURE, *arguments, volumes=volumes)
    assert ended.exit_code == 4
    assert words in ended.error["message"]


@pytest.mark.parametrize(
    ("options", "place"),
    [
        (["--output", "/dev/full"], "/dev/full"),
        (["--history", "/small/history.jsonl"], "/small/history.jsonl"),
    ],
)
def test_a_full_disk_takes_nothing_that_standard_output_has(
    engine: docker.DockerClient, runner_image: str, options: list[str], place: str
) -> None:
    """A history on a file system of one page that a file already fills."""
    ended = run(
        engine,
        runner_image,
        *("-c", f"[ -d /small ] && head -c 9999 /dev/zero >/small/full 2>/dev/null; exec python3 -m bench_runner "
          f"--iterations 1 --warmup 0 {' '.join(options)}"),
        entrypoint="/bin/sh",
        mounts=[docker.types.Mount("/small", None, type="tmpfs", tmpfs_size=4096, tmpfs_mode=0o1777)],
    )  # fmt: skip
    assert ended.exit_code == 7
    assert ended.result["iterations"] == 1
    assert ended.stderr.splitlines()[-1] == (
        f"bench_runner: error: cannot write {place}: No space left on device; name another file"
    )


def test_a_standard_output_that_is_full(engine: docker.DockerClient, runner_image: str) -> None:
    command = "exec python3 -m bench_runner --iterations 1 --warmup 0 >/dev/full"
    ended = run(engine, runner_image, "-c", command, entrypoint="/bin/sh")
    assert ended.exit_code == 7
    assert ended.stderr.splitlines()[-1].startswith("bench_runner: error: cannot write standard output: No space left")


def test_a_journal_that_fills_its_disk_stops_nothing(engine: docker.DockerClient, runner_image: str) -> None:
    ended = run(engine, runner_image, "--iterations", "1", "--warmup", "0", "--journal", "/dev/full")
    assert ended.exit_code == 0
    assert [w["code"] for w in ended.result["warnings"]].count("journal_incomplete") == 1


def test_what_libraries_print_never_reaches_standard_output(
    engine: docker.DockerClient, runner_image: str, tmp_path: Path
) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\nif 'bench_runner.worker' in sys.orig_argv:\n    print('a library says hello ' * 9999)"
    )
    ended = run(
        engine,
        runner_image,
        *("--iterations", "1", "--warmup", "0", "--progress", "jsonl"),
        environment={"PYTHONPATH": "/given:/opt/packages:/opt"},
        volumes={str(tmp_path): {"bind": "/given", "mode": "ro"}},
    )
    assert ended.exit_code == 0, ended.stderr
    assert ended.result["iterations"] == 1
    assert ended.events[-1]["event"] == "end"
