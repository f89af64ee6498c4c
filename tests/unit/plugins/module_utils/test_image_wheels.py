# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
import io
import json
import platform
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.rightsize.whisper.plugins.module_utils import _image_wheels as wheels
from ansible_collections.rightsize.whisper.plugins.module_utils._caller import Caller
from ansible_collections.rightsize.whisper.plugins.module_utils._image_tools import ImageError

from tests.unit.wheels import make_wheel, only_index

PACKAGE = Path(__file__).resolve().parents[4] / "bench_runner"
LOCK = (PACKAGE / "requirements.lock").read_text()


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def caller() -> Iterator[Caller]:
    with Caller("[image] base:") as waiting:
        yield waiting


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all that pip knows."""
    return only_index(tmp_path / "index", monkeypatch)


def requirements() -> dict[str, list[str]]:
    """The lock's pins and their hashes."""
    found = {}
    for requirement in wheels.split_lock(LOCK).values():
        pin, *hashes = requirement.replace("\\\n", " ").split()
        found[pin] = hashes
    return found


def test_the_lock_is_split_by_name() -> None:
    lock = "# comment\na==1 \\\n    --hash=sha256:11\nb-c==2 --hash=sha256:22\n"
    assert wheels.split_lock(lock) == {"a": "a==1 \\\n    --hash=sha256:11", "b-c": "b-c==2 --hash=sha256:22"}


def test_every_package_of_the_lock_is_pinned_and_hashed() -> None:
    locked = requirements()
    assert len(locked) > 20
    for pin, hashes in locked.items():
        assert re.fullmatch(r"[a-z0-9-]+==[0-9a-z.+]+", pin), pin
        assert hashes, pin
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", text) for text in hashes), pin
    names = {pin.partition("==")[0] for pin in locked}
    assert len(names) == len(locked)
    wanted = [line for line in (PACKAGE / "requirements.in").read_text().splitlines() if not line.startswith("#")]
    assert {re.split("==", line)[0] for line in wanted} <= names
    assert "triton" not in names


def test_the_lock_has_torch_without_cuda_for_both_architectures() -> None:
    (torch,) = (pin for pin in requirements() if pin.startswith("torch=="))
    assert torch.endswith("+cpu")
    assert len(requirements()[torch]) == 2


def test_the_lock_says_nothing_of_the_machine_that_wrote_it() -> None:
    assert not re.search(r"://|/\w+/|@|--index|--find-links|\.whl", LOCK)


def test_the_lock_is_complete(tmp_path: Path) -> None:
    """Each package that a locked one asks for, on Linux and Python 3.11, is locked too."""
    from packaging.requirements import Requirement

    locked = {pin.partition("==")[0] for pin in requirements()}
    report = resolved("x86_64", tmp_path)
    for item in report["install"]:
        for text in item["metadata"].get("requires_dist", []):
            asked = Requirement(text)
            environment = {
                "sys_platform": "linux",
                "platform_system": "Linux",
                "platform_machine": "x86_64",
                "extra": "",
            }
            environment |= {"python_version": "3.11", "python_full_version": "3.11.2"}
            if asked.marker is None or asked.marker.evaluate(environment):
                assert asked.name.lower().replace("_", "-") in locked, (item["metadata"]["name"], text)


def test_the_lock_resolves_for_arm64(tmp_path: Path) -> None:
    """All but torch, whose wheel for arm64 is not on every index, and openai-whisper, which is built from source."""
    report = resolved("aarch64", tmp_path)
    names = {item["metadata"]["name"].lower().replace("_", "-") for item in report["install"]}
    assert names == {pin.partition("==")[0] for pin in requirements()} - {"torch", "openai-whisper"}


def resolved(machine: str, folder: Path) -> dict[str, Any]:
    """pip's report of what it would install from the lock, checked against the lock's hashes."""
    left_out = {"openai-whisper"} | ({"torch"} if machine == "aarch64" else set())
    wanted = [text for name, text in wheels.split_lock(LOCK).items() if name not in left_out]
    (folder / "requirements.txt").write_text("\n".join(wanted) + "\n")
    platform = {"x86_64": "amd64", "aarch64": "arm64"}[machine]
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--no-deps", "--ignore-installed"]
    command += [
        "--require-hashes",
        "--requirement",
        str(folder / "requirements.txt"),
        "--report",
        str(folder / "report"),
    ]
    command += ["--target", str(folder / "none"), *wheels.platform_options(platform)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode and re.search("Retrying|Temporary failure|Connection|No matching distribution", done.stderr):
        pytest.skip(f"no Python index answers with the locked wheels: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    return dict(json.loads((folder / "report").read_text()))


def lock_of(index: Path, tag: str = "py3-none-any") -> str:
    """A lock of four packages, which the index then has; one of them is published as source alone."""
    made = [make_wheel(index, name) for name in ("pip", "setuptools", "small")]
    source = make_source(index, "openai_whisper", tag)
    lines = [f"{path.name.split('-')[0]}==1.0 --hash=sha256:{digest(path.read_bytes())}" for path in made]
    return "\n".join([*lines, f"openai-whisper==1.0 --hash=sha256:{digest(source.read_bytes())}"])


@pytest.fixture
def lock(index: Path) -> str:
    return lock_of(index)


def make_source(folder: Path, name: str, tag: str = "py3-none-any") -> Path:
    """A source package, with a build backend of its own so that it needs no setuptools."""
    backend = (
        "import zipfile\n"
        "def build_wheel(folder, *_):\n"
        f"    name = '{name}-1.0-TAG.whl'\n"
        "    with zipfile.ZipFile(f'{folder}/{name}', 'w') as archive:\n"
        f"        info = '{name}-1.0.dist-info/'\n"
        f"        archive.writestr(info + 'METADATA', 'Metadata-Version: 2.1\\nName: {name}\\nVersion: 1.0\\n')\n"
        "        archive.writestr(info + 'WHEEL', 'Wheel-Version: 1.0\\nTag: TAG\\n')\n"
        "        archive.writestr(info + 'RECORD', '')\n"
        "    return name\n"
    )
    project = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    path = folder / f"{name}-1.0.tar.gz"
    files = {"PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", "pyproject.toml": project}
    with tarfile.open(path, "w:gz") as tar:
        for member, text in {**files, "backend.py": backend.replace("TAG", tag)}.items():
            info = tarfile.TarInfo(f"{name}-1.0/{member}")
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
    return path


def test_wheels_are_verified_and_the_built_one_is_pinned(lock: str, tmp_path: Path, caller: Caller) -> None:
    folder = wheels.collect_wheels(lock, tmp_path / "cache", "arm64", "", caller)
    names = {path.name.split("-")[0]: path for path in folder.glob("*.whl")}
    assert set(names) == {"pip", "setuptools", "small", "openai_whisper"}
    assert (folder / "requirements.txt").read_text().splitlines() == [
        f"small==1.0 --hash=sha256:{digest(names['small'].read_bytes())}",
        f"openai-whisper==1.0 --hash=sha256:{digest(names['openai_whisper'].read_bytes())}",
    ]


def test_collected_wheels_are_kept_while_they_are_whole(lock: str, index: Path, tmp_path: Path, caller: Caller) -> None:
    folder = wheels.collect_wheels(lock, tmp_path / "cache", "amd64", "", caller)
    (folder / "mark").touch()
    assert wheels.collect_wheels(lock, tmp_path / "cache", "amd64", "", caller) == folder
    assert (folder / "mark").exists()
    (wheel,) = folder.glob("small-*.whl")
    wheel.write_bytes(b"damaged")
    wheels.collect_wheels(lock, tmp_path / "cache", "amd64", "", caller)
    assert wheel.read_bytes() == (index / wheel.name).read_bytes()
    assert not (folder / "mark").exists()


def test_wheels_made_in_another_way_are_made_again(
    lock: str, tmp_path: Path, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else machines with an older cache give the image other packages, in a layer that no other model shares."""
    folder = wheels.collect_wheels(lock, tmp_path / "cache", "amd64", "", caller)
    monkeypatch.setattr(wheels, "RECIPE", wheels.RECIPE + 1)
    assert wheels.collect_wheels(lock, tmp_path / "cache", "amd64", "", caller) != folder


def test_a_folder_that_lacks_a_wheel_is_not_complete(lock: str, tmp_path: Path, caller: Caller) -> None:
    folder = wheels.collect_wheels(lock, tmp_path / "cache", "amd64", "", caller)
    for wheel in list(folder.glob("*.whl")):
        assert wheels.is_complete(folder)
        wheel.rename(tmp_path / wheel.name)
        assert not wheels.is_complete(folder), wheel.name
        (tmp_path / wheel.name).rename(wheel)


@pytest.mark.parametrize("name", ["small", "openai-whisper"])
def test_a_package_with_another_hash_is_refused(lock: str, tmp_path: Path, caller: Caller, name: str) -> None:
    other = re.sub(f"^({name}==.*sha256:).*$", rf"\g<1>{'0' * 64}", lock, flags=re.MULTILINE)
    with pytest.raises(ImageError, match=r"^pip cannot (collect|build) ") as caught:
        wheels.collect_wheels(other, tmp_path / "cache", "amd64", "", caller)
    assert caught.value.kind == "wheels"
    assert not list((tmp_path / "cache").glob("wheels/*/requirements.txt"))


def test_another_index_is_asked_for_a_local_version_that_pip_does_not_find(
    lock: str, index: Path, tmp_path: Path, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere" / "torch"
    elsewhere.mkdir(parents=True)
    torch = make_wheel(elsewhere, "torch", version="1.0+cpu")
    (elsewhere / "index.html").write_text(f'<a href="{torch.name}">{torch.name}</a>')
    lock += f"\ntorch==1.0+cpu --hash=sha256:{digest(torch.read_bytes())}"
    with pytest.raises(ImageError, match=r"^pip cannot collect the wheels of torch==1.0\+cpu: ERROR: Could not find a"):
        wheels.collect_wheels(lock, tmp_path / "cache", "amd64", "", caller)
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", index.as_uri())
    nowhere = (tmp_path / "nowhere").as_uri()
    with pytest.raises(ImageError, match=rf"torch==1.0\+cpu, from {nowhere} neither: ERROR: Could not find a version"):
        wheels.collect_wheels(lock, tmp_path / "cache", "amd64", nowhere, caller)
    folder = wheels.collect_wheels(lock, tmp_path / "cache", "amd64", elsewhere.parent.as_uri(), caller)
    assert (folder / torch.name).exists()


def test_an_index_that_does_not_answer_is_asked_for_nothing_but_local_versions(
    lock: str, tmp_path: Path, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[list[str]] = []
    run = wheels.run

    def recorded(command: list[str], *others: Any) -> None:
        ran.append(command)
        run(command, *others)

    monkeypatch.setattr(wheels, "run", recorded)
    wheels.collect_wheels(lock, tmp_path / "cache", "amd64", "https://nobody.invalid/simple", caller)
    assert not [command for command in ran if "--extra-index-url" in command]
    other = re.sub(r"^(small==.*sha256:).*$", rf"\g<1>{'0' * 64}", lock, flags=re.MULTILINE)
    with pytest.raises(ImageError, match=r"small==1\.0"):
        wheels.collect_wheels(other, tmp_path / "cache", "amd64", "https://nobody.invalid/simple", caller)
    assert not [command for command in ran if "--extra-index-url" in command]


def test_a_built_wheel_of_one_platform_is_refused(index: Path, tmp_path: Path, caller: Caller) -> None:
    native = f"cp{sys.version_info[0]}{sys.version_info[1]}-none-linux_{platform.machine()}"
    with pytest.raises(ImageError, match="is not pure Python"):
        wheels.collect_wheels(lock_of(index, native), tmp_path / "cache", "amd64", "", caller)
