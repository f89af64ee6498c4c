# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The runner image: whether it has to be built, and the build."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import shutil
import tempfile
import typing as t
from pathlib import Path

from ._image_parts import (
    Found,
    ImageError,
    bootstrap_base,
    collect_wheels,
    local_base,
    locate_checkpoint,
    published_models,
    pull_base,
    registry_answers,
    sha256_of,
    verified,
    wait_for_lock,
)

try:
    from docker.errors import ImageNotFound
except ImportError:
    # The connection, without which nothing here is called, reports what is missing.
    ImageNotFound = OSError

if t.TYPE_CHECKING:
    from ._caller import Caller

NAME = "rightsize-whisper-runner"
LABEL = "io.rightsize.whisper."
# What the build itself reads of the runner's source.
NEEDED_FILES = ("Dockerfile", "models.json", "requirements.lock")
STEP = re.compile(r"Step (?P<number>\d+)/(?P<of>\d+) : (?P<instruction>.*)")
TERMINAL_COLOURS = re.compile(r"\x1b\[\d*m")
# What the builder says itself, between what the commands say.
BUILDER_CHATTER = ("--->", "Removing intermediate container")
PLATFORMS = {"x86_64": "amd64", "arm64": "arm64"}


class Wanted(t.NamedTuple):
    """What image is asked for."""

    package: Path
    model: str
    base: str
    platform: str
    checkpoint: t.Optional[Path]
    checkpoint_sha256: t.Optional[str]
    cache: Path
    extra_index: str


class Plan(t.NamedTuple):
    """What it would be made of, by hash, and the image that is there already, if it is."""

    inputs: t.Dict[str, str]
    image: t.Optional[t.Any]
    base: t.Optional[t.Tuple[str, str]]

    @property
    def sha256(self) -> str:
        return hashlib.sha256(json.dumps(self.inputs, sort_keys=True).encode()).hexdigest()


def make_plan(client: t.Any, wanted: Wanted) -> Plan:
    """Hash the inputs and look for the image that was made of them."""
    inputs = {f"bench_runner/{name}": digest for name, digest in package_files(wanted.package).items()}
    models = published_models(wanted.package)["models"]
    if wanted.model not in models:
        raise ImageError("model", f"openai-whisper has no model {wanted.model!r}; it has {', '.join(sorted(models))}")
    base = local_base(client, wanted.base)
    inputs.update(
        model=wanted.model,
        platform=wanted.platform,
        base=base[0] if base else "none yet",
        checkpoint=sha256_of(verified(wanted.checkpoint, wanted.checkpoint_sha256))
        if wanted.checkpoint
        else "as published",
    )
    plan = Plan(inputs, None, base)
    with contextlib.suppress(ImageNotFound):
        plan = plan._replace(image=client.images.get(tag(wanted, plan)))
    return plan


def package_files(package: Path) -> t.Dict[str, str]:
    """The hash of every file that goes into the image or says how it is built."""
    try:
        files = sorted(path for path in package.iterdir() if path.is_file() and not path.name.startswith("."))
        found = {path.name: sha256_of(path) for path in files}
    except OSError as error:
        raise ImageError("source", f"cannot read the runner's source in {package}: {error.strerror}") from error
    for name in NEEDED_FILES:
        if name not in found:
            raise ImageError("source", f"no {name} in {package}, which should be the collection's bench_runner")
    return found


def tag(wanted: Wanted, plan: Plan) -> str:
    """The name of the image: the model, and what it is made of."""
    return f"{NAME}:{wanted.model}-{plan.sha256[:12]}"


def needs_debootstrap(client: t.Any, wanted: Wanted, plan: Plan) -> bool:
    """Whether the base has to be made from Debian's packages."""
    return plan.base is None and not registry_answers(client, wanted.base)


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


def build(client: t.Any, engine_id: str, wanted: Wanted, caller: Caller) -> t.Tuple[Plan, bool]:
    """The image, made if it is not there; whether it was made."""
    lock = Path(tempfile.gettempdir()) / f"{NAME}-{hashlib.sha256(engine_id.encode()).hexdigest()[:16]}.lock"
    with lock.open("a") as file:
        wait_for_lock(file, caller)
        plan = make_plan(client, wanted)
        if plan.image is not None:
            return plan, False
        if plan.base is None:
            provide_base(client, wanted, caller)
            plan = make_plan(client, wanted)
        caller.say("collecting the wheels")
        wheels = collect_wheels(wanted.package, wanted.cache, wanted.platform, wanted.extra_index, caller)
        caller.say("looking for the checkpoint")
        checkpoint = locate_checkpoint(
            wanted.package, wanted.model, wanted.checkpoint, wanted.checkpoint_sha256, wanted.cache, caller
        )
        with tempfile.TemporaryDirectory(prefix="rightsize-whisper-context-") as folder:
            context = Path(folder)
            fill_context(context, wanted, plan, wheels, checkpoint)
            image_id = build_context(client, context, wanted, plan, checkpoint, caller)
    image = client.images.get(image_id)
    image.tag(NAME, wanted.model)
    return plan._replace(image=image), True


def provide_base(client: t.Any, wanted: Wanted, caller: Caller) -> None:
    """Pull the base image, or make it where no registry answers."""
    if registry_answers(client, wanted.base):
        caller.say(f"pulling the base image {wanted.base}")
        pull_base(client, wanted.base, wanted.platform)
    else:
        caller.say("no registry answers: making the base image from Debian's packages")
        bootstrap_base(client, wanted.platform, caller)


def fill_context(context: Path, wanted: Wanted, plan: Plan, wheels: Path, checkpoint: Found) -> None:
    """Lay out what the Dockerfile copies, which must be what was planned."""
    package = context / "bench_runner"
    package.mkdir()
    for name, digest in package_files(wanted.package).items():
        shutil.copy2(wanted.package / name, package / name)
        if plan.inputs.get(f"bench_runner/{name}") != digest or sha256_of(package / name) != digest:
            raise ImageError("source", f"{wanted.package / name} changed while it was read; run it again")
    shutil.copy2(package / "Dockerfile", context / "Dockerfile")
    shutil.copytree(wheels, context / "wheels")
    (context / "checkpoint").mkdir()
    is_checkpoint = checkpoint.source == "file" or checkpoint.path.suffix == ".pt"
    shutil.copyfile(checkpoint.path, context / "checkpoint" / ("model.pt" if is_checkpoint else "model.bin"))


def build_context(client: t.Any, context: Path, wanted: Wanted, plan: Plan, checkpoint: Found, caller: Caller) -> str:
    """Have the engine build it; the image's id, or an ImageError with the step that failed and its last words."""
    assert plan.base is not None
    labels = {
        f"{LABEL}inputs": plan.sha256,
        f"{LABEL}input-hashes": json.dumps(plan.inputs, sort_keys=True),
        f"{LABEL}model": wanted.model,
        f"{LABEL}checkpoint-source": checkpoint.source,
        f"{LABEL}base": plan.base[1],
    }
    is_foreign = PLATFORMS.get(client.info()["Architecture"].replace("aarch64", "arm64")) != wanted.platform
    stream = client.api.build(
        path=str(context),
        tag=tag(wanted, plan),
        buildargs={"BASE": plan.base[0], "MODEL": wanted.model},
        labels=labels,
        network_mode="none",
        platform=f"linux/{wanted.platform}" if is_foreign else None,
        rm=True,
        forcerm=True,
        decode=True,
    )
    step, words, image_id = "the first step", "", ""
    for event in stream:
        caller.check()
        text = TERMINAL_COLOURS.sub("", str(event.get("stream", ""))).strip()
        started = STEP.match(text)
        if started:
            step = f"step {started['number']} of {started['of']} ({started['instruction'][:60].strip()})"
            words = ""
            caller.say(f"building, {step}")
        elif text and not text.startswith(BUILDER_CHATTER):
            words = text.splitlines()[-1][:300]
        if "aux" in event:
            image_id = event["aux"].get("ID", image_id)
        if "error" in event:
            raise ImageError("build", f"the image's build failed at {step}: {words or event['error']}")
    if not image_id:
        raise ImageError("build", f"the engine ended the build after {step} without an image")
    return image_id


def describe(wanted: Wanted, plan: Plan) -> t.Dict[str, t.Any]:
    """The image, for whoever uses it next."""
    assert plan.image is not None
    labels = plan.image.labels
    return {
        "id": plan.image.id,
        "name": tag(wanted, plan),
        "architecture": {"amd64": "x86_64"}.get(plan.image.attrs["Architecture"], plan.image.attrs["Architecture"]),
        "size_bytes": plan.image.attrs["Size"],
        "model": wanted.model,
        "inputs_sha256": plan.sha256,
        "checkpoint_source": labels.get(f"{LABEL}checkpoint-source"),
        "base_source": labels.get(f"{LABEL}base"),
    }
