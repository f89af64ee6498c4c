# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plays that end with the role `report`, on results that nobody had to measure."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.integration.playbooks import PlaybookRun

Result = dict[str, Any]


class Reporting:
    """A results folder, and plays that hand results over as the role `measure` does."""

    def __init__(self, play: Callable[..., PlaybookRun], folder: Path) -> None:
        self._play = play
        self._handed_over = folder / "handed-over"
        self._handed_over.mkdir()
        self.results = folder / "results"
        self.results.mkdir()

    @property
    def report(self) -> Path:
        return self.results / "report.md"

    @property
    def page(self) -> Path:
        return self.results / "report.html"

    def remember(self, *results: Result) -> None:
        """Put results into the history."""
        with (self.results / "history.jsonl").open("a") as history:
            history.writelines(json.dumps(result) + "\n" for result in results)

    def run(
        self,
        reference: Mapping[str, Result | None],
        candidates: Mapping[str, Result | None],
        **variables: Any,
    ) -> PlaybookRun:
        """Measure these hosts, of which one without a result fails, and report."""
        for host, result in {**reference, **candidates}.items():
            if result is not None:
                (self._handed_over / f"{host}.json").write_text(json.dumps(result))
        return self._play([self._measure(), REPORT], groups(reference, candidates, self.results, variables))

    def run_from_history(self, **variables: Any) -> PlaybookRun:
        """Compare runs of the history, in a play about nothing but the controller."""
        return self._play([REPORT], groups({}, {"localhost": None}, self.results, variables))

    def run_playbook(self, name: str, reference: str, *candidates: str, **variables: Any) -> PlaybookRun:
        """One of the collection's playbooks, with an inventory of these hosts, none of which answers."""
        nowhere = {"ansible_connection": "ssh", "ansible_host": "host.invalid"}
        hosts = groups({reference: None}, dict.fromkeys(candidates), self.results, {**variables, **nowhere})
        return self._play([{"name": name, "import_playbook": f"rightsize.whisper.{name}"}], hosts)

    def run_check(self, references: Sequence[str], *variables: Mapping[str, Any]) -> PlaybookRun:
        """Check each of these, going on after one that is wrong."""
        role = {"name": "rightsize.whisper.report", "tasks_from": "check", "apply": {"ignore_errors": True}}
        checks = [
            {"name": "Check", "ansible.builtin.include_role": role, "vars": dict(asked), "run_once": True}
            for asked in variables
        ]
        plays = [{"name": "Check", "hosts": "all", "gather_facts": False, "tasks": checks}]
        return self._play(plays, groups(dict.fromkeys(references), {}, self.results, {}))

    def _measure(self) -> dict[str, Any]:
        path = f"{self._handed_over}/{{{{ inventory_hostname }}}}.json"
        fail = {
            "name": "Fail where there is no result",
            "ansible.builtin.fail": {"msg": "the engine stopped during the run"},
            "when": f"'{path}' is not ansible.builtin.exists",
            "register": "measure_outcome",
        }
        hand_over = {
            "name": "Hand the result over",
            "ansible.builtin.set_fact": {
                "measure_result": f"{{{{ lookup('ansible.builtin.file', '{path}') | from_json }}}}"
            },
        }
        return {"name": "Measure", "hosts": "all", "gather_facts": False, "tasks": [fail, hand_over]}


REPORT = {"name": "Report", "hosts": "all", "gather_facts": False, "roles": ["rightsize.whisper.report"]}


def groups(
    reference: Mapping[str, Any], candidates: Mapping[str, Any], results: Path, variables: Mapping[str, Any]
) -> dict[str, Any]:
    known = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    return {
        "reference": {"hosts": dict.fromkeys(reference)},
        "candidates": {"hosts": dict.fromkeys(candidates)},
        "all": {"vars": {**known, "benchmark_results_dir": str(results), **variables}},
    }
