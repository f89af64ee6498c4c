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
  - Run it on the controller (C(delegate_to=localhost)).
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
  delegate_to: localhost
"""

RETURN = r"""
written:
  description: The files that were not as they should be, and were written, or in check mode would be.
  returned: success
  type: list
  elements: path
  sample: [/home/me/benchmark/results/values-base.yaml]
"""

import typing as t
from pathlib import Path, PurePosixPath

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._generated_files import Change, GeneratedFilesError, changes, check, write


def path_of(folder: str, name: str) -> Path:
    """The file of that name, which must be in the folder."""
    relative = PurePosixPath(name)
    if not relative.name or relative.is_absolute() or ".." in relative.parts:
        raise GeneratedFilesError(f"{name!a} is no name of a file in {folder}")
    return Path(folder, relative)


def text_of(name: str, text: t.Any) -> str:
    """The text of a file. Ansible may have made a mapping of one that looks like it: no text is a mistake of the playbook."""
    if not isinstance(text, str):
        raise GeneratedFilesError(f"what to write to {name!a} is no text but {type(text).__name__}")
    return text


def generate(options: t.Mapping[str, t.Any], check_mode: bool) -> t.List[Change]:
    """Write what is not as it should be."""
    folder = options["folder"]
    contents = {path_of(folder, name): text_of(name, text) for name, text in options["files"].items()}
    check([*contents, *(path_of(folder, name) for name in options["later"])], options["overwrite"])
    found = changes(contents)
    if not check_mode:
        for change in found:
            write(change)
    return found


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "folder": {"type": "path", "required": True},
            "files": {"type": "dict", "required": True},
            "later": {"type": "list", "elements": "str", "default": []},
            "overwrite": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    try:
        found = generate(module.params, module.check_mode)
    except GeneratedFilesError as error:
        module.fail_json(msg=str(error))
    diff = [
        {
            "before": change.before,
            "after": change.after,
            "before_header": str(change.path),
            "after_header": str(change.path),
        }
        for change in found
    ]
    module.exit_json(changed=bool(found), written=[str(change.path) for change in found], diff=diff)


if __name__ == "__main__":
    main()
