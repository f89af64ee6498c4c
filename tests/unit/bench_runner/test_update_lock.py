# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
from typing import Any

import pytest

from bench_runner import update_lock

LOCK = update_lock.HERE / "requirements.lock"


def reported(name: str, version: str, digest: str) -> dict[str, Any]:
    """An item of pip's report."""
    return {
        "metadata": {"name": name, "version": version},
        "download_info": {"url": "https://host.example/a.whl", "archive_info": {"hashes": {"sha256": digest}}},
    }


def test_the_lock_has_the_hashes_of_both_platforms_and_nothing_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(arguments: list[str]) -> list[dict[str, Any]]:
        if "--no-deps" in arguments:
            (pin,) = [argument for argument in arguments if "==" in argument]
            name, _equals, version = pin.partition("==")
            return [reported(name, version, f"{name} as published")]
        machine = "arm64" if any("aarch64" in argument for argument in arguments) else "amd64"
        return [
            reported("Pure_Python", "1.0", "same"),
            reported("numba", "0.1", f"numba for {machine}"),
            reported("triton", "3", "left out"),
        ]

    monkeypatch.setattr(update_lock, "resolve", resolve)
    locked = update_lock.collect("# comment\nopenai-whisper==1\ntorch==2\nnumba\n")
    assert locked["openai-whisper==1"] == {"openai-whisper as published"}
    assert locked["numba==0.1"] == {"numba for amd64", "numba for arm64"}
    assert locked["pure-python==1.0"] == {"same"}
    assert locked[update_lock.TORCH] == {"torch as published", update_lock.TORCH_SHA256_ARM64}
    assert len(locked) == 4
    assert not [text for text in locked if "triton" in text]


def test_it_is_written_as_pip_reads_it() -> None:
    text = update_lock.render({"b==2": {"22", "11"}, "a==1": {"33"}})
    body = [line for line in text.splitlines() if not line.startswith("#")]
    assert body == ["a==1 \\", "    --hash=sha256:33", "b==2 \\", "    --hash=sha256:11 \\", "    --hash=sha256:22"]


def test_the_lock_fits_what_it_was_made_from() -> None:
    text = LOCK.read_text()
    pins = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", text, re.MULTILINE))
    lines = (update_lock.HERE / "requirements.in").read_text().splitlines()
    wanted = [line.partition("==")[0] for line in lines if line and not line.startswith("#")]
    for line in [*update_lock.TOOLS, update_lock.TORCH]:
        name, _equals, version = line.partition("==")
        assert pins[name] == version
    assert {*wanted, *update_lock.NEEDED_BY_WHISPER, *update_lock.NEEDED_BY_TORCH} <= set(pins)
    assert update_lock.TORCH_SHA256_ARM64 in text
    assert not set(pins) & update_lock.LEFT_OUT
