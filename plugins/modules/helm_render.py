#!/usr/bin/python
# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: helm_render
short_description: Render a chart with values files, and return its objects
version_added: 0.1.0
author:
  - rightsize.whisper authors (@rightsize)
description:
  - Runs C(helm template), which needs no cluster, and returns what it renders.
  - Run it where the chart is, for instance on the controller (C(delegate_to=localhost)).
attributes:
  check_mode:
    support: full
    description: Nothing is ever changed.
  diff_mode:
    support: none
    description: Nothing is changed.
options:
  chart:
    description: The chart, a folder or an archive.
    type: path
    required: true
  values_files:
    description: The values files, later ones over earlier ones.
    type: list
    elements: path
    default: []
  release:
    description: The name of the release.
    type: str
    default: rightsize
  helm:
    description: The program, as a path or a name on the search path.
    type: str
    default: helm
  timeout:
    description: How many seconds it may take.
    type: int
    default: 60
seealso:
  - plugin: rightsize.whisper.values_renderings
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Render the service's chart with the values that were written
  rightsize.whisper.helm_render:
    chart: charts/whisper
    values_files:
      - my-values.yaml
      - results/values-base.yaml
  delegate_to: localhost
  register: rendered
"""

RETURN = r"""
objects:
  description: The objects that the chart renders.
  returned: success
  type: list
  elements: dict
version:
  description: The version of Helm.
  returned: success
  type: str
  sample: v4.2.3
"""

import subprocess
import typing as t
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

try:
    import yaml

    HAS_YAML = True
except ImportError:
    HAS_YAML = False

MAX_BYTES = 64 * 1024**2


class RenderError(Exception):
    """Why nothing was rendered, in one line."""


def render(options: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
    """What the module returns."""
    program, chart = options["helm"], options["chart"]
    if not Path(chart).exists():
        raise RenderError(f"there is no chart {chart}: name its folder or archive")
    for path in options["values_files"]:
        if not Path(path).is_file():
            raise RenderError(f"there is no values file {path}: name one that is there")
    version = _run([program, "version", "--template", "{{.Version}}"], options["timeout"]).strip()
    files = [argument for path in options["values_files"] for argument in ("--values", path)]
    try:
        text = _run([program, "template", options["release"], chart, *files], options["timeout"])
    except RenderError as error:
        raise RenderError(f"the chart {chart} does not render: {error}") from error
    try:
        objects = [item for item in yaml.safe_load_all(text) if isinstance(item, dict)]
    except yaml.YAMLError as error:
        raise RenderError(f"the chart {chart} renders what is no YAML ({' '.join(str(error).split())})") from error
    return {"objects": objects, "version": version}


def _run(command: t.List[str], timeout_seconds: int) -> str:
    try:
        ended = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=timeout_seconds
        )
    except FileNotFoundError:
        raise RenderError(f"there is no program {command[0]}: install Helm, or name it in benchmark_helm") from None
    except OSError as error:
        raise RenderError(f"{command[0]} cannot be run: {error.strerror}") from error
    except subprocess.TimeoutExpired:
        raise RenderError(f"{command[0]} has not ended within {timeout_seconds} s") from None
    if len(ended.stdout) > MAX_BYTES:
        raise RenderError(f"{command[0]} has written more than {MAX_BYTES} bytes")
    if ended.returncode:
        lines = [line.strip() for line in ended.stderr.decode(errors="replace").splitlines() if line.strip()]
        last = lines[-1] if lines else "it said nothing"
        raise RenderError("".join(letter if letter.isprintable() else " " for letter in last)[:500])
    return ended.stdout.decode(errors="replace")


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "chart": {"type": "path", "required": True},
            "values_files": {"type": "list", "elements": "path", "default": []},
            "release": {"type": "str", "default": "rightsize"},
            "helm": {"type": "str", "default": "helm"},
            "timeout": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    if not HAS_YAML:
        module.fail_json(msg=missing_required_lib("PyYAML"))
    try:
        module.exit_json(changed=False, **render(module.params))
    except RenderError as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
