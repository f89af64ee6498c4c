#!/usr/bin/python
# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: clean_containers
short_description: Remove the benchmark's containers that killed runs have left
version_added: 0.1.0
author:
  - rightsize.whisper authors (@rightsize)
description:
  - Removes containers of M(rightsize.whisper.isolated_container) that nobody waits for. These are containers of runs that were
    started on this host and were killed, and anybody's containers once their deadline has passed.
  - There is no result in them, since a run that was killed has none; M(rightsize.whisper.isolated_container) removes them too,
    before it measures.
extends_documentation_fragment:
  - rightsize.whisper.engine
attributes:
  check_mode:
    support: full
    description: Says what would be removed.
  diff_mode:
    support: none
    description: The names of the containers are all there is to see.
requirements:
  - docker >= 7 (Python package)
options:
  all:
    description: Remove every container of the benchmark on the engine, also those of runs that are under way.
    type: bool
    default: false
seealso:
  - module: rightsize.whisper.isolated_container
  - module: rightsize.whisper.clean_pods
"""

EXAMPLES = r"""
- name: Remove what killed runs have left
  rightsize.whisper.clean_containers:
"""

RETURN = r"""
removed:
  description: Names of the containers that were removed, or in check mode would be.
  returned: success
  type: list
  elements: str
  sample: [rightsize-whisper-20261123t120000-0a1b2c3d]
failure:
  description: Why nothing was removed, in a word that stays the same, as M(rightsize.whisper.isolated_container) has it.
  returned: failure
  type: str
  sample: no_engine
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._arguments import ENGINE
from ..module_utils._container import RunError
from ..module_utils._docker import EngineError, connect, engine_faults, remove_container
from ..module_utils._engine_turn import containers_of_killed_runs


def clean(client: t.Any, engine_id: str, everything: bool, check: bool) -> t.List[str]:
    """Remove them; gives the names of those that were, or would be."""
    with containers_of_killed_runs(client, engine_id, everything) as containers:
        for container in containers if not check else []:
            remove_container(client, container["Id"])
        return [container["Names"][0].lstrip("/") for container in containers]


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "all": {"type": "bool", "default": False},
            **ENGINE,
        },
        supports_check_mode=True,
    )
    options = module.params
    try:
        client, engine = connect(options["engine_url"], options["allow_remote"])
        with engine_faults(RunError):
            removed = clean(client, engine["id"], options["all"], module.check_mode)
    except (EngineError, RunError) as error:
        module.fail_json(failure=error.kind, msg=str(error))
    module.exit_json(changed=bool(removed), removed=removed)


if __name__ == "__main__":
    main()
