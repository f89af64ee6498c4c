# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What modules say of themselves."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
import yaml

PLUGINS = Path(__file__).parents[4] / "plugins"
PACKAGE = "ansible_collections.rightsize.whisper.plugins"
MODULES = sorted(path.stem for path in (PLUGINS / "modules").glob("*.py") if path.stem != "__init__")
FRAGMENTS = sorted(path.stem for path in (PLUGINS / "doc_fragments").glob("*.py") if path.stem != "__init__")


def documented_options(module: Any) -> dict[str, Any]:
    """The options with those of the fragments that it extends."""
    document = yaml.safe_load(module.DOCUMENTATION)
    options = dict(document.get("options", {}))
    for name in document.get("extends_documentation_fragment", []):
        fragment = importlib.import_module(f"{PACKAGE}.doc_fragments.{name.rpartition('.')[2]}")
        shared = yaml.safe_load(fragment.ModuleDocFragment.DOCUMENTATION)["options"]
        assert not shared.keys() & options.keys()
        options.update(shared)
    return options


@pytest.mark.parametrize("name", MODULES)
def test_every_option_is_documented_with_its_default(name: str) -> None:
    module = importlib.import_module(f"{PACKAGE}.modules.{name}")
    for block in (module.DOCUMENTATION, module.EXAMPLES, module.RETURN):
        assert yaml.safe_load(block)
    if hasattr(module, "ARGUMENT_SPEC"):
        defaults = {name: spec.get("default") for name, spec in module.ARGUMENT_SPEC.items()}
        assert {name: option.get("default") for name, option in documented_options(module).items()} == defaults


@pytest.mark.parametrize("name", FRAGMENTS)
def test_a_fragment_documents_the_arguments_of_its_name(name: str) -> None:
    arguments = importlib.import_module(f"{PACKAGE}.module_utils._arguments")
    fragment = importlib.import_module(f"{PACKAGE}.doc_fragments.{name}").ModuleDocFragment
    assert yaml.safe_load(fragment.DOCUMENTATION)["options"].keys() == getattr(arguments, name.upper()).keys()
