# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.rightsize.whisper.plugins.module_utils._image_delivery import (
    DeliveryError,
    described,
    full_name,
)

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
