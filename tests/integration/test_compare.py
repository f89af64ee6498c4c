# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.rightsize.whisper.plugins.plugin_utils.svg import is_inert

from tests.integration.playbooks import PlaybookRun
from tests.unit.factories import mac_m4, xeon_pool
from tests.unit.markdown_shown import HOSTILE, shown

PLAYBOOK = [{"name": "Compare", "ansible.builtin.import_playbook": "rightsize.whisper.compare"}]
# Half a surrogate pair is refused when the result is read.
NAMES = [name for name in HOSTILE if name.isascii() and name.strip() and not set("\x00\x07\x0b\x1b") & set(name)]


class Comparing:
    """A folder of results, and the playbook on it."""

    def __init__(self, play: Callable[..., PlaybookRun], folder: Path) -> None:
        self._play = play
        self.folder = folder / "in"
        self.folder.mkdir()
        self.results = folder / "results"

    def add(self, *results: dict[str, Any]) -> None:
        for result in results:
            (self.folder / f"{result['run_id']}.json").write_text(json.dumps(result))

    def run(self, **variables: Any) -> PlaybookRun:
        asked = {"benchmark_results_dir": str(self.results), "compare_paths": [str(self.folder)], **variables}
        return self._play(PLAYBOOK, {"all": {"hosts": {"localhost": asked}}})

    @property
    def markdown(self) -> str:
        return (self.results / "compare.md").read_text()

    @property
    def json(self) -> Any:
        return json.loads((self.results / "compare.json").read_text())


@pytest.fixture
def comparing(play: Callable[..., PlaybookRun], tmp_path: Path) -> Comparing:
    return Comparing(play, tmp_path)


def test_a_table_markdown_and_json_say_the_same_and_a_bad_file_costs_nothing(comparing: Comparing) -> None:
    comparing.add(mac_m4(), xeon_pool())
    (comparing.folder / "bad.json").write_text("{")
    run = comparing.run()
    assert run.wait() == 0, run.output
    assert "1.575  1.534 to 1.617  slower" in run.output
    assert "| 1.575 | 1.534 to 1.617 | **slower** | 5 processes against 5 |" in comparing.markdown
    assert "image_differs" in shown(comparing.markdown)[1]
    assert "the result is not one JSON document" in comparing.markdown
    assert "not compared: " in run.output
    (comparison,) = comparing.json["comparisons"]
    assert (comparison["verdict"], round(comparison["ratio"]["centre"], 3)) == ("slower", 1.575)

    before = [path.read_bytes() for path in sorted(comparing.results.iterdir())]
    run = comparing.run(compare_paths=[str(comparing.folder), str(comparing.results)])
    assert run.wait() == 0, run.output
    assert "changed=0" in run.output
    assert [path.read_bytes() for path in sorted(comparing.results.iterdir())] == before


def test_the_gate_fails_in_one_line_after_everything_was_written(comparing: Comparing) -> None:
    comparing.add(mac_m4(), xeon_pool())
    run = comparing.run(compare_fail_above="1.05")
    assert run.wait() == 2
    assert "the gate could judge nothing: no side has 3 runs" in run.output
    assert "could judge nothing" in comparing.markdown
    run = comparing.run(compare_fail_above="1.05", compare_allow_few_runs=True)
    assert run.wait() == 2
    assert "slower than compare_fail_above (1.05) allows: xeon_pool (" in run.output
    assert "**Gate at 1.05: slower than" in comparing.markdown
    comparing.add(*(mac_m4(run_id=f"run-of-mac-{number}") for number in (1, 2)))
    run = comparing.run(compare_fail_above="1.05", compare_baseline={"target": "xeon_pool"})
    assert run.wait() == 0, run.output
    assert "**Gate at 1.05: passed**" in comparing.markdown


def test_a_path_is_a_baseline_and_a_history_is_read(comparing: Comparing, tmp_path: Path) -> None:
    (tmp_path / "then.json").write_text(json.dumps(mac_m4()))
    slower = [[mean + 100 for mean in process["wall_ms"]] for process in mac_m4()["processes"]]
    now = mac_m4(run_id="run-of-now-1", wall_ms=slower, timestamp="2026-11-24T00:00:00Z")
    (tmp_path / "history").write_text(f"{json.dumps(mac_m4())}\n{json.dumps(now)}\n")
    run = comparing.run(compare_paths=[str(tmp_path / "history")], compare_baseline=str(tmp_path / "then.json"))
    assert run.wait() == 0, run.output
    (comparison,) = comparing.json["comparisons"]
    assert (comparison["group"]["target"], comparison["verdict"]) == ("mac_m4", "slower")


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({}, "there is no usable result to compare"),
        ({"compare_since": "yesterday"}, "compare_since is 'yesterday': name a day or a time in UTC"),
        ({"compare_step_size": "2"}, "compare_step_size is '2': name a share between 0 and 1"),
        ({"compare_fail_above": "0.5"}, "compare_fail_above is 0.5: name a ratio of 1 or more"),
    ],
)
def test_bad_input_is_one_clear_line(comparing: Comparing, variables: dict[str, Any], words: str) -> None:
    run = comparing.run(**variables)
    assert run.wait() == 2
    assert words in run.output
    assert "Traceback" not in run.output
    assert not comparing.results.exists()


def test_runs_are_chosen_by_target_and_time(comparing: Comparing) -> None:
    later = [
        xeon_pool(run_id=f"run-{day}-later", target=day, timestamp=f"2026-12-{day}T00:00:00Z") for day in ("01", "02")
    ]
    comparing.add(mac_m4(), xeon_pool(), *later)
    run = comparing.run(compare_targets=["mac_m4", "01", "02"], compare_until="2026-12-01")
    assert run.wait() == 0, run.output
    assert [item["group"]["target"] for item in comparing.json["comparisons"]] == ["01"]


def test_a_file_of_somebody_else_is_left_as_it_is(comparing: Comparing) -> None:
    comparing.add(mac_m4(), xeon_pool())
    comparing.results.mkdir()
    (comparing.results / "compare.json").write_text('{"mine": 1}')
    run = comparing.run()
    assert run.wait() == 2
    assert "compare.json was not written by this collection and is left as it is" in run.output
    assert [path.read_text() for path in comparing.results.iterdir()] == ['{"mine": 1}']
    assert comparing.run(benchmark_overwrite=True).wait() == 0


def test_metrics_for_prometheus_are_written(comparing: Comparing) -> None:
    comparing.add(mac_m4(), xeon_pool(target='a "name"\n# TYPE'))
    for changed in ("changed=1", "changed=0"):
        run = comparing.run(compare_export=["prometheus"])
        assert run.wait() == 0, run.output
        assert changed in run.output
    lines = (comparing.results / "whisper.prom").read_text().splitlines()
    assert lines[0].startswith("# Generated by rightsize.whisper")
    assert len(lines) == 1 + 2 * 5 + 7
    assert any('target="a \\"name\\"\\n# TYPE"' in line for line in lines)


def test_a_table_of_all_runs_is_safe_in_a_spreadsheet(comparing: Comparing) -> None:
    comparing.add(mac_m4(), xeon_pool(target="\t=HYPERLINK(1)", cpu_model='a, "b"\nc'))
    run = comparing.run(compare_export=["csv"])
    assert run.wait() == 0, run.output
    rows = list(csv.DictReader((comparing.results / "results.csv").read_text().splitlines()))
    assert [row["target"] for row in rows] == ["mac_m4", "' =HYPERLINK(1)"]
    assert rows[1]["cpu_model"] == 'a, "b" c'
    assert float(rows[0]["latency_mean_seconds"]) == pytest.approx(1.338)


@pytest.mark.parametrize(
    ("wall_ms", "verdict", "words"),
    [
        ([[2000.0], [2010.0], [1990.0], [2005.0], [1995.0]], "slower", "slower"),
        ([[1000.0], [1010.0], [990.0], [1005.0], [995.0]], "faster", "faster"),
        ([[1338.0], [1438.0], [1238.0], [1348.0], [1328.0]], "no difference shown", "not significant"),
    ],
)
def test_pyperf_comes_to_the_same_verdict(
    comparing: Comparing, wall_ms: list[list[float]], verdict: str, words: str
) -> None:
    comparing.add(mac_m4(), xeon_pool(wall_ms=wall_ms))
    run = comparing.run(compare_export=["pyperf"])
    assert run.wait() == 0, run.output
    assert comparing.json["comparisons"][0]["verdict"] == verdict
    files = [str(comparing.results / f"pyperf-{target}.json") for target in ("mac_m4", "xeon_pool")]
    compared = subprocess.run(
        [sys.executable, "-m", "pyperf", "compare_to", *files], capture_output=True, text=True, check=True
    )
    assert words in compared.stdout


def test_hostile_names_are_shown_and_do_nothing(comparing: Comparing) -> None:
    comparing.add(mac_m4())
    comparing.add(
        *(
            xeon_pool(run_id=f"run-hostile-{number}", target=name, cpu_model=name)
            for number, name in enumerate(NAMES, start=1)
        )
    )
    run = comparing.run(compare_baseline={"target": "mac_m4"})
    assert run.wait() == 0, run.output
    assert comparing.json["problems"] == []
    assert {item["group"]["target"] for item in comparing.json["comparisons"]} == set(NAMES)
    tags, _text = shown(comparing.markdown)
    # The comment in the first line is our own.
    assert set(tags) <= {"comment", "h1", "h2", "p", "table", "thead", "tbody", "tr", "th", "td", "strong", "ul", "li"}
    assert tags.count("comment") == 1
    assert tags.count("strong") == len(NAMES), "each verdict, and nothing else"
    assert tags.count("tr") == 2 + 1 + len(NAMES)
    assert not Path("/tmp/pwned").exists()


def test_a_step_in_a_history_is_told_with_what_changed_and_drawn(comparing: Comparing) -> None:
    name = NAMES[0]
    comparing.add(xeon_pool())
    for number in range(30):
        mean = 1300 * (1.08 if number >= 18 else 1) * (1.01 if number % 2 else 0.99)
        comparing.add(
            mac_m4(
                run_id=f"run-of-day-{number + 1:02}",
                target=name,
                wall_ms=[[mean, mean]] * 3,
                timestamp=f"2026-11-{number + 1:02}T12:00:00Z",
                **({"software": {"torch": "2.0.0"}} if number >= 18 else {}),
            )
        )
    run = comparing.run(compare_baseline={"target": "xeon_pool"}, compare_fail_above="1.05")
    assert run.wait() == 0, run.output
    assert "since 2026-11-19T12:00:00Z, 8.0 % slower (" in run.output
    (group,) = [group for group in comparing.json["steps"] if group["steps"]]
    (item,) = group["steps"]
    assert (group["group"]["target"], group["runs"], item["step"]["position"]) == (name, 30, 18)
    assert (item["last_run_before"], item["first_run_after"]) == ("run-of-day-18", "run-of-day-19")
    assert [change["code"] for change in item["changed"]] == ["torch"]
    tags, text = shown(comparing.markdown)
    assert "When it changed" in text
    assert "with it changed: the version of torch (" in text
    assert "script" not in tags
    assert tags.count("img") == 1
    picture = comparing.results / group["picture"]
    assert [picture] == list((comparing.results / "pictures").iterdir())
    assert is_inert(picture.read_text())
    assert f"({group['picture']})" in comparing.markdown

    run = comparing.run(compare_baseline={"target": "xeon_pool"})
    assert run.wait() == 0, run.output
    picture.write_text("<svg/>")
    run = comparing.run(compare_baseline={"target": "xeon_pool"})
    assert run.wait() == 2
    assert "was not written by this collection and is left as it is" in run.output
    assert picture.read_text() == "<svg/>"

    run = comparing.run(compare_baseline={"target": "xeon_pool"}, compare_step_size="0.2")
    assert run.wait() == 0, run.output
    assert not any(group["steps"] for group in comparing.json["steps"])


def test_a_misspelt_variable_is_no_comparison_of_something_else(comparing: Comparing) -> None:
    comparing.add(mac_m4(), xeon_pool())
    run = comparing.run(benchmark_result_dir="elsewhere")
    assert run.wait() == 2
    assert "is benchmark_results_dir meant?" in run.output
    assert not comparing.results.exists()
