#!/usr/bin/python
# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: clean_pods
short_description: Remove the benchmark's Pods that killed runs have left
version_added: 0.1.0
author:
  - rightsize.whisper authors (@rightsize)
description:
  - Removes Pods of M(rightsize.whisper.guaranteed_pod) that nobody waits for. These are Pods of a run of this O(target) that
    was started by this user on this controller and was killed, and anybody's Pods once their deadline has passed.
  - A result that such a Pod has finished is written to O(result_dir) first. Results that are there already, because a run was
    killed before it could record them, are returned too.
  - Run it on the controller.
extends_documentation_fragment:
  - rightsize.whisper.cluster
attributes:
  check_mode:
    support: full
    description: Says what would be removed.
  diff_mode:
    support: none
    description: The names of the Pods are all there is to see.
requirements:
  - kubernetes >= 31, < 38 (Python package)
options:
  target:
    description: The target, as it was named to M(rightsize.whisper.guaranteed_pod).
    type: str
    required: true
  all:
    description: Remove every Pod of the benchmark in the namespace, also those of runs that are under way.
    type: bool
    default: false
  result_dir:
    description: A folder for results that are not in the history yet, created where it is missing.
    type: path
    required: true
seealso:
  - module: rightsize.whisper.guaranteed_pod
  - module: rightsize.whisper.clean_containers
"""

EXAMPLES = r"""
- name: Remove what killed runs have left
  rightsize.whisper.clean_pods:
    context: production
    namespace: whisper-benchmark
    target: xeon_pool
    result_dir: "{{ playbook_dir }}/results/unrecorded"
"""

RETURN = r"""
removed:
  description: Names of the Pods that were removed, or in check mode would be.
  returned: always
  type: list
  elements: str
  sample: [whisper-benchmark-20261123t120000-0a1b2c3d]
rescued:
  description: Results that killed runs had finished, and that should be recorded now.
  returned: always
  type: list
  elements: dict
  contains:
    run_id:
      description: The run.
      type: str
    file:
      description: Where its result was written.
      type: str
    result:
      description: The result.
      type: dict
failure:
  description: Why nothing or not everything was removed, in a word that stays the same, as M(rightsize.whisper.guaranteed_pod) has it.
  returned: failure
  type: str
  sample: forbidden
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._arguments import CLUSTER
from ..module_utils._container import RunError
from ..module_utils._kubernetes import Cluster, ClusterError
from ..module_utils._pod_owner import idle_target
from ..module_utils._pod_rescue import Rescue, pods_of_killed_runs

RIGHTS = (("get", "pods"), ("list", "pods"), ("delete", "pods"), ("get", "pods/log"))


def clean(cluster: Cluster, namespace: str, rescue: Rescue, options: t.Dict[str, t.Any], check: bool) -> t.List[str]:
    """Remove them; gives the names of those that were, or would be."""
    cluster.require(RIGHTS, namespace)
    with idle_target(cluster.server, namespace, options["target"]) as owner:
        pods = pods_of_killed_runs(cluster, namespace, owner, options["all"])
        if check:
            return [pod.name for pod in pods]
        # The files of a run that is under way are that run's.
        if owner is not None:
            rescue.find_files(options["target"])
        rescue.save_finished(pods)
        rescue.remove(pods)
        return rescue.removed


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **CLUSTER,
            "target": {"type": "str", "required": True},
            "all": {"type": "bool", "default": False},
            "result_dir": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    options = module.params
    answer: t.Dict[str, t.Any] = {"changed": False, "removed": [], "rescued": []}
    try:
        cluster = Cluster(options["kubeconfig"], options["context"])
        rescue = Rescue(cluster, options["result_dir"])
        namespace = options["namespace"] or cluster.namespace
        removed = clean(cluster, namespace, rescue, options, module.check_mode)
        answer.update(changed=bool(removed), removed=removed, rescued=rescue.rescued)
        for warning in rescue.warnings:
            module.warn(f"{options['target']}: {warning['message']}")
        if any(warning["code"] == "pod_left" for warning in rescue.warnings):
            raise RunError("pod_left", "not every Pod could be removed; look after its node and run again")
    except (ClusterError, RunError) as error:
        module.fail_json(failure=error.kind, msg=str(error), **answer)
    module.exit_json(**answer)


if __name__ == "__main__":
    main()
