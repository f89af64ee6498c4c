#!/usr/bin/python
# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: image_delivery
short_description: Bring the runner image to the nodes of a cluster
version_added: 0.1.0
author:
  - rightsize.whisper authors (@rightsize)
description:
  - Brings an image from the Docker engine of this host to where Pods run, by one of four ways, see O(method).
  - Says by which name Pods then get the image, and by which hashes its nodes may call it, so that
    M(rightsize.whisper.guaranteed_pod) can refuse any other image.
  - An image that is already there is not brought again.
extends_documentation_fragment:
  - rightsize.whisper.watched
  - rightsize.whisper.engine
attributes:
  check_mode:
    support: full
    description: Says whether the image would be brought. An image that would be pushed has no digest yet.
  diff_mode:
    support: none
    description: There is nothing to compare.
requirements:
  - docker >= 7 (Python package), except for O(archive) with O(method=ctr)
options:
  method:
    description:
      - V(push) pushes it to the registry of O(repository), from which the nodes pull it.
      - V(kind) imports it on every node of a C(kind) cluster that runs on this engine.
      - V(ctr) imports it into the containerd of this host, which is a node. Elsewhere, V(save) it here and run V(ctr) with
        O(archive) there.
      - V(save) writes it to O(archive).
      - V(shared) does nothing, since the kubelet uses this very engine.
    type: str
    choices: [push, kind, ctr, save, shared]
    required: true
  image:
    description: Name of the image on the engine. Required except for V(ctr) with O(archive).
    type: str
  repository:
    description: Where to push it, such as V(registry.example.com/team/whisper-benchmark). The tag is that of the image.
    type: str
  username:
    description: User at the registry. By default what C(docker login) left on this host is used.
    type: str
  password:
    description: Password or token of O(username).
    type: str
  kind_cluster:
    description: Name of the C(kind) cluster.
    type: str
    default: kind
  archive:
    description: The archive that V(save) writes and V(ctr) reads.
    type: path
  containerd_address:
    description: The socket of containerd, where C(ctr) does not find it by itself.
    type: str
seealso:
  - module: rightsize.whisper.runner_image
  - module: rightsize.whisper.guaranteed_pod
"""

EXAMPLES = r"""
- name: Push the runner image
  rightsize.whisper.image_delivery:
    method: push
    image: rightsize-whisper-runner:base
    repository: registry.example.com/team/whisper-benchmark
  register: delivered

- name: Bring it to a kind cluster
  rightsize.whisper.image_delivery:
    method: kind
    image: rightsize-whisper-runner:base
    kind_cluster: dev
  register: delivered

- name: Measure with it
  rightsize.whisper.guaranteed_pod:
    context: production
    image: "{{ delivered.image }}"
    image_ids: "{{ delivered.image_ids }}"
    pull_policy: "{{ delivered.pull_policy }}"
    architecture: "{{ delivered.architecture }}"
    target: xeon_pool
    run_id: 20261123t120000-0a1b2c3d
    result_dir: /var/tmp/results
"""

RETURN = r"""
image:
  description: The name by which Pods get the image.
  returned: success
  type: str
  sample: registry.example.com/team/whisper-benchmark@sha256:9f2c…
image_ids:
  description: Every hash by which a node may call the image.
  returned: success
  type: list
  elements: str
pull_policy:
  description: V(IfNotPresent) where a registry has it, V(Never) where the nodes do.
  returned: success
  type: str
architecture:
  description: The architecture of the image, V(x86_64) or V(arm64).
  returned: success, except for V(ctr) with O(archive)
  type: str
nodes:
  description: The nodes of the C(kind) cluster.
  returned: success
  type: list
  elements: str
failure:
  description:
    - Why the image is not there, in a word that stays the same. V(no_engine), V(engine_error), V(engine_lost), V(image_missing),
      V(bad_usage), V(push), V(no_nodes), V(ctr), V(archive), V(interrupted), V(lease_lost).
  returned: failure
  type: str
"""

import typing as t
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._arguments import ENGINE, WATCHED
from ..module_utils._caller import Abandoned, Caller
from ..module_utils._container import architecture
from ..module_utils._docker import EngineError, connect
from ..module_utils._image_delivery import (
    Delivered,
    DeliveryError,
    archived,
    delivery_faults,
    find_image,
    load_into_containerd,
    load_into_kind,
    push,
    save,
    share,
)

ARGUMENT_SPEC: t.Dict[str, t.Dict[str, t.Any]] = {
    "method": {"type": "str", "choices": ["push", "kind", "ctr", "save", "shared"], "required": True},
    "image": {"type": "str"},
    "repository": {"type": "str"},
    "username": {"type": "str"},
    "password": {"type": "str", "no_log": True},
    "kind_cluster": {"type": "str", "default": "kind"},
    "archive": {"type": "path"},
    "containerd_address": {"type": "str"},
    **ENGINE,
    **WATCHED,
}


def deliver(options: t.Dict[str, t.Any], caller: Caller, check: bool) -> t.Dict[str, t.Any]:
    """Bring the image where it is wanted; gives what is told about it."""
    address = options["containerd_address"]
    if options["method"] == "ctr" and options["archive"]:
        return load_into_containerd(Path(options["archive"]), address, caller, check)._asdict()
    client, _engine = connect(options["engine_url"], options["allow_remote"])
    name = options["image"]
    image = find_image(client, name)
    return {
        **_deliver_from_engine(client, image, options, caller, check)._asdict(),
        "architecture": architecture(image.attrs["Architecture"]),
    }


def _deliver_from_engine(
    client: t.Any, image: t.Any, options: t.Dict[str, t.Any], caller: Caller, check: bool
) -> Delivered:
    method, name = options["method"], options["image"]
    if method == "push":
        known = {"username": options["username"], "password": options["password"]} if options["username"] else None
        return push(image, name, options["repository"], known, caller, check)
    if method == "kind":
        return load_into_kind(client, image, name, options["kind_cluster"], caller, check)
    if method == "ctr":
        with archived(image, name, caller) as archive:
            return load_into_containerd(archive, options["containerd_address"], caller, check)
    if method == "save" and not check:
        save(image, name, Path(options["archive"]), caller)
    return share(image, name)._replace(changed=method == "save")


def main() -> None:
    module = AnsibleModule(
        argument_spec=ARGUMENT_SPEC,
        required_if=[
            ("method", "push", ["image", "repository"]),
            ("method", "kind", ["image"]),
            ("method", "ctr", ["image", "archive"], True),
            ("method", "save", ["image", "archive"]),
            ("method", "shared", ["image"]),
        ],
        required_together=[("username", "password")],
        supports_check_mode=True,
    )
    options = module.params
    try:
        caller = Caller("[image] delivery:", options["progress_dir"], options["lease_seconds"])
        with caller, delivery_faults():
            answer = deliver(options, caller, module.check_mode)
    except (Abandoned, EngineError, DeliveryError) as error:
        module.fail_json(failure=error.kind, msg=str(error))
    module.exit_json(**answer)


if __name__ == "__main__":
    main()
