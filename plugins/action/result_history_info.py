# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads the history, on the controller."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..module_utils._history import open_history
from ..module_utils._history_record import HistoryError
from ..modules.result_history_info import DOCUMENTATION
from ..plugin_utils.base.controller_action import ControllerAction


class ActionModule(ControllerAction):
    documentation = DOCUMENTATION
    expected = (HistoryError, ValueError)

    def answer(self, options: Mapping[str, Any], check_mode: bool) -> dict[str, Any]:
        columns = {"target": options["target"], "model_size": options["model"]}
        with open_history(options["path"]) as history:
            return {
                "results": [history.read(run_id) for run_id in options["run_ids"]],
                "summaries": history.newest(
                    max(0, options["newest"]),
                    labels={name: str(value) for name, value in options["labels"].items()},
                    without_labels=options["without_labels"],
                    per_target=options["per_target"],
                    **{column: value for column, value in columns.items() if value is not None},
                ),
                "records": history.records,
                "damaged": history.damaged,
                "damaged_lines": [line._asdict() for line in history.damaged_lines()],
                "warnings": history.all_warnings(),
            }
