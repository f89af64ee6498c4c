# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Building the runner image: collect its parts, hand them to the engine, say how far it is."""

from __future__ import annotations

import contextlib
import io
import json
import re
import tarfile
import tempfile
import typing as t
from pathlib import Path

from ._docker import engine_faults
from ._engine_turn import EngineTurn
from ._image import LABEL, NAME, Plan, Wanted, image_name, make_plan, published_models
from ._image_base import provide_base
from ._image_checkpoint import Checkpoint, published_checkpoint
from ._image_tools import ImageError, one_line, stream
from ._image_wheels import collect_wheels

try:
    from docker.errors import ImageNotFound
except ImportError:
    # The connection, without which nothing here is called, reports what is missing.
    ImageNotFound = ImportError

if t.TYPE_CHECKING:
    from ._caller import Caller

STEP = re.compile(r"Step (?P<number>\d+)/(?P<of>\d+) : (?P<instruction>.*)")
TERMINAL_COLOURS = re.compile(r"\x1b\[\d*m")
# What the builder says itself, between what the commands say.
BUILDER_CHATTER = ("--->", "Removing intermediate container")


def build(client: t.Any, engine_id: str, wanted: Wanted, caller: Caller) -> t.Tuple[Plan, bool]:
    """The image, made if it is not there, and named by its model; whether anything had to be done.

    A build takes the engine's turn as a run does: it would disturb a measurement, and two would do the same work.
    """
    with EngineTurn(client, engine_id, caller):
        plan = make_plan(client, wanted)
        if plan.base is None:
            provide_base(client, wanted.base, wanted.platform, caller)
            plan = make_plan(client, wanted)
        if plan.image is not None:
            return plan, name_by_model(client, wanted, plan)
        caller.say("collecting the wheels")
        lock = wanted.files["requirements.lock"].decode()
        wheels = collect_wheels(lock, wanted.cache, wanted.platform, wanted.extra_index, caller)
        caller.say("looking for the checkpoint")
        checkpoint = wanted.checkpoint or published_checkpoint(
            published_models(wanted.files), wanted.model, wanted.cache, caller
        )
        caller.say("sending the parts to the engine")
        with tempfile.TemporaryFile() as context:
            write_context(context, wanted.files, wheels, checkpoint)
            _build_context(client, context, wanted, plan, checkpoint, caller)
        plan = plan._replace(image=client.images.get(image_name(wanted, plan)))
        name_by_model(client, wanted, plan)
    return plan, True


def name_by_model(client: t.Any, wanted: Wanted, plan: Plan) -> bool:
    """Let the model's name mean this image; whether it meant none, or another."""
    if has_models_name(client, wanted, plan):
        return False
    plan.image.tag(NAME, wanted.model)
    plan.image.reload()
    return True


def has_models_name(client: t.Any, wanted: Wanted, plan: Plan) -> bool:
    """Whether the planned image is there, and is the one that the model's name means."""
    if plan.image is None:
        return False
    try:
        # Not by the image's tags: Podman puts a registry before them.
        return bool(client.images.get(f"{NAME}:{wanted.model}").id == plan.image.id)
    except ImageNotFound:
        return False


def write_context(
    context: t.IO[bytes], files: t.Dict[str, bytes], wheels: Path, checkpoint: t.Optional[Checkpoint]
) -> None:
    """Archive what the Dockerfile copies: readable by everybody, whatever it was here."""
    with tarfile.open(fileobj=context, mode="w") as tar:
        for name, data in files.items():
            _add(tar, f"bench_runner/{name}", io.BytesIO(data), len(data))
        _add(tar, "Dockerfile", io.BytesIO(files["Dockerfile"]), len(files["Dockerfile"]))
        parts = {f"wheels/{path.name}": path for path in sorted(wheels.iterdir())}
        if checkpoint is not None:
            parts[f"checkpoint/model.{'bin' if checkpoint.is_conversion else 'pt'}"] = checkpoint.path
        for name, path in parts.items():
            with path.open("rb") as file:
                _add(tar, name, file, path.stat().st_size)
    context.seek(0)


def _add(tar: tarfile.TarFile, name: str, content: t.IO[bytes], size: int) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o644
    tar.addfile(member, content)


def _build_context(
    client: t.Any, context: t.IO[bytes], wanted: Wanted, plan: Plan, checkpoint: Checkpoint, caller: Caller
) -> None:
    """Have the engine build it, or raise an ImageError with the step that failed and its last words."""
    if plan.base is None:
        raise ImageError("base", "there is no base image to build on")
    labels = {
        "inputs": plan.sha256,
        "input-hashes": json.dumps(plan.inputs, sort_keys=True),
        "model": wanted.model,
        "checkpoint-sha256": checkpoint.sha256,
        "checkpoint-source": checkpoint.source,
        "base": wanted.base,
        "base-source": plan.base.source,
    }
    arguments = {
        "fileobj": context,
        "custom_context": True,
        "tag": image_name(wanted, plan),
        "buildargs": {"BASE": plan.base.id, "MODEL": wanted.model, "CHECKPOINT_SHA256": checkpoint.sha256},
        "labels": {LABEL + name: value for name, value in labels.items()},
        "network_mode": "none",
        "rm": True,
        "forcerm": True,
        "decode": True,
    }
    if wanted.is_foreign:
        # Not always: engines before 23 take a platform only with experimental features on.
        arguments["platform"] = f"linux/{wanted.platform}"
    step, words = "its first step", ""
    for event in stream(lambda: client.api.build(**arguments), caller):
        text = TERMINAL_COLOURS.sub("", str(event.get("stream", ""))).strip()
        started = STEP.match(text)
        if started:
            step = f"step {started['number']} of {started['of']} ({started['instruction'][:60].strip()})"
            words = ""
            caller.say(f"building, {step}")
        elif text and not text.startswith(BUILDER_CHATTER):
            words = text.splitlines()[-1]
        if "error" in event:
            raise ImageError("build", f"the image's build failed at {step}: {one_line(words or event['error'])}")


@contextlib.contextmanager
def image_faults() -> t.Iterator[None]:
    """Say what an error of the engine or of this machine means for the image."""
    try:
        with engine_faults(ImageError):
            yield
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise ImageError("storage", f"cannot keep the image's parts on this host: {error.strerror}{where}") from error
