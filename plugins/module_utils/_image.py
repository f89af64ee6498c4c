# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The runner image: what it is made of, by hash, and whether an engine has it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import tarfile
import typing as t
from pathlib import Path

from ._docker import ARCHITECTURES
from ._image_base import Base, find_base
from ._image_checkpoint import Checkpoint, given_checkpoint
from ._image_tools import ImageError, one_line
from ._image_wheels import RECIPE

try:
    from docker.errors import ImageNotFound
except ImportError:
    # The connection, without which nothing here is called, reports what is missing.
    ImageNotFound = OSError

NAME = "rightsize-whisper-runner"
LABEL = "io.rightsize.whisper."
# Architecture -> the engine's word for it.
PLATFORMS = {"x86_64": "amd64", "arm64": "arm64"}


class Wanted(t.NamedTuple):
    """What image is asked for."""

    files: t.Dict[str, bytes]
    model: str
    base: str
    platform: str
    is_foreign: bool
    checkpoint: t.Optional[Checkpoint]
    cache: Path
    extra_index: str


class Plan(t.NamedTuple):
    """What it would be made of, and the image that was made of the same, where there is one."""

    inputs: t.Dict[str, str]
    base: t.Optional[Base]
    image: t.Any = None

    @property
    def sha256(self) -> str:
        return hashlib.sha256(json.dumps(self.inputs, sort_keys=True).encode()).hexdigest()


def wanted_image(options: t.Dict[str, t.Any], architecture: str) -> Wanted:
    """What the module's options ask for on an engine of this architecture, checked as far as that needs no engine."""
    files = read_source(Path(options["source"]))
    models = published_models(files)["models"]
    if options["model"] not in models:
        raise ImageError(
            "model", f"openai-whisper has no model {options['model']!r}; it has {', '.join(sorted(models))}"
        )
    own_platform = PLATFORMS.get(architecture)
    platform = options["platform"] or own_platform
    if platform is None:
        raise ImageError("platform", f"the engine runs on {architecture}, for which no wheels are locked")
    checkpoint = options["checkpoint"]
    return Wanted(
        files=files,
        model=options["model"],
        base=options["base"],
        platform=platform,
        is_foreign=platform != own_platform,
        checkpoint=given_checkpoint(Path(checkpoint), options["checkpoint_sha256"]) if checkpoint else None,
        cache=Path(options["cache_dir"]),
        extra_index=options["extra_index_url"],
    )


def read_source(archive: Path) -> t.Dict[str, bytes]:
    """The files of bench_runner, by name, from the archive that the action plugin brought."""
    try:
        with tarfile.open(archive) as tar:
            files = {member.name: tar.extractfile(member) for member in tar if member.isfile()}
            found = {name: file.read() for name, file in files.items() if file is not None}
    except (OSError, tarfile.TarError) as error:
        raise ImageError("source", f"cannot read the runner's source in {archive}: {one_line(error)}") from error
    missing = sorted({"Dockerfile", "requirements.lock", "models.json"} - set(found))
    if missing:
        raise ImageError("source", f"the runner's source has no {' and no '.join(missing)}")
    return found


def published_models(files: t.Dict[str, bytes]) -> t.Dict[str, t.Any]:
    """What openai-whisper publishes, from the package's own table."""
    try:
        return t.cast(t.Dict[str, t.Any], json.loads(files["models.json"]))
    except ValueError as error:
        raise ImageError("source", f"the runner's models.json is damaged: {error}") from error


def make_plan(client: t.Any, wanted: Wanted) -> Plan:
    """Hash the inputs and look for the image that was made of them."""
    base = find_base(client, wanted.base, wanted.platform)
    plan = Plan(hash_inputs(wanted, base), base)
    with contextlib.suppress(ImageNotFound):
        plan = plan._replace(image=client.images.get(image_name(wanted, plan)))
    return plan


def hash_inputs(wanted: Wanted, base: t.Optional[Base]) -> t.Dict[str, str]:
    """The identity of everything that the image depends on."""
    inputs = {f"bench_runner/{name}": hashlib.sha256(data).hexdigest() for name, data in wanted.files.items()}
    return {
        **inputs,
        "model": wanted.model,
        "platform": wanted.platform,
        "wheels": f"made by recipe {RECIPE}",
        "base": f"{wanted.base}, {base.id if base else 'which is not there yet'}",
        "checkpoint": wanted.checkpoint.sha256 if wanted.checkpoint else "as published",
    }


def image_name(wanted: Wanted, plan: Plan) -> str:
    """The name of the image: the model, and what it is made of."""
    return f"{NAME}:{wanted.model}-{plan.sha256[:12]}"


def changed_inputs(client: t.Any, wanted: Wanted, plan: Plan) -> t.Dict[str, t.Dict[str, str]]:
    """Old and new hashes of what differs from the newest image of this model, for diff mode."""
    before: t.Dict[str, str] = {}
    with contextlib.suppress(ImageNotFound):
        labels = client.images.get(f"{NAME}:{wanted.model}").labels
        before = json.loads(labels.get(f"{LABEL}input-hashes", "{}"))
    names = sorted(name for name in {**before, **plan.inputs} if before.get(name) != plan.inputs.get(name))
    return {
        "before": {name: before[name] for name in names if name in before},
        "after": {name: plan.inputs[name] for name in names if name in plan.inputs},
    }


def describe(wanted: Wanted, plan: Plan) -> t.Dict[str, t.Any]:
    """The image, for whoever uses it next."""
    labels, attributes = plan.image.labels, plan.image.attrs
    return {
        "id": plan.image.id,
        "name": image_name(wanted, plan),
        "tags": plan.image.tags,
        "architecture": ARCHITECTURES.get(attributes["Architecture"], attributes["Architecture"]),
        "size_bytes": attributes["Size"],
        "model": wanted.model,
        "inputs_sha256": plan.sha256,
        "checkpoint": {
            "sha256": labels.get(f"{LABEL}checkpoint-sha256"),
            "source": labels.get(f"{LABEL}checkpoint-source"),
        },
        "base": {"name": labels.get(f"{LABEL}base"), "source": labels.get(f"{LABEL}base-source")},
    }
