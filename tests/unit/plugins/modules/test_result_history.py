# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

import pytest
from ansible_collections.rightsize.whisper.plugins.module_utils._history_record import accept, read_schema
from ansible_collections.rightsize.whisper.plugins.modules.result_history import difference, failure

from tests.unit.factories import SCHEMA_FILE, mac_m4

RECORD = accept(mac_m4(cpu_model="\x1b[2J{{ 1 }}"), read_schema(str(SCHEMA_FILE)))


def test_a_difference_is_safe_to_print() -> None:
    shown = difference("history.jsonl", RECORD)
    assert shown["before"] == ""
    assert shown["after"].replace("\n", "").isprintable()
    assert json.loads(shown["after"])["cpu_model"] == "\x1b[2J{{ 1 }}"


def test_a_result_that_can_be_saved_nowhere_is_said_to_be_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/nonexistent")
    assert failure("no space left", RECORD) == {
        "msg": "no space left; the result could not be saved elsewhere either (No such file or directory)"
    }
