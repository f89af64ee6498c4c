# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Python packages made for a test, and a pip that knows nothing else."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest


def make_wheel(
    folder: Path,
    name: str,
    tag: str = "py3-none-any",
    members: dict[str, bytes] | None = None,
    version: str = "1.0",
) -> Path:
    """The smallest wheel that pip takes."""
    path = folder / f"{name}-{version}-{tag}.whl"
    metadata = {
        f"{name}-{version}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{name}-{version}.dist-info/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n".encode(),
        f"{name}-{version}.dist-info/RECORD": b"",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for member, content in {**metadata, **(members or {})}.items():
            archive.writestr(member, content)
    return path


def only_index(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let pip find packages in this folder alone."""
    folder.mkdir()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder
