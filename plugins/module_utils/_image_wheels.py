# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The packages of the runner image: wheels for its platform, collected on this machine against the lock's hashes."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
import typing as t
import zipfile
from pathlib import Path

from ._image_tools import ImageError, pip, run, sha256_of

if t.TYPE_CHECKING:
    from ._caller import Caller

PYTHON_VERSION = "3.11"
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
# Published as source alone; a wheel of it is made here.
SOURCES = ("openai-whisper",)
# The time that is written into what is made here, so that it is the same tomorrow: the oldest that a zip file can say.
SOURCE_DATE_EPOCH = "315532800"
# Another number, another folder: to be raised with each change of what `_build` makes of the same sources, so that no
# machine keeps what was made otherwise. Images of all models share the layer of packages only while these are the same.
RECIPE = 2
# Locked like all else, but not installed into the image: they put the others in place.
TOOLS = ("pip", "setuptools")
# So many packages are no longer named one by one.
MANY = 6
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def collect_wheels(lock: str, cache: Path, platform: str, extra_index: str, caller: Caller) -> Path:
    """The folder of verified wheels for the platform, with the requirements.txt that installs them.

    pip's own settings on this machine say where packages come from. PyTorch publishes its CPU builds on an index of its
    own, which is asked for them where those settings do not offer the locked file. Both must have the locked hash.
    """
    made_of = hashlib.sha256(f"{RECIPE} {SOURCE_DATE_EPOCH}\n{lock}".encode()).hexdigest()
    folder = cache / "wheels" / f"{made_of[:16]}-{platform}"
    if is_complete(folder):
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    requirements = split_lock(lock)
    sources = [requirement for name, requirement in requirements.items() if name in SOURCES]
    binaries = [requirement for name, requirement in requirements.items() if name not in SOURCES]
    with tempfile.TemporaryDirectory(prefix="rightsize-whisper-wheels-") as scratch:
        _download(binaries, folder, platform, extra_index, Path(scratch), caller)
        built = _build(sources, folder, Path(scratch), caller)
    installed = [requirement for name, requirement in requirements.items() if name not in SOURCES + TOOLS] + built
    # Written last: a folder without it is not complete.
    (folder / "requirements.txt").write_text("\n".join(installed) + "\n", encoding="utf-8")
    return folder


def is_complete(folder: Path) -> bool:
    """Whether the folder was filled to its end, and what it holds is still whole."""
    listed = folder / "requirements.txt"
    if not listed.is_file():
        return False
    hashes = HASH.findall(listed.read_text(encoding="utf-8"))
    requirements = split_lock(listed.read_text(encoding="utf-8"))
    tools = [path for name in TOOLS for path in folder.glob(f"{name}-*.whl")]
    wheels = set(folder.glob("*.whl")) - set(tools)
    return (
        len(tools) == len(TOOLS)
        and len(wheels) == len(requirements)
        and all(sha256_of(path) in hashes for path in wheels)
    )


def split_lock(lock: str) -> t.Dict[str, str]:
    """The lock's requirements by name, each with its hashes."""
    body = "\n".join(line for line in lock.splitlines() if not line.startswith("#"))
    requirements = [part.strip() for part in re.split(r"\n(?=\S)", body) if part.strip()]
    return {requirement.partition("==")[0]: requirement for requirement in requirements}


def platform_options(platform: str) -> t.List[str]:
    """pip's options to choose wheels for the image rather than for this machine."""
    machine = MACHINES[platform]
    tags = [f"manylinux_2_{minor}_{machine}" for minor in (28, 27, 24, 17)] + [f"manylinux2014_{machine}"]
    version = ["--python-version", PYTHON_VERSION, "--implementation", "cp"]
    return ["--only-binary=:all:", *version, *(f"--platform={tag}" for tag in tags)]


def _download(
    requirements: t.Sequence[str], folder: Path, platform: str, extra_index: str, scratch: Path, caller: Caller
) -> None:
    """Local versions (`2.13.0+cpu`), which no package index but the publisher's own must have, are collected by themselves:
    pip asks each of its indexes for each package, and tries one that does not answer for seconds every time."""
    local = [requirement for requirement in requirements if is_local_version(requirement)]
    command = [*pip("download"), "--dest", str(folder), *platform_options(platform)]
    for group in ([requirement for requirement in requirements if requirement not in local], local):
        if not group:
            continue
        collect = [*command, "--requirement", str(_write_requirements(group, scratch))]
        what = f"pip cannot collect the wheels of {_names(group)}"
        try:
            run(collect, caller, "wheels", what)
        except ImageError:
            if not extra_index or group is not local:
                raise
            run([*collect, "--extra-index-url", extra_index], caller, "wheels", f"{what}, from {extra_index} neither")


def is_local_version(requirement: str) -> bool:
    """Whether the version that is pinned is a local one: https://peps.python.org/pep-0440/#local-version-identifiers."""
    return "+" in requirement.split()[0]


def _names(requirements: t.Sequence[str]) -> str:
    names = [requirement.split()[0] for requirement in requirements]
    return ", ".join(names) if len(names) < MANY else f"{len(names)} packages"


def _build(sources: t.Sequence[str], folder: Path, scratch: Path, caller: Caller) -> t.List[str]:
    """Make wheels of verified source packages with the locked setuptools; the requirements that pin what was made."""
    listed = _write_requirements(sources, scratch)
    (setuptools,) = folder.glob("setuptools-*.whl")
    with zipfile.ZipFile(setuptools) as archive:
        archive.extractall(scratch / "setuptools")
    built = scratch / "built"
    command = [*pip("wheel"), "--no-build-isolation", "--wheel-dir", str(built), "--requirement", str(listed)]
    settings = {"PYTHONPATH": str(scratch / "setuptools"), "SOURCE_DATE_EPOCH": SOURCE_DATE_EPOCH}
    run(command, caller, "wheels", f"pip cannot build the wheel of {', '.join(SOURCES)}", {**os.environ, **settings})
    pinned = []
    for wheel in sorted(built.glob("*.whl")):
        if not wheel.name.endswith("-none-any.whl"):
            raise ImageError("wheels", f"{wheel.name} is not pure Python, so it does not fit every platform")
        shutil.copyfile(wheel, folder / wheel.name)
        name, version = wheel.name.split("-")[:2]
        pinned.append(f"{name.replace('_', '-')}=={version} --hash=sha256:{sha256_of(wheel)}")
    return pinned


def _write_requirements(requirements: t.Sequence[str], scratch: Path) -> Path:
    path = scratch / "requirements.txt"
    path.write_text("\n".join(requirements) + "\n", encoding="utf-8")
    return path
