# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A lookup that reads results and compares them; the arithmetic is in plugin_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: comparison
short_description: Compare results with a baseline
version_added: 0.1.0
author:
  - rightsize.whisper authors (@rightsize)
description:
  - Reads result files, histories and folders on the controller, and compares groups of runs with a baseline.
  - A group is what one target measured with one model, CPU model, number of threads and isolation mode.
  - Runs are judged by their means where one side at least has three of them, else the means of their processes are.
  - Of a history the index beside it is read, which is made where it is missing, so that a million runs take seconds.
  - A file or line that cannot be used is named in a warning and costs the others nothing. Runs that were cut short are left out.
options:
  _terms:
    description:
      - Files that hold a result (C(*.json)), histories (any other name), and folders of C(*.json) and C(*.jsonl).
    type: list
    elements: str
    required: true
  baseline:
    description:
      - A file, history or folder whose runs are the baseline; or a dictionary that chooses runs by V(target), V(model_size),
        V(cpu_model), V(threads) or V(isolation_mode), and with V(path) also by where they are.
      - By default what O(reference) measured, and where it has no result, what the target of the oldest run did.
    type: raw
    default: {}
  reference:
    description: The target that is the baseline where O(baseline) is empty and the target has results.
    type: str
    default: ''
  targets:
    description: Compare runs of these targets alone, apart from a baseline that is a path.
    type: list
    elements: str
    default: []
  models:
    description: Compare runs of these models alone, apart from a baseline that is a path.
    type: list
    elements: str
    default: []
  since:
    description: Compare runs that started on this day or at this time in UTC, or later.
    type: str
    default: ''
  until:
    description: As O(since), but runs that started then or before. A day is included as a whole.
    type: str
    default: ''
  exports:
    description: Other formats to return, among V(prometheus), V(csv) and V(pyperf).
    type: list
    elements: str
    default: []
  allow_few_runs:
    description:
      - Let O(fail_above) judge groups, too, where neither side has three runs. Their interval knows nothing of how much runs
        differ, so that it fails now and then where nothing has changed.
    type: bool
    default: false
  fail_above:
    description:
      - The gate. It says which groups have a ratio above this while the whole interval of the ratio is above 1.
      - It also fails where no group has a ratio with an interval, since then nothing was judged.
    type: raw
  step_size:
    description: A change of level in the history of a group is told as a step where it is as large as this, as a share.
    type: raw
    default: 0.02
notes:
  - The ratio is mean latency over the baseline's mean latency. Above 1 is slower.
seealso:
  - plugin: rightsize.whisper.normalization_ratio
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Compare a folder of results with the history of a week ago
  ansible.builtin.set_fact:
    compared: "{{ lookup('rightsize.whisper.comparison', 'results', baseline='last-week/history.jsonl', fail_above=1.05) }}"

- name: Stop where something became slower
  ansible.builtin.fail:
    msg: "{{ compared.report.gate }}"
  when: compared.report.gate | length > 0
"""

RETURN = r"""
_raw:
  description:
    - One dictionary, with the C(report), its C(table) for a terminal, a list of lines, C(problems), what was not used, and
      C(exports), the runs and ratios in the formats that were asked for, each with C(format), C(file) and C(text).
    - In the report, C(baselines) and C(comparisons) are the groups, each comparison with C(ratio), C(verdict), C(reasons) and
      C(warnings); C(gate) says why the limit is not kept, and is empty where it is; C(not_judged) names the groups that it could not judge.
  type: list
  elements: dict
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase
from ansible.utils.display import Display
from ansible_collections.rightsize.whisper.plugins.module_utils._history_record import HistoryError
from ansible_collections.rightsize.whisper.plugins.plugin_utils.compared_runs import Choice, Run
from ansible_collections.rightsize.whisper.plugins.plugin_utils.comparison import ComparisonError, compare
from ansible_collections.rightsize.whisper.plugins.plugin_utils.comparison_exports import exports
from ansible_collections.rightsize.whisper.plugins.plugin_utils.comparison_table import terminal_table
from ansible_collections.rightsize.whisper.plugins.plugin_utils.plain import plain
from ansible_collections.rightsize.whisper.plugins.plugin_utils.result_files import ResultFiles
from ansible_collections.rightsize.whisper.plugins.plugin_utils.statistics import StatisticsError
from ansible_collections.rightsize.whisper.plugins.plugin_utils.step_report import report_steps, step_lines
from ansible_collections.rightsize.whisper.plugins.plugin_utils.steps import StepsError, min_size


class LookupModule(LookupBase):  # type: ignore[misc]
    """Reads, compares, warns."""

    def run(self, terms: list[Any], variables: Any = None, **kwargs: Any) -> list[dict[str, Any]]:
        self.set_options(var_options=variables, direct=kwargs)
        files = ResultFiles()
        try:
            return [self._compared(files, [str(term) for term in terms])]
        except (ComparisonError, HistoryError, StepsError) as error:
            raise AnsibleError(f"comparison: {error}") from error
        finally:
            for problem in files.problems:
                Display().warning(f"not compared: {problem}")

    def _compared(self, files: ResultFiles, paths: list[str]) -> dict[str, Any]:
        step_size = min_size(self.get_option("step_size"))
        baseline, baseline_runs = self.get_option("baseline") or {}, None
        chosen = dict(baseline) if isinstance(baseline, Mapping) else {"path": str(baseline)}
        path = chosen.pop("path", None)
        if path is not None:
            # Before the choice: of a history that is both, all runs are then known.
            baseline_runs = files.read([str(path)])
        runs = files.read(paths, self._choice())
        reference = self.get_option("reference")
        if path is None and not chosen and any(run.key.target == reference for run in runs):
            chosen = {"target": reference}
        report = compare(runs, chosen, baseline_runs, self._fail_above(), self.get_option("allow_few_runs"))
        all_runs = _together(baseline_runs or (), runs)
        steps = report_steps(all_runs, step_size)
        return {
            "report": plain(report),
            "table": terminal_table(report) + step_lines(steps.groups),
            "steps": plain(steps.groups),
            "pictures": plain(steps.pictures),
            "problems": files.problems,
            "exports": plain(exports(all_runs, report, self.get_option("exports"))),
        }

    def _choice(self) -> Choice:
        lists = {name: tuple(str(value) for value in self.get_option(name)) for name in ("targets", "models")}
        try:
            return Choice(**lists, since=self.get_option("since"), until=self.get_option("until"))
        except StatisticsError as error:
            raise ComparisonError(f"compare_{error}") from error

    def _fail_above(self) -> float | None:
        value = self.get_option("fail_above")
        if value in (None, ""):
            return None
        try:
            return float(value)
        except (TypeError, ValueError):
            raise ComparisonError(
                f"compare_fail_above is {ascii(value)[:60]}: name a ratio of 1 or more, such as 1.05"
            ) from None


def _together(baseline_runs: Sequence[Run], runs: list[Run]) -> list[Run]:
    """All runs, those of a baseline that are elsewhere, too."""
    if not baseline_runs:
        return runs
    known = set(map(id, runs))
    return [*(run for run in baseline_runs if id(run) not in known), *runs]
