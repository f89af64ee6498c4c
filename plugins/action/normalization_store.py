# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keeps a ratio, on the controller."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..modules.normalization_store import DOCUMENTATION
from ..plugin_utils.base.controller_action import ControllerAction
from ..plugin_utils.normalization_file import NormalizationFileError, entry_of, store


class ActionModule(ControllerAction):
    documentation = DOCUMENTATION
    expected = (NormalizationFileError,)

    def answer(self, options: Mapping[str, Any], check_mode: bool) -> dict[str, Any]:
        path = options["path"]
        entry = entry_of(options["normalization"])
        stored = store(path, entry, check_mode)
        diff = {"before": stored.before, "after": stored.after, "before_header": path, "after_header": path}
        return {"changed": stored.before != stored.after, "entry": entry, "entries": stored.entries, "diff": diff}
