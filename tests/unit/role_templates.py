# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The roles' templates without Ansible, with the settings that it gives them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2
from ansible_collections.rightsize.whisper.plugins.filter.escaping import FilterModule

from tests.unit.factories import REPOSITORY

# The first line of a template, which Ansible takes off.
HEADER = "#jinja2: lstrip_blocks: True\n"


def rendered(role: str, template: str, **variables: Any) -> str:
    """What the role's template makes of the variables; one that is not given is an error."""
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: _source(REPOSITORY / "roles" / role / "templates" / name)),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    for name, function in FilterModule().filters().items():
        environment.filters[f"rightsize.whisper.{name}"] = function
    return environment.get_template(template).render(variables)


def _source(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    assert text.startswith(HEADER), f"{path} does not begin with {HEADER!r}"
    return text.removeprefix(HEADER)
