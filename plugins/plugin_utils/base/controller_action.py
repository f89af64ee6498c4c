# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Actions that need nothing of a host: they work in the controller's own process.

A module of the controller would be sent to it and started in a Python of its own, which takes 0.4 s here; a report calls
eight. Such an action is documented as a module, as Ansible's own are; what it takes is read from that documentation.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import yaml
from ansible.plugins.action import ActionBase

from ..plain import plain

# What Ansible's documentation of an option says that its argument specification says, too.
SPECIFIED = ("type", "elements", "required", "default", "choices")


class ControllerAction(ActionBase):  # type: ignore[misc]
    """Checks the options, and returns what `answer` does; the errors in `expected` are one line for the user."""

    documentation: str
    expected: tuple[type[Exception], ...]
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        checked = self.validate_argument_spec(argument_spec(self.documentation))[1]
        # As a module gets them. Else ansible-core before 2.19 has its own kind of texts among them, which YAML refuses.
        options = json.loads(json.dumps(plain(checked), default=str))
        try:
            return self.answer(options, bool(self._task.check_mode))
        except self.expected as error:
            return {"failed": True, "msg": str(error)}

    def answer(self, options: Mapping[str, Any], check_mode: bool) -> dict[str, Any]:
        """What the task returns. In check mode nothing is written."""
        raise NotImplementedError


def argument_spec(documentation: str) -> dict[str, dict[str, Any]]:
    """The argument specification of what is documented so."""
    options = yaml.safe_load(documentation)["options"]
    return {name: {key: option[key] for key in SPECIFIED if key in option} for name, option in options.items()}
