# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: docker_engine_info
short_description: Find the Docker engine of a host
version_added: 0.1.0
author:
  - rightsize.whisper authors (@rightsize)
description:
  - Finds the Docker engine as every module of this collection finds it, and says which it is, or why there is none.
  - The order is O(engine_url), C(DOCKER_HOST), the Docker context, the sockets where engines are known to listen.
extends_documentation_fragment:
  - rightsize.whisper.engine
attributes:
  check_mode:
    support: full
    description: Nothing is changed.
  diff_mode:
    support: none
    description: Nothing is changed.
requirements:
  - docker >= 7 (Python package)
options:
  timeout:
    description: How many seconds to wait for an engine that is about to start.
    type: int
    default: 0
"""

EXAMPLES = r"""
- name: See whether an engine answers
  rightsize.whisper.docker_engine_info:
  register: found
"""

RETURN = r"""
answers:
  description: Whether there is one.
  returned: always
  type: bool
named:
  description: Whether an option, C(DOCKER_HOST) or a Docker context names the engine that must answer.
  returned: always
  type: bool
reason:
  description: Why there is none, and how to start one.
  returned: when none answers
  type: str
engine:
  description: The engine.
  returned: when one answers
  type: dict
  sample:
    url: unix:///var/run/docker.sock
    source: known socket
    version: 28.2.2
    architecture: x86_64
    remote: false
"""

import time
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._arguments import ENGINE
from ..module_utils._docker import EngineError, connect, is_named


def find(engine_url: t.Optional[str], allow_remote: bool, timeout_seconds: float) -> t.Dict[str, t.Any]:
    """The engine, or why there is none."""
    deadline = time.monotonic() + timeout_seconds
    while True:
        try:
            return {"answers": True, "engine": connect(engine_url, allow_remote)[1]}
        except EngineError as error:
            if error.kind != "no_engine" or time.monotonic() >= deadline:
                return {"answers": False, "reason": str(error), "failure": error.kind}
        time.sleep(1)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **ENGINE,
            "timeout": {"type": "int", "default": 0},
        },
        supports_check_mode=True,
    )
    found = find(module.params["engine_url"], module.params["allow_remote"], module.params["timeout"])
    if found.get("failure") not in (None, "no_engine"):
        module.fail_json(msg=found["reason"], **found)
    module.exit_json(changed=False, named=is_named(module.params["engine_url"]), **found)


if __name__ == "__main__":
    main()
