# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a newcomer does first: `make benchmark` in a clone, in an empty home; then the same from the installed collection."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

CHECKOUT = Path(__file__).resolve().parents[2]
FEW = ("-e", "benchmark_iterations=3", "-e", "benchmark_processes=3")

pytestmark = [pytest.mark.engine, pytest.mark.image, pytest.mark.slow]


def run(command: list[str], folder: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=1200, check=False
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]
    return done.stdout


def clean_environment(home: Path) -> dict[str, str]:
    home.mkdir()
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "DOCKER_HOST") if name in os.environ}
    kept |= {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    venv = os.environ.get("VIRTUAL_ENV", "")
    kept["PATH"] = os.pathsep.join(
        part
        for part in kept["PATH"].split(os.pathsep)
        if ".venv" not in part and (not venv or not part.startswith(venv))
    )
    return kept | {"HOME": str(home)}


def records(results: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (results / "history.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the work tree's files as a clone would have them, the uncommitted ones included."""
    folder = tmp_path_factory.mktemp("clone") / "whisper"
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        source = CHECKOUT / name
        if source.exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, folder / name)
    return folder


def test_make_benchmark_in_a_clone(clone: Path, tmp_path: Path, runner_image: str) -> None:
    environment = clean_environment(tmp_path / "home")
    arguments = "ARGS=" + " ".join(FEW)

    first = run(["make", "benchmark", arguments], clone, environment)
    results = clone / "results"
    report, values = results / "report.md", results / "values-base.yaml"
    assert str(report) in first
    assert str(values) in first
    text = report.read_text()
    assert "self-check" in text
    schema = Draft202012Validator(json.loads((clone / "bench_runner/result.schema.json").read_text()))
    assert len(records(results)) == 2
    for record in records(results):
        schema.validate(record)
    replicas = yaml.safe_load(values.read_text())["replicaCount"]
    assert isinstance(replicas, int)
    assert replicas >= 1
    assert yaml.safe_load((results / "normalization.yml").read_text())

    again = run(["make", "benchmark", arguments], clone, environment)
    assert len(records(results)) == 4
    image_task = re.search(r"TASK \[rightsize\.whisper\.runner_image : Build[^\]]*\][^\n]*\n((?:(?!TASK).*\n)*)", again)
    assert image_task is not None
    assert "changed:" not in image_task.group(1)


def test_installed_collection_runs_by_name(clone: Path, tmp_path: Path, runner_image: str) -> None:
    environment = dict(os.environ)
    environment.pop("ANSIBLE_CONFIG", None)
    tarballs, collections, elsewhere = tmp_path / "tarballs", tmp_path / "collections", tmp_path / "elsewhere"
    elsewhere.mkdir()
    run(["ansible-galaxy", "collection", "build", "--output-path", str(tarballs)], clone, environment)
    (tarball,) = tarballs.glob("rightsize-whisper-*.tar.gz")
    run(["ansible-galaxy", "collection", "install", str(tarball), "-p", str(collections)], elsewhere, environment)
    environment["ANSIBLE_COLLECTIONS_PATH"] = str(collections)
    shutil.copy(CHECKOUT / "inventory/quickstart.yml", elsewhere / "inventory.yml")

    output = run(
        ["ansible-playbook", "rightsize.whisper.benchmark", "-i", "inventory.yml", *FEW], elsewhere, environment
    )

    assert str(elsewhere / "results/report.md") in output
    assert len(records(elsewhere / "results")) == 2
