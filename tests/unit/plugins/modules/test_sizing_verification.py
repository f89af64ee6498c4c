# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

from ansible_collections.rightsize.whisper.plugins.modules.sizing_verification import (
    ARGUMENT_SPEC,
    read_plan,
)


def options(**changes: Any) -> dict[str, Any]:
    defaults = {name: option.get("default") for name, option in ARGUMENT_SPEC.items()}
    return {**defaults, "workers": 4, "rate": 1.5, **changes}


def test_the_defaults_can_be_sent() -> None:
    plan = read_plan(options())
    plan.check()
    assert (plan.requests, plan.dispatch, plan.max_workers) == (130, "random", None)
