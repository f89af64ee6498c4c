# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An engine that is told what images it has and how a build goes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from docker.errors import ImageNotFound


class FakeEngine:
    """Stands for a Docker client, and for its collections of images and API."""

    def __init__(self, *events: dict[str, Any]) -> None:
        self.images = self.api = self
        self.known: dict[str, Any] = {}
        self.asked: dict[str, Any] = {}
        self._events = events

    def add(self, name: str, architecture: str = "amd64", **labels: str) -> Any:
        self.known[name] = type(
            "Image",
            (),
            {
                "id": f"id of {name}",
                "labels": labels,
                "tags": [name],
                "attrs": {"Architecture": architecture, "Size": 1000, "RepoDigests": []},
                "tag": lambda image, *words: image.tags.append(":".join(words)),
                "reload": lambda image: None,
            },
        )()
        return self.known[name]

    def get(self, name: str) -> Any:
        try:
            return self.known[name]
        except KeyError:
            raise ImageNotFound(name) from None

    def build(self, **asked: Any) -> Iterator[dict[str, Any]]:
        self.asked = asked
        self.asked["context"] = asked["fileobj"].read()
        for event in self._events:
            if "aux" in event:
                self.add(asked["tag"], **asked["labels"])
            yield event
