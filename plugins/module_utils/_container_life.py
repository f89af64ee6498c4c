# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What every container of ours goes through on an engine: found image, creation, a look at its state, removal."""

from __future__ import annotations

import time
import typing as t

from ._container import (
    GRACE_SECONDS,
    PLATFORMS,
    Request,
    RunError,
    Warned,
    architecture,
    check_record,
    confinement,
    unprivileged_user,
)
from ._container_outcome import one_line
from ._docker import remove_container
from ._engine_turn import LABEL

try:
    from docker.errors import APIError, ImageNotFound, NotFound
    from requests.exceptions import RequestException
    from urllib3.exceptions import HTTPError
except ImportError:
    # The connection, without which nothing here is called, reports what is missing.
    APIError = ImageNotFound = NotFound = RequestException = HTTPError = OSError

if t.TYPE_CHECKING:
    from ._caller import Caller

TICK_SECONDS = 0.25
# An engine that restarts is back within this time; one that is not is lost.
ENGINE_PATIENCE_SECONDS = 10.0


def find_image(client: t.Any, name: str) -> t.Any:
    """The image; a `RunError` where the engine has none of this name."""
    try:
        return client.images.get(name)
    except ImageNotFound as error:
        raise RunError(
            "image_missing", f"the engine has no image {name} (none is pulled); build it with role runner_image"
        ) from error


def labels(request: Request, owner: str) -> t.Dict[str, str]:
    """What says of a container whose it is, and until when somebody may wait for it."""
    # It may wait for its turns as long as it may measure.
    deadline = time.time() + 2 * request.timeout_seconds + 4 * GRACE_SECONDS
    known = {"run-id": request.run_id, "target": request.target, "owner": owner, "deadline": f"{deadline:.0f}"}
    return {LABEL + name: value for name, value in known.items()}


def create(
    client: t.Any,
    image: t.Any,
    request: Request,
    facts: t.Dict[str, t.Any],
    *,
    command: t.List[str],
    owner: str,
    cpu: t.Optional[str],
    stdin_open: bool,
    entrypoint: t.Optional[t.List[str]] = None,
) -> t.List[Warned]:
    """Create the container that `facts` names, confined as asked for, and add what the engine recorded to `facts`.

    Gives warnings; raises `RunError` where the engine recorded other limits.
    """
    api = client.api
    created = api.create_container(
        image.id,
        command=command,
        entrypoint=entrypoint,
        name=facts["name"],
        user=unprivileged_user(image.attrs["Config"].get("User") or ""),
        labels=labels(request, owner),
        stdin_open=stdin_open,
        platform=PLATFORMS.get(architecture(image.attrs["Architecture"])),
        use_config_proxy=False,
        host_config=api.create_host_config(**confinement(request, cpu)),
    )
    record = api.inspect_container(created["Id"])
    facts.update(
        id=created["Id"],
        user=record["Config"]["User"],
        nano_cpus=record["HostConfig"]["NanoCpus"],
        cpuset_cpus=record["HostConfig"]["CpusetCpus"],
        memory_bytes=record["HostConfig"]["Memory"],
    )
    return check_record(request, record, cpu)


def inspect_state(client: t.Any, container_id: str, caller: Caller, how_far: t.Callable[[], str]) -> t.Dict[str, t.Any]:
    """The container's state; waits for an engine that restarts."""
    lost_since = time.monotonic()
    while True:
        try:
            return t.cast("t.Dict[str, t.Any]", client.api.inspect_container(container_id)["State"])
        except RequestException as error:
            if isinstance(error, NotFound):
                raise removed_from_outside(how_far()) from error
            if isinstance(error, APIError) or time.monotonic() - lost_since > ENGINE_PATIENCE_SECONDS:
                raise
            caller.pause(TICK_SECONDS)


def removed_from_outside(how_far: str) -> RunError:
    """What to say of a container that is gone before it was read."""
    return RunError("container_killed", f"the container was removed from outside{how_far}; run again")


def remove(client: t.Any, name: str) -> t.List[Warned]:
    """By name, since a create that was cut off may have succeeded; gives a warning where it could not be."""
    try:
        remove_container(client, name)
    except (RequestException, HTTPError) as error:
        return [
            Warned(
                code="container_left",
                message=f"container {name} could not be removed ({one_line(error)}); the next run on this engine "
                "removes it",
            )
        ]
    return []
