# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.rightsize.whisper.plugins.module_utils._caller import Caller
from ansible_collections.rightsize.whisper.plugins.module_utils._image_delivery import (
    DeliveryError,
    delivery_faults,
    described,
    full_name,
    push,
    save,
)
from docker import APIClient
from docker.errors import APIError, DockerException, InvalidRepository
from requests import Response
from requests.exceptions import ChunkedEncodingError
from urllib3.exceptions import ProtocolError

HASH = "ab" * 32


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("runner:base", "docker.io/library/runner:base"),
        ("team/runner:base", "docker.io/team/runner:base"),
        ("registry.example.com/runner:base", "registry.example.com/runner:base"),
        ("localhost/runner", "localhost/runner"),
        ("registry:5000/runner", "registry:5000/runner"),
    ],
)
def test_names_as_containerd_has_them(name: str, full: str) -> None:
    assert full_name(name) == full


def an_archive(folder: Path, manifest: Any) -> Path:
    path = folder / "image.tar"
    content = manifest if isinstance(manifest, bytes) else json.dumps(manifest).encode()
    with tarfile.open(path, "w") as tar:
        member = tarfile.TarInfo("manifest.json")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return path


@pytest.mark.parametrize("config", [f"{HASH}.json", f"blobs/sha256/{HASH}"])
def test_an_archive_tells_name_and_hash_as_old_and_new_engines_write_them(tmp_path: Path, config: str) -> None:
    archive = an_archive(tmp_path, [{"Config": config, "RepoTags": ["runner:base"], "Layers": []}])
    assert described(archive) == ("runner:base", f"sha256:{HASH}")


@pytest.mark.parametrize(
    "manifest",
    [
        b"{",
        [],
        {},
        [{}],
        [{"Config": "a.json", "RepoTags": None}],
        [{"Config": "a.json", "RepoTags": []}],
        [{"Config": "a.json", "RepoTags": ["a"]}, {"Config": "b.json", "RepoTags": ["b"]}],
    ],
)
def test_what_is_no_archive_of_one_image_is_told(tmp_path: Path, manifest: Any) -> None:
    with pytest.raises(DeliveryError, match="no archive of one named image"):
        described(an_archive(tmp_path, manifest))


def test_what_is_no_archive_at_all_is_told(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("text")
    with pytest.raises(DeliveryError, match="no archive of one named image"):
        described(tmp_path / "text")
    with pytest.raises(DeliveryError, match="cannot read the image in"):
        described(tmp_path / "nothing")


def fault(error: Exception) -> tuple[str, str]:
    with pytest.raises(DeliveryError) as caught, delivery_faults():
        raise error
    assert "\n" not in str(caught.value)
    return caught.value.kind, str(caught.value)


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (
            APIError("400", None, "name must be\nlowercase"),
            "engine_error",
            "the engine refused: name must be lowercase",
        ),
        (ProtocolError("broken"), "engine_lost", "the engine stopped answering (broken); start it and run again"),
        (ChunkedEncodingError("half"), "engine_lost", "the engine stopped answering (half); start it and run again"),
        (InvalidRepository("no scheme"), "bad_usage", "the Docker client refused: no scheme; mend image, repository"),
        (DockerException("no store"), "bad_usage", "or ~/.docker/config.json on this host"),
        (OSError(28, "No space left on device"), "archive", "on this host: No space left on device; free some space"),
    ],
    ids=["refused", "broken off", "half a piece", "no repository", "no credentials", "disk full"],
)
def test_a_fault_is_told_as_what_it_is_in_one_line(error: Exception, kind: str, words: str) -> None:
    assert fault(error)[0] == kind
    assert words in fault(error)[1]


def test_a_repository_with_a_scheme_is_told_to_be_none() -> None:
    image = SimpleNamespace(client=SimpleNamespace(api=APIClient("unix:///nowhere", version="1.44")), attrs={})
    repository = "https://registry.example.com/team/x"
    with pytest.raises(DeliveryError, match="cannot contain a scheme") as caught, delivery_faults():
        push(image, "runner:base", repository, None, Caller(""), False)
    assert caught.value.kind == "bad_usage"


def an_image_that_breaks_off(error: Exception) -> Any:
    def pieces(named: object) -> Iterator[bytes]:
        yield b"half"
        raise error

    return SimpleNamespace(tags=["runner:base"], save=pieces)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ChunkedEncodingError("broken"), "engine_lost"),
        (APIError("500", Response(), "no such layer"), "engine_error"),
        (OSError(28, "No space left on device"), "archive"),
    ],
    ids=["engine stopped", "engine refused", "disk full"],
)
def test_an_engine_that_stops_is_not_told_as_a_full_disk(tmp_path: Path, error: Exception, kind: str) -> None:
    with pytest.raises(DeliveryError) as caught, delivery_faults():
        save(an_image_that_breaks_off(error), "runner:base", tmp_path / "image.tar", Caller(""))
    assert caught.value.kind == kind
    assert ("free some space" in str(caught.value)) == (kind == "archive")
