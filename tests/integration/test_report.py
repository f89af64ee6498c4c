# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.rightsize.whisper.plugins.plugin_utils import svg

from tests.integration.playbooks import PlaybookRun
from tests.integration.reporting import Reporting
from tests.unit.factories import RESULTS, mac_m4, xeon_pool
from tests.unit.markdown_shown import HOSTILE, shown

FIXTURES = RESULTS.parent / "report"
PICTURES = {
    "stress-here.svg": svg.document("a picture of the stress test", 100, []),
    "stress-foreign.svg": svg.document("a foreign picture", 100, ["<script>alert(1)</script>"]),
}
OLD_POOL = {"target": "old_pool", "run_id": "20261123t123000-6f6c6421"}


@pytest.fixture
def reporting(play: Callable[..., PlaybookRun], tmp_path: Path) -> Reporting:
    return Reporting(play, tmp_path)


def both() -> dict[str, dict[str, Any]]:
    return {"reference": {"mac_m4": mac_m4()}, "candidates": {"xeon_pool": xeon_pool()}}


def changes(run: PlaybookRun) -> int:
    return sum(int(count) for count in re.findall(r"changed=(\d+)", run.output))


def test_a_report_and_helm_values_are_written_and_named_once(reporting: Reporting) -> None:
    run = reporting.run(**both())
    assert run.wait() == 0, run.output
    assert reporting.report.read_text() == (FIXTURES / "one_candidate.md").read_text()
    values = reporting.results / "values-base.yaml"
    assert yaml.safe_load(values.read_text())["replicaCount"] == 16
    assert yaml.safe_load((reporting.results / "normalization.yml").read_text())
    assert [f'"{path}"' in run.output for path in (reporting.report, values)] == [True, True]
    assert sorted(path.name for path in reporting.results.iterdir() if not path.name.startswith(".")) == [
        "normalization.yml",
        "pictures",
        "report.html",
        "report.md",
        "values-base.yaml",
    ]

    before = {path: path.read_bytes() for path in reporting.results.rglob("*") if path.is_file()}
    assert {path.name for path in before} >= {"latency.svg", "ratio.svg", "report.html"}
    run = reporting.run(**both())
    assert run.wait() == 0, run.output
    assert changes(run) == 0
    assert {path: path.read_bytes() for path in reporting.results.rglob("*") if path.is_file()} == before


def test_one_failing_candidate_does_not_cost_the_others(reporting: Reporting) -> None:
    candidates = {"xeon_pool": None, "old_pool": xeon_pool(**OLD_POOL), "odd_pool": xeon_pool(model_size="small")}
    asked = {"benchmark_target_rps": "20", "benchmark_utilisation_ceiling": "0.5"}
    run = reporting.run({"mac_m4": mac_m4()}, candidates, **asked)
    assert run.wait() == 2, "the play fails, since a host did"
    report = reporting.report.read_text()
    assert "xeon_pool has no result: the engine stopped during the run" in report
    assert "**20 requests/s on old_pool need 87 replicas" in report
    assert "**No answer for xeon_pool:** no ratio is made of different work: the model differs" in report
    assert [path.name for path in reporting.results.glob("values-*")] == ["values-base-old_pool.yaml"]


def test_an_objective_a_base_rate_a_price_and_a_mix_are_sized_and_reported(reporting: Reporting) -> None:
    asked = {
        "benchmark_latency_seconds": "30",
        "benchmark_base_rps": "1",
        "benchmark_price_per_cpu_hour": "0.04",
        "benchmark_derate": "1.1",
        "benchmark_mix": [{"audio_seconds": 20, "share": 0.75}, {"audio_seconds": 95, "share": 0.25}],
    }
    run = reporting.run(**both(), **asked)
    assert run.wait() == 0
    assert re.search(r"xeon_pool: 5 requests/s, p95 within 30 s: replicas \d+ of 1 CPU and 896 MiB", run.output)
    report = reporting.report.read_text()
    for words in (
        "The objective, 95 % of the requests within 30 s, is met",
        "Busy neighbours on its node make a request take 1.1 times as long",
        "With an autoscaler: ",
        "At 0.04 per CPU-hour: ",
        "| Objective | Per hour |",
        "**mix_extrapolated**",
    ):
        assert words in report


def test_an_objective_below_the_service_time_is_one_clear_line(reporting: Reporting) -> None:
    answered = reporting.run(**both())
    assert answered.wait() == 0, answered.output
    values = (reporting.results / "values-base.yaml").read_bytes()
    run = reporting.run(**both(), benchmark_latency_seconds="1")
    assert run.wait() == 2, "who goes on where it succeeds must not take the values of the answer before"
    refused = "no answer: p95 within 1 s is below the shortest service time"
    assert f"xeon_pool: {refused}" in run.output
    assert (
        "**No answer for xeon_pool:** p95 within 1 s is below the shortest service time" in reporting.report.read_text()
    )
    assert "No values are written for it; those of an earlier report are as they were" in " ".join(run.output.split())
    assert (reporting.results / "values-base.yaml").read_bytes() == values


def test_an_objective_that_no_number_of_replicas_meets_writes_no_values_and_fails_at_the_end(
    reporting: Reporting,
) -> None:
    run = reporting.run(**both(), benchmark_latency_seconds="2.15")
    assert run.wait() == 2, "who goes on where it succeeds must not deploy values that miss the objective"
    words = " ".join(run.output.split())
    assert "xeon_pool: no answer: p95 within 2.15 s cannot be met by adding workers" in words
    assert "No values are written for it" in words
    assert list(reporting.results.glob("values-*")) == []
    assert "Possible without the objective: 16 replicas of 1 CPU" in reporting.report.read_text()


def test_workers_of_two_cpus_are_ordered_as_they_are_reported(reporting: Reporting) -> None:
    run = reporting.run(**both(), benchmark_values_cpus_per_worker="2")
    assert run.wait() == 0, run.output
    assert "replicas 16 of 2 CPUs and 896 MiB, CPUs in all 32" in run.output
    assert "need 16 replicas of 2 CPUs and 896 MiB: 32 CPUs" in reporting.report.read_text()
    values = yaml.safe_load((reporting.results / "values-base.yaml").read_text())
    assert values["resources"]["limits"]["cpu"] == "2"


def test_without_a_result_of_the_reference_there_is_no_report(reporting: Reporting) -> None:
    run = reporting.run({"mac_m4": None}, {"xeon_pool": xeon_pool()})
    assert run.wait() == 2
    assert "No report: the reference mac_m4 has no result; see above why, or name a run of it" in run.output
    assert not reporting.report.exists()


def test_without_a_result_of_any_candidate_there_is_no_report(reporting: Reporting) -> None:
    run = reporting.run({"mac_m4": mac_m4()}, {"xeon_pool": None})
    assert run.wait() == 2
    assert "No report: no candidate has a result; see above why, or name runs" in run.output
    assert not reporting.report.exists()


def test_bad_input_is_one_clear_line_each(reporting: Reporting) -> None:
    wrong = {
        "benchmark_target_rps is 0.0: name a number of requests per second above 0": {"report_target_rps": 0},
        "benchmark_target_rps is nan: name a number of requests per second above 0": {"report_target_rps": "nan"},
        "benchmark_target_rps is 'five': name a number": {"report_target_rps": "five"},
        "benchmark_utilisation_ceiling is 70.0: name a share above 0 and at most 1": {"report_utilisation_ceiling": 70},
        "benchmark_target_rps is True: name a number": {"report_target_rps": True},
        "benchmark_latency_seconds is 0.0: name a number of seconds above 0": {"report_latency_seconds": "0"},
        "benchmark_dispatch is 'fair': name random or pooled": {"report_dispatch": "fair"},
        "benchmark_mix has shares that sum to 0.5: they must sum to 1": {
            "report_mix": [{"audio_seconds": 15, "share": 0.5}]
        },
        "the group reference has 2 hosts, and a ratio is relative to one: mac_m4, mac_m5": {},
    }
    run = reporting.run_check(["mac_m4", "mac_m5"], *wrong.values())
    run.wait()
    assert [words for words in wrong if words not in run.output] == []
    assert run.output.count("fatal: ") == len(wrong)


def test_files_that_are_not_ours_are_left_as_they_are(reporting: Reporting, tmp_path: Path) -> None:
    values, elsewhere = reporting.results / "values-base.yaml", tmp_path / "elsewhere.md"
    values.write_bytes(b"mine \xff\n# Generated by rightsize.whisper: quoted\n")
    reporting.report.symlink_to(elsewhere)
    page, picture = reporting.page, reporting.results / "pictures" / "latency.svg"
    picture.parent.mkdir()
    for path in (page, picture):
        path.write_text("<p>mine</p>\n<!-- Generated by rightsize.whisper: quoted -->\n")
    run = reporting.run(**both(), benchmark_overwrite="false")
    assert run.wait() == 2
    for path in (values, reporting.report, page, picture):
        assert f"{path} was not written by this collection and is left as it is: move it away" in run.output
    assert values.read_bytes().startswith(b"mine \xff")
    assert reporting.report.is_symlink()

    run = reporting.run(**both(), benchmark_overwrite="true")
    assert run.wait() == 0, run.output
    for path in (values, reporting.report, page, picture):
        assert "Generated by rightsize.whisper" in path.read_text().splitlines()[0]
    assert not elsewhere.exists()


def test_a_folder_in_the_way_is_left_even_where_files_are_not(reporting: Reporting, tmp_path: Path) -> None:
    (reporting.results / "values-base.yaml").mkdir()
    (tmp_path / "elsewhere").mkdir()
    reporting.report.symlink_to(tmp_path / "elsewhere")
    run = reporting.run(**both(), benchmark_overwrite="true")
    assert run.wait() == 2
    for path in (reporting.results / "values-base.yaml", reporting.report):
        assert f"{path} is a folder and is left as it is: move it away" in run.output
        assert list(path.iterdir()) == []


def test_a_results_folder_may_have_any_name(reporting: Reporting) -> None:
    odd = reporting.results / r"it's {a} \1 $x"
    odd.mkdir()
    run = reporting.run(**both(), benchmark_results_dir=str(odd))
    assert run.wait() == 0, run.output
    assert sorted(path.name for path in odd.iterdir()) == [
        "normalization.yml",
        "pictures",
        "report.html",
        "report.md",
        "values-base.yaml",
    ]


def test_it_carries_what_other_playbooks_of_ours_have_left(reporting: Reporting) -> None:
    ours = "<!-- Generated by rightsize.whisper: the stress test -->\n## Threads\n\n{{ 6 * 7 }} | clean |\n"
    for name, picture in PICTURES.items():
        (reporting.results / name).write_text(picture)
        ours += f"\n![A picture]({name})\n"
    (reporting.results / "stress.md").write_text(ours)
    (reporting.results / "calibration.md").write_text("# My notes\n")
    run = reporting.run(**both())
    assert run.wait() == 0, run.output
    report = reporting.report.read_text()
    assert ours in report
    assert "My notes" not in report
    page = reporting.page.read_text()
    assert "a picture of the stress test" in page
    assert '<a href="stress-foreign.svg">' in page
    assert "alert" not in page


def test_runs_can_be_named_from_the_history(reporting: Reporting) -> None:
    reporting.remember(mac_m4(), xeon_pool(), xeon_pool(**OLD_POOL))
    run = reporting.run_from_history(
        report_reference_run_id=mac_m4()["run_id"],
        report_candidate_run_ids=[xeon_pool()["run_id"], OLD_POOL["run_id"]],
    )
    assert run.wait() == 0, run.output
    report = reporting.report.read_text()
    assert report.index("on xeon_pool need") < report.index("on old_pool need")

    run = reporting.run_from_history(
        report_reference_run_id="20261123t120000-unknown0", report_candidate_run_ids=[xeon_pool()["run_id"]]
    )
    assert run.wait() == 2
    assert "history.jsonl has no run 20261123t120000-unknown0" in run.output


def test_nothing_from_a_target_is_templated_or_reaches_the_terminal(reporting: Reporting, tmp_path: Path) -> None:
    pwned = tmp_path / "pwned"
    text = f"{{{{ lookup('ansible.builtin.pipe', 'touch {pwned}') }}}}{{% set x = 1 %}}{{# gone #}} \x1b[31m<b>|`[x](y)"
    warning = {"code": "noisy", "message": text}
    reference = mac_m4(target=text, cpu_model=text, warnings=[warning], image={"id": text, "name": text})
    target = xeon_pool(target=text, cpu_model=text, warnings=[warning], kubernetes={"node": text})
    for result in (reference, target):
        result["audio"]["name"] = result["software"]["torch"] = result["transcript"]["text"] = text
        result["labels"] = {"label": text}
    # One as a module returned it, the other as a fact of another play.
    reporting.remember(reference)
    run = reporting.run({}, {"xeon_pool": target}, report_reference_run_id=reference["run_id"])
    assert run.wait() == 0, run.output
    assert not pwned.exists()
    assert "\x1b" not in run.output
    report = reporting.report.read_text()
    assert "\x1b" not in report
    tags, visible = shown(report)
    assert "b" not in tags
    assert text.replace("\x1b", "\N{REPLACEMENT CHARACTER}") in visible
    values = (reporting.results / "values-base.yaml").read_text()
    assert yaml.safe_load(values)["replicaCount"] == 16
    assert "\x1b" not in values
    assert yaml.safe_load((reporting.results / "normalization.yml").read_text())


def test_a_hostile_name_of_a_model_or_a_target_names_no_other_file(reporting: Reporting) -> None:
    candidates = {
        f"host{number}": xeon_pool(target=name, model_size="../../base", run_id=f"20261123t123000-{number:08}")
        for number, name in enumerate(("../../../etc/passwd", "{{ 1 + 1 }}", *HOSTILE[:2]))
    }
    run = reporting.run({"mac_m4": mac_m4(model_size="../../base")}, candidates)
    assert run.wait() == 0, run.output
    written = {path.name for path in reporting.results.iterdir()}
    assert len(written) == len(candidates) + 4
    assert all(
        re.fullmatch(
            r"(report\.md|report\.html|pictures|normalization\.yml|values-base-[0-9a-f]{8}-[a-z0-9-]+\.yaml)", name
        )
        for name in written
    )


def test_a_results_folder_that_is_none_is_one_clear_line(reporting: Reporting, tmp_path: Path) -> None:
    (tmp_path / "a-file").touch()
    run = reporting.run(**both(), benchmark_results_dir=str(tmp_path / "a-file"))
    assert run.wait() == 2
    assert f"{tmp_path}/a-file" in run.output
    assert "Traceback" not in run.output


@pytest.mark.slow
def test_a_report_takes_no_longer_from_a_hundred_thousand_results(reporting: Reporting) -> None:
    """Only the two runs that are named are read; the index finds them. The target is 5 s on a quiet machine."""
    named = {"report_reference_run_id": mac_m4()["run_id"], "report_candidate_run_ids": [xeon_pool()["run_id"]]}

    def report() -> tuple[float, float]:
        before, start = os.times(), time.monotonic()
        run = reporting.run_from_history(**named)
        assert run.wait(300) == 0, run.output
        seconds, after = time.monotonic() - start, os.times()
        reporting.report.unlink()
        busy = after.children_user + after.children_system - before.children_user - before.children_system
        return seconds, busy

    reporting.remember(mac_m4(), xeon_pool())
    alone_seconds, alone_busy = report()
    line = json.dumps({**xeon_pool(wall_ms=[[2100.0]], target="other"), "run_id": "RUN-ID"}) + "\n"
    with (reporting.results / "history.jsonl").open("a") as history:
        history.writelines(line.replace("RUN-ID", f"run-{number:09}") for number in range(100_000))
    report()  # builds the index
    seconds, busy = report()
    print(f"report from 2 results: {alone_seconds:.1f} s, {alone_busy:.1f} s of a CPU")
    print(f"report from 100,002 results: {seconds:.1f} s, {busy:.1f} s of a CPU")
    assert busy - alone_busy < 2
