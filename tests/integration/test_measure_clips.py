# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A folder of a user's own clips: measured beside the benchmark by the real model, with temperature fallback."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.playbooks import PlaybookRun, inventory
from tests.integration.runner_container import PACKAGE

MEASURE = [{"name": "Measure", "hosts": "all", "gather_facts": False, "roles": ["rightsize.whisper.measure"]}]


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """Five seconds of speech and of noise, and what is no audio."""
    soundfile, numpy = pytest.importorskip("soundfile"), pytest.importorskip("numpy")
    folder = tmp_path / "clips"
    folder.mkdir()
    samples, rate = soundfile.read(PACKAGE / "sample.flac", frames=5 * 16000)
    soundfile.write(folder / "speech.ogg", samples, rate)
    soundfile.write(folder / "noise.wav", 0.3 * numpy.random.default_rng(7).standard_normal(5 * rate), rate)
    (folder / "notes.txt").write_text("no audio")
    return folder


def measured(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]


def here(image: str, results: Path, audio: Path) -> dict[str, Any]:
    settings = {
        "benchmark_iterations": 1,
        "benchmark_processes": 1,
        "benchmark_warmup": 0,
        "benchmark_clip_iterations": 1,
    }
    return inventory(
        "here", **settings, benchmark_image=image, benchmark_results_dir=str(results), benchmark_audio=str(audio)
    )


@pytest.mark.engine
@pytest.mark.image
@pytest.mark.slow
def test_every_clip_gives_a_result_of_its_own_with_fallback(
    play: Callable[..., PlaybookRun], runner_image: str, clips: Path, tmp_path: Path
) -> None:
    run = play(MEASURE, here(runner_image, tmp_path / "results", clips))
    assert run.wait() == 0, run.output
    benchmark, noise, speech = measured(tmp_path / "results")
    assert benchmark["audio"]["seconds"] > 15
    assert benchmark["decode"]["without_fallback"] is True
    assert (noise["labels"]["clip"], speech["labels"]["clip"]) == ("noise.wav", "speech.ogg")
    for clip in (noise, speech):
        assert clip["labels"]["clips"] == benchmark["run_id"]
        assert clip["decode"]["without_fallback"] is False
        assert clip["audio"]["seconds"] == pytest.approx(5, abs=0.1)
    # Nobody speaks in noise: what the model makes of it is decoded again, and takes longer.
    assert noise["avg_latency_ms"] != speech["avg_latency_ms"]


@pytest.mark.engine
@pytest.mark.image
def test_a_folder_without_audio_is_one_clear_line_before_anything_is_measured(
    play: Callable[..., PlaybookRun], runner_image: str, clips: Path, tmp_path: Path
) -> None:
    for clip in [*clips.glob("*.wav"), *clips.glob("*.ogg")]:
        clip.unlink()
    run = play(MEASURE, here(runner_image, tmp_path / "results", clips))
    assert run.wait() == 2
    assert f"{clips} has no audio: put .wav, .flac, .ogg, .opus or .mp3 files there" in run.output
    assert not (tmp_path / "results" / "history.jsonl").exists()


@pytest.mark.engine
@pytest.mark.image
@pytest.mark.slow
def test_a_clip_that_cannot_be_heard_is_named_and_costs_the_benchmark_nothing(
    play: Callable[..., PlaybookRun], runner_image: str, clips: Path, tmp_path: Path
) -> None:
    (clips / "a.wav").write_bytes(b"RIFF and nothing more")
    run = play(MEASURE, here(runner_image, tmp_path / "results", clips))
    assert run.wait() == 2
    assert "cannot decode the audio in standard input" in run.output
    assert f"(audio: {clips / 'a.wav'})" in run.output
    assert len(measured(tmp_path / "results")) == 1
