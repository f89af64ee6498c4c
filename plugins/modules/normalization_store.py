#!/usr/bin/python
# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: normalization_store
short_description: Keep a normalization ratio
version_added: 0.1.0
author:
  - rightsize.whisper authors (@rightsize)
description:
  - Adds a ratio to a YAML file that keeps every ratio, by model and pair of CPU models.
  - A ratio of two runs that is already there is not added again.
  - Nothing else in the file is touched; comments and keys of your own stay. The file is locked, and replaced as a whole.
  - A file that cannot be read, or to which nothing can be added, is left as it is.
  - It works on the controller, whatever the host of the task is.
attributes:
  check_mode:
    support: full
    description: Says whether the ratio would be added.
  diff_mode:
    support: full
    description: Shows the entry that is added.
options:
  path:
    description:
      - The file, by convention C(normalization.yml) in the results folder. Its folder must exist.
      - A symbolic link is refused.
    type: path
    required: true
  normalization:
    description: The ratio, as P(rightsize.whisper.normalization_ratio#filter) returns it.
    type: dict
    required: true
seealso:
  - plugin: rightsize.whisper.normalization_ratio
    plugin_type: filter
  - module: rightsize.whisper.result_history
"""

EXAMPLES = r"""
- name: Keep the ratio
  rightsize.whisper.normalization_store:
    path: "{{ benchmark_results_dir }}/normalization.yml"
    normalization: "{{ target_result | rightsize.whisper.normalization_ratio(reference_result) }}"
"""

RETURN = r"""
entry:
  description: The entry that the file has now, or in check mode would have.
  returned: success
  type: dict
  sample:
    model_size: base
    reference_cpu_model: Apple M4
    target_cpu_model: Intel(R) Xeon(R) Platinum 8488C
    ratio: 1.575
    interval:
      low: 1.534
      high: 1.617
      confidence: 0.95
    threads: 1
    time: '2026-11-23T12:15:00Z'
    self_check: false
    tainted: false
    warnings: []
entries:
  description: How many ratios the file has now.
  returned: success
  type: int
  sample: 3
"""
