# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.rightsize.whisper.plugins.module_utils import _image_base as bases
from ansible_collections.rightsize.whisper.plugins.module_utils._caller import Caller
from ansible_collections.rightsize.whisper.plugins.module_utils._image_base import Base
from ansible_collections.rightsize.whisper.plugins.module_utils._image_tools import ImageError
from docker.errors import APIError, DockerException, ImageNotFound
from requests import Response

REFERENCE = "python:3.11"


class Engine:
    """A client of an engine that knows some images, and cannot pull."""

    def __init__(self, *images: str, architecture: str = "amd64", error: Exception | None = None) -> None:
        self.images = self.api = self
        self._known = images
        self._architecture = architecture
        self._error = error

    def get(self, name: str) -> Any:
        if name not in self._known:
            raise ImageNotFound(name)
        return type("Image", (), {"id": f"id of {name}", "attrs": {"Architecture": self._architecture}})

    def inspect_distribution(self, name: str) -> None:
        if self._error:
            raise self._error

    def pull(self, name: str, **options: Any) -> Iterator[dict[str, Any]]:
        if self._error:
            raise self._error
        yield {"error": f"no matching manifest for {options['platform']}\nin the manifest list"}


def api_error(status: int, words: str) -> APIError:
    response = Response()
    response.status_code = status
    return APIError(words, response, words)


UNREACHABLE = api_error(500, "dial tcp: lookup registry: no such host")
UNKNOWN = api_error(404, "manifest unknown")


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr(Caller, "say", lambda self, words: lines.append(words))
    return lines


@pytest.fixture
def caller() -> Iterator[Caller]:
    with Caller("[image] base:") as waiting:
        yield waiting


def test_the_named_base_goes_before_what_was_made_in_its_place() -> None:
    made = bases.stand_in_name(REFERENCE, "amd64")
    assert bases.find_base(Engine(made, REFERENCE), REFERENCE, "amd64") == Base(f"id of {REFERENCE}", "engine")
    assert bases.find_base(Engine(made), REFERENCE, "amd64") == Base(f"id of {made}", "debootstrap")
    assert bases.find_base(Engine(), REFERENCE, "amd64") is None


def test_a_base_of_another_architecture_is_none() -> None:
    assert bases.find_base(Engine(REFERENCE, architecture="arm64"), REFERENCE, "amd64") is None


def test_what_stands_in_has_the_name_of_what_it_is_made_of(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {bases.stand_in_name(*words) for words in ((REFERENCE, "amd64"), (REFERENCE, "arm64"), ("other", "amd64"))}
    monkeypatch.setattr(bases, "SUITE", "trixie")
    assert len(names | {bases.stand_in_name(REFERENCE, "amd64")}) == 4


def test_whether_a_registry_answers() -> None:
    assert bases.registry_answers(Engine(), REFERENCE)
    assert bases.registry_answers(Engine(error=UNKNOWN), REFERENCE)
    assert not bases.registry_answers(Engine(error=UNREACHABLE), REFERENCE)
    assert not bases.registry_answers(Engine(error=DockerException("no engine")), REFERENCE)


@pytest.mark.parametrize(
    ("error", "words"),
    [(UNKNOWN, "manifest unknown"), (None, "no matching manifest for linux/arm64 in the manifest list")],
)
def test_a_registry_that_says_no_is_believed(caller: Caller, error: Exception | None, words: str) -> None:
    with pytest.raises(ImageError) as caught:
        bases.provide_base(Engine(error=error), REFERENCE, "arm64", caller)
    assert (caught.value.kind, str(caught.value)) == ("base", f"cannot pull the base image {REFERENCE}: {words}")


def test_without_a_registry_root_or_debootstrap_there_is_no_base(
    monkeypatch: pytest.MonkeyPatch, said: list[str], caller: Caller
) -> None:
    monkeypatch.setattr(bases.shutil, "which", lambda program: None)
    with pytest.raises(ImageError, match=r"takes root and the program debootstrap; .*runner_image_base$") as caught:
        bases.provide_base(Engine(error=UNREACHABLE), REFERENCE, "amd64", caller)
    assert caught.value.kind == "base"
    assert said[-1] == "no registry answers: making the base image from Debian's packages"
