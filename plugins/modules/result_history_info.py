#!/usr/bin/python
# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: result_history_info
short_description: Read results from the history
version_added: 0.1.0
author:
  - rightsize.whisper authors (@rightsize)
description:
  - Returns whole results by their run ids, and summaries of the runs that were appended last.
  - The index beside the history is brought up to date, so that a large history is not read as a whole.
  - It works on the controller, whatever the host of the task is.
attributes:
  check_mode:
    support: full
    description: Nothing but the index is ever written.
  diff_mode:
    support: none
    description: Nothing is changed.
options:
  path:
    description: The history that M(rightsize.whisper.result_history) writes.
    type: path
    required: true
  run_ids:
    description: The runs to return as a whole. It is an error if the history lacks one.
    type: list
    elements: str
    default: []
  newest:
    description: How many summaries to return.
    type: int
    default: 20
  target:
    description: Summaries of this target alone.
    type: str
  model:
    description: Summaries of this model alone.
    type: str
  labels:
    description: Summaries of runs with all of these labels alone. The clips of a run have the label C(clips) with its run id, for instance.
    type: dict
    default: {}
  without_labels:
    description: Summaries of runs without any of these labels alone. The stress test sets C(stress), for instance.
    type: list
    elements: str
    default: []
  per_target:
    description: Summaries of the newest run of each target alone.
    type: bool
    default: false
seealso:
  - module: rightsize.whisper.result_history
"""

EXAMPLES = r"""
- name: Read the results of two runs, and what was measured before
  rightsize.whisper.result_history_info:
    path: "{{ benchmark_results_dir }}/history.jsonl"
    run_ids:
      - "{{ reference_run_id }}"
      - "{{ target_run_id }}"
    newest: 50
    model: base
  register: history
"""

RETURN = r"""
results:
  description: The results of O(run_ids), in that order.
  returned: success
  type: list
  elements: dict
summaries:
  description: The runs that were appended last, newest first.
  returned: success
  type: list
  elements: dict
  contains:
    run_id:
      description: The run.
      type: str
    timestamp:
      description: When it started, in UTC.
      type: str
    target:
      description: The target.
      type: str
    architecture:
      description: The architecture.
      type: str
    cpu_model:
      description: The CPU.
      type: str
    model_size:
      description: The model.
      type: str
    threads:
      description: Size of every thread pool.
      type: int
    iterations:
      description: How many iterations were measured.
      type: int
    avg_latency_ms:
      description: The mean latency.
      type: float
    isolated:
      description: Whether it ran in a container with the CPU limit asked for.
      type: bool
    partial:
      description: Whether it was cut short.
      type: bool
    isolation_mode:
      description: How the CPU was limited.
      type: str
    labels:
      description: The labels that it was given.
      type: dict
records:
  description: How many runs the history has.
  returned: success
  type: int
  sample: 42
damaged:
  description: How many lines of the history hold no result, or repeat a run.
  returned: success
  type: int
  sample: 1
damaged_lines:
  description: Which lines these are, at most the last 20 of them, as M(rightsize.whisper.result_history) returns them.
  returned: success
  type: list
  elements: dict
"""
