# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report as people see it: compared with tests/fixtures/report, and asked of GitHub's parser of Markdown.

After a change that is meant, `RIGHTSIZE_UPDATE_FIXTURES=1 pytest tests/unit/roles/report` writes the fixtures anew.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.rightsize.whisper.plugins.plugin_utils.escaping import one_line
from ansible_collections.rightsize.whisper.plugins.plugin_utils.load import Load
from ansible_collections.rightsize.whisper.plugins.plugin_utils.normalization_file import entry_of
from ansible_collections.rightsize.whisper.plugins.plugin_utils.pictures import draw
from ansible_collections.rightsize.whisper.plugins.plugin_utils.plain import plain
from ansible_collections.rightsize.whisper.plugins.plugin_utils.report import make_report
from ansible_collections.rightsize.whisper.plugins.plugin_utils.values_dialects import Chart

from tests.unit.factories import REPOSITORY, mac_m4, xeon_pool
from tests.unit.markdown_shown import HOSTILE, shown
from tests.unit.role_templates import rendered

ASKED = Load(5.0)
FIXTURES = REPOSITORY / "tests" / "fixtures" / "report"
NOISY = {"code": "noisy", "message": "the means of the 5 processes lie 9.0% apart: quiet the machine and run again"}


def report(
    *candidates: dict[str, Any], reference: dict[str, Any] | None = None, load: Load = ASKED, **options: Any
) -> str:
    """The report as Ansible makes it."""
    made = make_report(reference or mac_m4(), candidates or (xeon_pool(),), load, **options)
    comparisons = plain(made)["comparisons"]
    ratios = [entry_of(found["normalization"]) for found in comparisons if found["normalization"]]
    pictures = draw(reference or mac_m4(), candidates or (xeon_pool(),), ratios, comparisons)
    return rendered(
        "report",
        "report.md.j2",
        report_contents=plain(made),
        report_section_files=[],
        report_renderings=[],
        report_pictures=plain(pictures),
    )


def again(**changes: Any) -> dict[str, Any]:
    """The reference, measured once more."""
    return mac_m4(
        **{"run_id": "20261123t121500-4d61634d", "timestamp": "2026-11-23T12:15:00Z", "target": "mac_m4_again"}
        | changes
    )


REPORTS = {
    "one_candidate": report,
    "several_candidates": lambda: report(
        xeon_pool(isolated=False, isolation={"mode": "none"}, cpu_limit=None, throttling={"applicable": False}),
        xeon_pool(target="old_pool", run_id="20261123t123000-6f6c6421", model_size="small"),
        xeon_pool(
            target="few", run_id="20261123t124500-66657721", wall_ms=[[2100.0, 2140.0]], memory={"peak_bytes": None}
        ),
        reference=mac_m4(warnings=[NOISY]),
        unmeasured={"gone_pool": "the Pod was evicted", "silent_pool": ""},
    ),
    "self_check": lambda: report(again()),
}


@pytest.mark.parametrize("name", REPORTS)
def test_the_report_is_as_people_know_it(name: str) -> None:
    fixture, made = FIXTURES / f"{name}.md", REPORTS[name]()
    if os.environ.get("RIGHTSIZE_UPDATE_FIXTURES"):
        fixture.write_text(made)
    assert made == fixture.read_text()


@pytest.mark.parametrize("name", REPORTS)
def test_the_answer_comes_first_and_then_what_to_beware_of(name: str) -> None:
    made = REPORTS[name]()
    headings = re.findall(r"^(?:# .*|## .*)", made, re.MULTILINE)
    assert headings[0] == "# Whisper base: CPUs for 5 requests/s"
    assert headings[1:3] == ["## Beware", "## Pictures"]
    assert headings[-2:] == ["## Where the figures come from", "## Files"]
    assert "replica" in made.split("## Beware")[0]


@pytest.mark.parametrize("name", REPORTS)
def test_it_is_well_formed(name: str) -> None:
    made = REPORTS[name]()
    assert made.endswith("\n")
    assert "\n\n\n" not in made
    assert "None" not in made
    assert not re.search(r"[ \t]+$", made, re.MULTILINE)
    # Every row of a table has as many cells as its head.
    for table in re.findall(r"(?:^\|.*\n)+", made, re.MULTILINE):
        assert len({row.count("|") for row in table.splitlines()}) == 1


def test_a_self_check_says_whether_it_passed() -> None:
    assert "1 is within the interval: passed." in report(again())
    slower = again(wall_ms=[[2100.0, 2101.0]] * 3)
    assert "**1 is not within the interval: failed.**" in report(slower)
    assert "There is no interval to say whether it is." in report(again(wall_ms=[[1338.0, 1339.0]]))


def test_a_tainted_answer_is_no_answer() -> None:
    made = report(xeon_pool(isolated=False))
    assert made.index("**Do not order by this: the ratio is tainted, see below.**") < made.index("16 replicas")


def test_an_objective_that_cannot_be_met_is_no_answer_and_what_is_possible_is_said() -> None:
    made = report(load=Load.of(5, latency_seconds=2.15))
    assert "**No answer for xeon_pool:** p95 within 2.15 s cannot be met by adding workers" in made
    possible = (
        "No values are written for it. Possible without the objective: 16 replicas of 1 CPU and 896 MiB: 16 CPUs and"
    )
    assert made.index(possible) < made.index("## Beware")
    assert "| | Linear | Without the objective |" in made
    assert "recommended)**" not in made
    assert "values-base" not in made


def test_workers_of_two_cpus_are_reported_as_they_are_ordered() -> None:
    made = report(load=Load.of(5, base_rps=1, price_per_cpu_hour=0.04), chart=Chart.of(cpus_per_worker=2))
    for words in (
        "need 16 replicas of 2 CPUs and 896 MiB: 32 CPUs and 14 GiB in all.**",
        "| CPUs | 10.54 | **32** |",
        "| CPU request = limit of a replica | – | 2 |",
        "| A replica has 2 whole CPUs of its own (QoS class Guaranteed) | 32.00 |",
        "at 30 % of the CPU request",
        "1.28 an hour",
        "refuse one hyperthread (SMTAlignmentError) **(recommended)** | 16 | 2 | 2 | 32 |",
        "| 1 CPU, one thread | 16 | 1 | 1 | 16 |",
    ):
        assert words in made


def test_a_singular_is_one() -> None:
    made = report(xeon_pool(wall_ms=[[100.0, 101.0]] * 3))
    assert "need 1 replica of 1 CPU and 896 MiB: 1 CPU and 0.875 GiB in all." in made


@pytest.mark.parametrize("text", HOSTILE)
def test_a_text_of_a_target_shows_itself_and_does_nothing(text: str) -> None:
    """Every text that a target chooses, at once: the report has the tags that it has with harmless ones."""
    tags, visible = shown(report(hostile(xeon_pool(), text), reference=hostile(mac_m4(), text)))
    harmless_tags, _visible = shown(report(hostile(xeon_pool(), "harmless,"), reference=hostile(mac_m4(), "harmless,")))
    assert without_code(tags) == without_code(harmless_tags)
    if one_line(text):
        # Names of both targets, CPUs, nodes, versions, images, warnings.
        assert visible.count(one_line(text)) > 30
    assert "\x1b" not in visible


def hostile(result: dict[str, Any], text: str) -> dict[str, Any]:
    """A result in which every text is this one that a target could choose without the schema refusing it."""
    result.update(
        target=text,
        cpu_model=text,
        architecture=text,
        model_size=text,
        image={"id": text, "name": text},
        kubernetes={"node": text},
        host=None,
        warnings=[{"code": "noisy", "message": text}],
    )
    result["audio"]["name"] = text
    for key in ("python", "torch", "whisper", "numpy", "kernel", "cpu_capability"):
        result["software"][key] = text
    return result


def without_code(tags: list[str]) -> list[str]:
    return [tag for tag in tags if tag != "code"]


def test_a_long_text_does_not_fill_the_report() -> None:
    made = report(hostile(xeon_pool(), "x" * 300), reference=hostile(mac_m4(), "x" * 300))
    cells = [cell.strip() for line in made.splitlines() if line.startswith("| ") for cell in line.split("|")]
    assert max(map(len, cells)) <= 2 * 200 + 40


def test_fixtures_belong_to_a_test() -> None:
    assert sorted(path.stem for path in Path(FIXTURES).glob("*.md")) == sorted(REPORTS)
