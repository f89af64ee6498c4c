# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Asks ansible-doc for every module, filter, lookup and role of the collection: each must have documentation that it can read."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

COLLECTION = "rightsize.whisper"
CHECKOUT = Path(__file__).resolve().parents[1]
# What users read of each type.
PARTS = {
    "module": ("doc", "examples", "return"),
    "filter": ("doc", "examples", "return"),
    "lookup": ("doc", "examples", "return"),
    "role": ("entry_points",),
}
# What there is, whether or not ansible-doc lists it. (A file may have several filters, and whoever uses them finds one missing.)
FILES = {"module": "plugins/modules/[!_]*.py", "lookup": "plugins/lookup/[!_]*.py", "role": "roles/*"}


def ansible_doc(plugin_type: str, *arguments: str) -> dict[str, Any]:
    command = ["ansible-doc", "--json", "--type", plugin_type, *arguments]
    # A plugin that it cannot read is a warning to ansible-doc.
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return dict(json.loads(answer.stdout))


def main() -> None:
    problems = []
    for plugin_type, parts in PARTS.items():
        files = CHECKOUT.glob(FILES[plugin_type]) if plugin_type in FILES else ()
        names = {*ansible_doc(plugin_type, "--list", COLLECTION), *(f"{COLLECTION}.{file.stem}" for file in files)}
        pages = ansible_doc(plugin_type, *names)
        for name in sorted(names):
            missing = [part for part in parts if not pages.get(name, {}).get(part)]
            problems += [f"{plugin_type} {name}: no {', '.join(missing)}"] if missing else []
            print(f"{'incomplete' if missing else 'documented'}: {plugin_type} {name}")
    sys.exit("\n".join(problems) or None)


if __name__ == "__main__":
    main()
