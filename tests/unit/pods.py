# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Requests for Pods, and what a cluster makes of them."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

from ansible_collections.rightsize.whisper.plugins.module_utils._container import Request
from ansible_collections.rightsize.whisper.plugins.module_utils._pod_manifest import Object, PodRequest, manifest

RUN_ID = "20261123t120000-0a1b2c3d"
OWNER = "0123456789abcdef" * 2
IMAGE_ID = "sha256:" + "ab" * 32


def a_request(**changes: Any) -> PodRequest:
    """`changes` are of the run where it has them, else of the Pod."""
    run = Request(
        image="registry.example.com/whisper@" + IMAGE_ID,
        target="xeon pool",
        run_id=RUN_ID,
        model="base",
        iterations=50,
        processes=5,
        threads=1,
        warmup=1,
        cpus=1,
        memory_bytes=4 * 2**30,
        timeout_seconds=600,
    )
    of_run = {name: changes.pop(name) for name in list(changes) if hasattr(run, name) and name != "audio"}
    request = PodRequest(run=replace(run, **of_run), namespace="whisper", memory="4Gi", image_ids=(IMAGE_ID,))
    return replace(request, **changes)


def a_pod(request: PodRequest | None = None, number: int = 1, **status: Any) -> Object:
    """A Pod as the cluster gives it back; `status` completes what is already there."""
    pod = copy.deepcopy(manifest(request or a_request(), number, OWNER, 2_000_000_000))
    pod["metadata"]["uid"] = f"uid-{number}"
    pod["spec"]["nodeName"] = "node-1"
    pod["status"] = {"phase": "Pending", "qosClass": "Guaranteed", **status}
    return pod


def container_status(name: str = "benchmark", **state: Any) -> Object:
    return {"name": name, "imageID": f"docker-pullable://registry.example.com/whisper@{IMAGE_ID}", "state": state}


def terminated(code: int, reason: str = "Error", message: str = "", seconds: int = 30) -> list[Object]:
    """The statuses of a Pod whose container ended."""
    return [
        container_status(
            terminated={
                "exitCode": code,
                "reason": reason,
                "message": message,
                "startedAt": "2026-11-23T12:00:00Z",
                "finishedAt": f"2026-11-23T12:{seconds // 60:02}:{seconds % 60:02}Z",
            }
        )
    ]
