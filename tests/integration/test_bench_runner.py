# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""bench_runner measuring the real `base` in the runner image: what its result says, and what it costs itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import fmean
from typing import Any

import docker
import pytest
from jsonschema import Draft202012Validator

from tests.integration.runner_container import PACKAGE, Ended, run, started

pytestmark = [pytest.mark.engine, pytest.mark.image]
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
# How often the decoder is asked for a token: in a warm-up, and in the iteration that follows it.
COUNT_TOKENS = """
import json
from pathlib import Path
from bench_runner import audio, inference

model = inference.load(Path("/models/base.pt"), "base")
asked = []
model.decoder.register_forward_hook(lambda *_: asked.append("a token"))
job = inference.Inference(model, audio.load(None).samples)
job.warm_up()
warm = len(asked)
transcript = job.run()[1]
print(json.dumps({"warm": warm, "measured": len(asked) - warm, "tokens": transcript.tokens}))
"""


@pytest.fixture(scope="module")
def measured(engine: docker.DockerClient, runner_image: str) -> Ended:
    """Five iterations in two processes on one CPU."""
    ended = run(
        engine,
        runner_image,
        *("--iterations", "5", "--processes", "2", "--progress", "jsonl", "--run-id", "a-run-in-the-image"),
        *("--target", "here", "--label", "purpose=test", "--image-id", "sha256:abc"),
    )
    assert ended.exit_code == 0, ended.stderr
    return ended


@pytest.fixture(scope="module")
def result(measured: Ended) -> dict[str, Any]:
    return measured.result


def word_error_rate(expected: str, found: str) -> float:
    """Levenshtein distance in words, without case and punctuation."""

    def words(text: str) -> list[str]:
        return "".join(letter.lower() for letter in text if letter.isalpha() or letter.isspace()).split()

    reference, hypothesis = words(expected), words(found)
    row = list(range(len(hypothesis) + 1))
    for i, word in enumerate(reference, start=1):
        above, row[0] = row[0], i
        for j, other in enumerate(hypothesis, start=1):
            above, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, above + (word != other))
    return row[-1] / len(reference)


def test_standard_output_is_one_line_that_the_schema_accepts(measured: Ended) -> None:
    assert measured.stdout.endswith("}\n")
    assert measured.stdout.count("\n") == 1
    schema = json.loads((PACKAGE / "result.schema.json").read_text())
    Draft202012Validator(schema).validate(measured.result)


def test_the_result_says_what_was_asked(result: dict[str, Any]) -> None:
    asked = {
        "schema_version": "1.1",
        "run_id": "a-run-in-the-image",
        "partial": False,
        "target": "here",
        "model_size": "base",
        "iterations": 5,
        "iterations_requested": 5,
        "threads": 1,
        "labels": {"purpose": "test"},
        "image": {"id": "sha256:abc"},
    }
    assert {key: result[key] for key in asked} == asked


def test_the_iterations_are_shared_by_fresh_processes(result: dict[str, Any]) -> None:
    assert [len(process["wall_ms"]) for process in result["processes"]] == [3, 2]
    assert all(len(process["warmup_ms"]) == 1 for process in result["processes"])
    assert all(0 < process["model_load_seconds"] < 30 for process in result["processes"])


def test_a_warm_up_breaks_off_what_an_iteration_does_to_its_end(engine: docker.DockerClient, runner_image: str) -> None:
    ended = run(engine, runner_image, "-c", COUNT_TOKENS, entrypoint="python3")
    assert ended.exit_code == 0, ended.stderr
    asked = ended.result
    assert 1 < asked["warm"] <= 5
    # The end of the text is asked for, too, and no token of it.
    assert asked["measured"] >= asked["tokens"] > 40


def test_figures_agree(result: dict[str, Any]) -> None:
    wall_ms = [value for process in result["processes"] for value in process["wall_ms"]]
    assert result["avg_latency_ms"] == pytest.approx(fmean(wall_ms), rel=1e-5)
    assert result["avg_latency_seconds"] == pytest.approx(fmean(wall_ms) / 1000, rel=1e-5)
    assert result["total_time_seconds"] == pytest.approx(sum(wall_ms) / 1000, rel=1e-5)
    assert result["rps"] == pytest.approx(1000 / fmean(wall_ms), rel=1e-5)
    assert result["latency_ms"]["p90"] is None
    assert result["latency_ms"]["max"] == max(wall_ms)


def test_phases_add_up_and_each_takes_its_part(result: dict[str, Any]) -> None:
    for process in result["processes"]:
        for wall, mel, encoder, decoder in zip(
            *(process[column] for column in ("wall_ms", "mel_ms", "encoder_ms", "decoder_ms")), strict=True
        ):
            assert mel + encoder + decoder == pytest.approx(wall, abs=0.01)
    share = {phase: value / result["avg_latency_ms"] for phase, value in result["phases_ms"].items()}
    assert 0.0005 < share["mel"] < 0.2
    assert share["encoder"] > 0.1
    assert share["decoder"] > 0.1


def test_one_thread_uses_one_cpu(result: dict[str, Any]) -> None:
    for process in result["processes"]:
        assert all(0 < cpu <= wall * 1.02 for cpu, wall in zip(process["cpu_ms"], process["wall_ms"], strict=True))
    threads = result["software"]["threads"]
    assert (threads["torch_intra_op"], threads["torch_inter_op"]) == (1, 1)
    assert {threads[name] for name in threads if name.endswith("_NUM_THREADS")} == {"1"}


def test_the_speech_is_understood(result: dict[str, Any]) -> None:
    expected = (PACKAGE / "sample.txt").read_text()
    assert word_error_rate(expected, result["transcript"]["text"]) <= 0.02
    assert result["transcript"]["windows"] == 1
    assert result["transcript"]["fallbacks"] == 0
    assert 40 < result["transcript"]["tokens"] < 100


def test_isolation_is_found_out(result: dict[str, Any]) -> None:
    assert result["isolated"] is True
    assert result["cpu_limit"] == 1
    assert result["isolation"]["container"] is True
    assert result["isolation"]["mode"] in ("quota", "both")
    assert result["isolation"]["quota_cpus"] == 1
    assert result["isolation"]["emulated"] is False
    assert not {warning["code"] for warning in result["warnings"]} & {"not_isolated", "cpu_limit_mismatch", "emulated"}


def test_counters_and_memory_are_read(result: dict[str, Any]) -> None:
    throttling = result["throttling"]
    assert throttling["applicable"] is True
    # A period is 100 ms of a running group.
    assert throttling["periods"] == pytest.approx(result["total_time_seconds"] * 10, rel=0.2)
    assert 0 <= throttling["throttled_periods"] <= throttling["periods"]
    memory = result["memory"]
    assert memory["limit_bytes"] == 1536 * 1024**2
    assert memory["source"] == "cgroup"
    assert 400e6 < memory["peak_bytes"] <= memory["limit_bytes"]


def test_what_computes_is_recorded(result: dict[str, Any]) -> None:
    assert result["software"]["whisper"] == "20250625"
    assert result["software"]["torch"].startswith("2.13.0")
    assert result["checkpoint"]["bytes"] > 100e6
    assert result["decode"]["without_fallback"] is True


def test_every_line_of_progress_is_an_event(measured: Ended) -> None:
    events = measured.events
    assert [event["event"] for event in events[:3]] == ["start", "log", "log"]
    assert events[-1]["event"] == "end"
    assert {event["run_id"] for event in events} == {"a-run-in-the-image"}
    iterations = [event for event in events if event["event"] == "iteration"]
    assert [event["number"] for event in iterations] == [1, 2, 3, 4, 5]
    assert iterations[0]["eta_seconds"] > 0
    assert iterations[-1]["eta_seconds"] == 0
    assert iterations[-1]["mean_ms"] == pytest.approx(measured.result["avg_latency_ms"], rel=1e-5)
    phases = [(event["process"], event["phase"]) for event in events if event["event"] == "process"]
    assert phases == [(n, phase) for n in (1, 2) for phase in ("loading", "warming up", "measuring", "done")]


def test_the_journal_of_standard_error_gives_the_same_figures(measured: Ended) -> None:
    """What `recover` makes of all events is the result, but for the mark that it is partial."""
    ended = subprocess.run(
        [sys.executable, "-m", "bench_runner.recover", "-"],
        input=measured.stderr,
        capture_output=True,
        text=True,
        check=True,
        cwd=PACKAGE.parent,
    )
    assert json.loads(ended.stdout) == {**measured.result, "partial": True}


def test_the_parent_sleeps_while_something_is_measured(engine: docker.DockerClient, runner_image: str) -> None:
    arguments = ("--iterations", "6", "--processes", "1", "--warmup", "0", "--progress", "jsonl")
    with started(engine, runner_image, *arguments) as container:
        first = container.wait_for_iteration(1)
        container.container.reload()
        stat = Path(f"/proc/{container.container.attrs['State']['Pid']}/stat")

        def parent_ticks() -> int:
            return sum(map(int, stat.read_text().rpartition(")")[2].split()[11:13]))

        before = parent_ticks()
        last = container.wait_for_iteration(5)
        used_seconds = (parent_ticks() - before) / TICKS_PER_SECOND
        assert used_seconds <= 0.005 * (last["time"] - first["time"]) + 1 / TICKS_PER_SECOND


def test_a_cpuset_of_one_is_one_cpu(engine: docker.DockerClient, runner_image: str) -> None:
    ended = run(engine, runner_image, "--iterations", "1", "--warmup", "0", nano_cpus=None, cpuset_cpus="0")
    isolation = ended.result["isolation"]
    if os.cpu_count() != 1:
        assert isolation["mode"] == "cpuset"
    assert (isolation["quota_cpus"], isolation["cpuset"], isolation["cpuset_cpus"]) == (None, "0", 1)
    assert ended.result["cpu_limit"] == 1
    assert ended.result["isolated"] is True
    assert ended.result["throttling"]["applicable"] is False
    assert ended.result["throttling"]["throttled_periods"] is None


def test_threads_are_as_many_as_asked_for_and_more_than_the_limit_are_no_surprise(
    engine: docker.DockerClient, runner_image: str
) -> None:
    ended = run(engine, runner_image, "--iterations", "1", "--warmup", "0", "--threads", "2", "--expect-cpus", "2")
    threads = ended.result["software"]["threads"]
    assert (threads["torch_intra_op"], threads["torch_inter_op"]) == (2, 2)
    assert threads["OMP_NUM_THREADS"] == "2"
    assert ended.result["isolated"] is False
    assert "where 2 is expected" in ended.stderr


def test_other_audio_and_files_beside_standard_output(
    engine: docker.DockerClient, runner_image: str, tmp_path: Path
) -> None:
    soundfile = pytest.importorskip("soundfile")
    samples, rate = soundfile.read(PACKAGE / "sample.flac")
    soundfile.write(tmp_path / "twice.ogg", [*samples, *samples, *samples], rate)
    tmp_path.chmod(0o777)
    (tmp_path / "history.jsonl").write_text('{"torn')
    (tmp_path / "history.jsonl").chmod(0o666)
    ended = run(
        engine,
        runner_image,
        *("--iterations", "1", "--warmup", "0", "--audio", "/given/twice.ogg"),
        *("--output", "/given/result.json", "--history", "/given/history.jsonl", "--journal", "/given/journal.jsonl"),
        volumes={str(tmp_path): {"bind": "/given", "mode": "rw"}},
    )
    assert ended.exit_code == 0, ended.stderr
    assert ended.result["audio"]["name"] == "twice.ogg"
    assert ended.result["audio"]["seconds"] == pytest.approx(45.07, abs=0.1)
    assert ended.result["transcript"]["windows"] >= 2
    assert ended.stderr.startswith("bench_runner: architecture ")
    assert json.loads((tmp_path / "result.json").read_text()) == ended.result
    torn, line = (tmp_path / "history.jsonl").read_text().splitlines()
    assert torn == '{"torn'
    assert json.loads(line) == ended.result
    events = [json.loads(line)["event"] for line in (tmp_path / "journal.jsonl").read_text().splitlines()]
    assert (events[0], events[-1]) == ("start", "end")
