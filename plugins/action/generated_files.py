# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes files that are generated, on the controller."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..modules.generated_files import DOCUMENTATION
from ..plugin_utils.base.controller_action import ControllerAction
from ..plugin_utils.generated_files import GeneratedFilesError, generate


class ActionModule(ControllerAction):
    documentation = DOCUMENTATION
    expected = (GeneratedFilesError,)

    def answer(self, options: Mapping[str, Any], check_mode: bool) -> dict[str, Any]:
        names = ("folder", "files", "later", "overwrite")
        found = generate(**{name: options[name] for name in names}, check_mode=check_mode)
        diff = [
            {
                "before": change.before,
                "after": change.after,
                "before_header": str(change.path),
                "after_header": str(change.path),
            }
            for change in found
        ]
        return {"changed": bool(found), "written": [str(change.path) for change in found], "diff": diff}
