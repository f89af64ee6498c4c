#!/usr/bin/python
# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: result_history
short_description: Append a result to the history
version_added: 0.1.0
author:
  - rightsize.whisper authors (@rightsize)
description:
  - Validates the result of a benchmark and appends it, as one line of JSON, to a file that is only ever appended to.
  - A result that is already there, by its run id, is not appended again. The same run id with another result is an error.
  - The file is locked, the line is written at once and fsynced. Any number of processes may append at the same time.
  - A line that a crash cut short stays as it is and is reported; the next append ends it before its own line.
  - If the result cannot be appended, the history is as it was, and the result is saved in the folder for temporary files.
  - Finds runs by an index beside the file (C(.history.jsonl.index)). It is derived from the file alone and may be deleted
    at any time; delete it after the history was edited by hand.
  - Run it on the controller (C(delegate_to=localhost)).
attributes:
  check_mode:
    support: full
    description: Says whether the result would be appended. The index may be brought up to date.
  diff_mode:
    support: full
    description: Shows what is appended, in short.
requirements:
  - jsonschema >= 4.20 (Python package)
options:
  path:
    description:
      - The history, by convention C(history.jsonl) in the results folder. Its folder must exist.
      - Created with mode V(0600). A symbolic link is refused.
    type: path
    required: true
  schema_file:
    description: The JSON Schema of a result, C(bench_runner/result.schema.json) of this collection.
    type: path
    required: true
  result:
    description:
      - The result, as M(rightsize.whisper.isolated_container) returns it.
      - Newer minor versions of its schema are accepted, other major versions are refused.
      - Required unless O(probe=true).
    type: dict
  probe:
    description:
      - Append nothing, and look whether a result could be, which is better known before an hour of measuring than after it.
      - Fails where a Python package is missing, or where this user cannot write.
    type: bool
    default: false
seealso:
  - module: rightsize.whisper.result_history_info
  - module: rightsize.whisper.isolated_container
"""

EXAMPLES = r"""
- name: Keep a result
  rightsize.whisper.result_history:
    path: "{{ benchmark_results_dir }}/history.jsonl"
    schema_file: "{{ role_path }}/../../bench_runner/result.schema.json"
    result: "{{ run.result }}"
  delegate_to: localhost

- name: Look whether results can be kept, before there are any
  rightsize.whisper.result_history:
    path: "{{ benchmark_results_dir }}/history.jsonl"
    schema_file: "{{ role_path }}/../../bench_runner/result.schema.json"
    probe: true
  delegate_to: localhost

- name: Append a result that was saved aside
  rightsize.whisper.result_history:
    path: results/history.jsonl
    schema_file: bench_runner/result.schema.json
    result: "{{ lookup('ansible.builtin.file', '/tmp/result-20261123t120000-0a1b2c3d-x1y2z3.json') | from_json }}"
  delegate_to: localhost
"""

RETURN = r"""
appended:
  description: Whether the result was appended, or in check mode would be. False if it was already there, or with O(probe=true).
  returned: success
  type: bool
records:
  description: How many runs the history has now.
  returned: success
  type: int
  sample: 42
damaged:
  description: How many lines of the history hold no result, or repeat a run.
  returned: success
  type: int
  sample: 1
damaged_lines:
  description: Which lines these are, at most the last 20 of them. They are left as they are.
  returned: success
  type: list
  elements: dict
  contains:
    line:
      description: Number of the line, from 1.
      type: int
    offset:
      description: Where it begins, in bytes.
      type: int
    length:
      description: Its length in bytes.
      type: int
    reason:
      description: What is wrong with it.
      type: str
  sample:
    - line: 17
      offset: 98311
      length: 4096
      reason: not JSON, perhaps cut short
saved_aside:
  description: Where a result was saved that could not be appended.
  returned: failure, if it could be saved
  type: str
  sample: /tmp/result-20261123t120000-0a1b2c3d-x1y2z3.json
"""

import json
import os
import typing as t

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ..module_utils._history import History, check_creatable, open_history, save_aside
from ..module_utils._history_record import JSONSCHEMA_IMPORT_ERROR, HistoryError, Record, accept, read_schema

SHOWN_IN_DIFF = ("run_id", "timestamp", "target", "cpu_model", "model_size", "threads", "iterations", "avg_latency_ms")


def append(path: str, record: Record, check_mode: bool) -> t.Dict[str, t.Any]:
    """Append the record to the history; gives what the module returns."""
    if check_mode and not os.path.lexists(path):
        return {"appended": True, "records": 1, "damaged": 0, "damaged_lines": [], "warnings": []}
    with open_history(path, create=not check_mode) as history:
        appended = not history.holds(record)
        if appended and not check_mode:
            history.append(record)
        return {**about(history), "appended": appended, "records": history.records + (appended and check_mode)}


def probe(path: str, check_mode: bool) -> t.Dict[str, t.Any]:
    """Look whether a record could be appended; gives what the module returns."""
    if not os.path.lexists(path):
        # In check mode the folder may be missing, since nobody has made it.
        if not check_mode:
            check_creatable(path)
        return {"appended": False, "records": 0, "damaged": 0, "damaged_lines": [], "warnings": []}
    with open_history(path, create=not check_mode) as history:
        return {**about(history), "appended": False}


def about(history: History) -> t.Dict[str, t.Any]:
    """What the module returns of a history as it is."""
    return {
        "records": history.records,
        "damaged": history.damaged,
        "damaged_lines": [line._asdict() for line in history.damaged_lines()],
        "warnings": history.all_warnings(),
    }


def difference(path: str, record: Record) -> t.Dict[str, str]:
    """What is appended, in short; escaped, since texts in it came from a target and this goes to a terminal."""
    shown = {key: record.result[key] for key in SHOWN_IN_DIFF}
    return {"before": "", "after": json.dumps(shown, indent=2) + "\n", "before_header": path, "after_header": path}


def failure(message: str, record: t.Optional[Record]) -> t.Dict[str, t.Any]:
    """What the module returns when the history did not take a record, which must not be lost."""
    if record is None:
        return {"msg": message}
    try:
        path = save_aside(record)
    except OSError as error:
        return {"msg": f"{message}; the result could not be saved elsewhere either ({error.strerror})"}
    return {"msg": f"{message}; the result was saved as {path}", "saved_aside": path}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "schema_file": {"type": "path", "required": True},
            "result": {"type": "dict"},
            "probe": {"type": "bool", "default": False},
        },
        required_if=[("probe", False, ("result",))],
        supports_check_mode=True,
    )
    if JSONSCHEMA_IMPORT_ERROR:
        module.fail_json(msg=missing_required_lib("jsonschema"), exception=JSONSCHEMA_IMPORT_ERROR)
    path = module.params["path"]
    try:
        schema = read_schema(module.params["schema_file"])
        record = None if module.params["probe"] else accept(module.params["result"], schema)
    except HistoryError as error:
        module.fail_json(msg=str(error))
    try:
        answer = probe(path, module.check_mode) if record is None else append(path, record, module.check_mode)
    except HistoryError as error:
        module.fail_json(**failure(str(error), None if module.check_mode else record))
    for warning in answer.pop("warnings"):
        module.warn(warning)
    if record is not None and answer["appended"]:
        answer["diff"] = difference(path, record)
    module.exit_json(changed=answer["appended"], **answer)


if __name__ == "__main__":
    main()
