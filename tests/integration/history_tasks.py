# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs the modules of the history in a playbook, and keeps what they answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.integration.playbooks import PlaybookRun
from tests.unit.factories import SCHEMA_FILE


class Answers(list[dict[str, Any]]):
    """What the tasks of a play returned, and what the user saw of it."""

    output = ""


def ask(play: Callable[..., PlaybookRun], folder: Path, *tasks: dict[str, Any], **environment: str) -> Answers:
    """Run the tasks in one play, each whether or not the one before failed."""
    names = [f"answer_{number}" for number in range(len(tasks))]
    steps: list[dict[str, Any]] = [
        {"name": f"Get {name}", **task, "register": name, "ignore_errors": True}
        for name, task in zip(names, tasks, strict=True)
    ]
    keep = {
        "content": f"{{{{ [{', '.join(names)}] | to_json }}}}",
        "dest": str(folder / "answers.json"),
        "mode": "0600",
    }
    steps.append({"name": "Keep the answers", "ansible.builtin.copy": keep})
    folder.mkdir(exist_ok=True)
    run = play([{"name": "Ask", "hosts": "all", "gather_facts": False, "tasks": steps}], **environment)
    assert run.wait() == 0, run.output
    answers = Answers(json.loads((folder / "answers.json").read_text()))
    answers.output = run.output
    return answers


def appending(path: Path, result: dict[str, Any], folder: Path, **keywords: Any) -> dict[str, Any]:
    """A task that appends a result; the result comes from a file, as every text from a target comes from elsewhere."""
    folder.mkdir(exist_ok=True)
    file = folder / f"{len(list(folder.iterdir()))}.json"
    file.write_text(json.dumps(result))
    return {
        "rightsize.whisper.result_history": {
            "path": str(path),
            "schema_file": str(SCHEMA_FILE),
            "result": f"{{{{ lookup('ansible.builtin.file', '{file}') | from_json }}}}",
        },
        **keywords,
    }


def probing(path: Path, **keywords: Any) -> dict[str, Any]:
    """A task that looks whether a result could be appended."""
    options = {"path": str(path), "schema_file": str(SCHEMA_FILE), "probe": True}
    return {"rightsize.whisper.result_history": options, **keywords}


def reading(path: Path, **options: Any) -> dict[str, Any]:
    """A task that reads from the history."""
    return {"rightsize.whisper.result_history_info": {"path": str(path), **options}}
