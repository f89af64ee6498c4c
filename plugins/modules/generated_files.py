#!/usr/bin/python
# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: generated_files
short_description: Write files that are generated, and no others
version_added: 0.1.0
author:
  - rightsize.whisper authors (@rightsize)
description:
  - Writes files into a folder, which is made where it is missing. Each file is replaced as a whole.
  - A file that this collection has not written is left as it is, and so is a symbolic link. Then no file is written at all.
  - What this collection has written is known by its beginning.
  - It works on the controller, whatever the host of the task is.
attributes:
  check_mode:
    support: full
    description: Says what would be written.
  diff_mode:
    support: full
    description: Shows each file before and after.
options:
  folder:
    description: Where the files are.
    type: path
    required: true
  files:
    description: What to write, the text of each file by its name, which is relative to O(folder).
    type: dict
    required: true
  later:
    description: Names of files that are to be written later. If one of them could not be, nothing is written now.
    type: list
    elements: str
    default: []
  overwrite:
    description: Replace files and symbolic links that this collection has not written. A folder is never replaced.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Write the Helm values
  rightsize.whisper.generated_files:
    folder: "{{ benchmark_results_dir }}"
    files:
      values-base.yaml: "{{ values }}"
    later: [report.md]
"""

RETURN = r"""
written:
  description: The files that were not as they should be, and were written, or in check mode would be.
  returned: success
  type: list
  elements: path
  sample: [/home/me/benchmark/results/values-base.yaml]
"""
