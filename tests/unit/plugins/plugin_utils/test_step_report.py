# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import random
from typing import Any
from xml.etree import ElementTree

import pytest
from ansible_collections.rightsize.whisper.plugins.plugin_utils import steps_plot, svg
from ansible_collections.rightsize.whisper.plugins.plugin_utils.compared_runs import Kinds, Results, Run
from ansible_collections.rightsize.whisper.plugins.plugin_utils.latency_plot import MAX_DOTS
from ansible_collections.rightsize.whisper.plugins.plugin_utils.step_report import (
    StepReport,
    report_steps,
    step_lines,
)
from ansible_collections.rightsize.whisper.plugins.plugin_utils.steps import find_steps

from tests.unit.factories import xeon_pool
from tests.unit.markdown_shown import HOSTILE

SPACE = "{http://www.w3.org/2000/svg}"


def history(before: int = 12, after: int = 12, ratio: float = 1.08, **changes: Any) -> list[Run]:
    """Runs of which those after the step have `changes`: one an hour, or so many as `hours` says in one."""
    chance, source = random.Random(1), Results(Kinds())
    hours, target = changes.pop("hours", 1), changes.pop("target", "xeon_pool")
    runs = []
    for number in range(before + after):
        mean = 1000 * (ratio if number >= before else 1) * (1 + chance.uniform(-0.01, 0.01))
        hour = number // hours
        runs.append(
            source.add(
                xeon_pool(
                    wall_ms=[[mean, mean]] * 3,
                    run_id=f"run-{number:03}",
                    target=target,
                    timestamp=f"2026-11-{1 + hour // 24:02}T{hour % 24:02}:{number % hours:02}:00Z",
                    **(changes if number >= before else {}),
                )
            )
        )
    return runs


def texts(picture: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(picture).iter(f"{SPACE}text")]


def reported(runs: list[Run]) -> StepReport:
    return report_steps(runs, 0.02)


def test_a_step_says_when_how_far_and_what_changed_with_it() -> None:
    found = reported(history(image={"id": "sha256:" + "0f" * 32}, software={"torch": "2.0.0"}))
    (group,) = found.groups
    (item,) = group.steps
    assert (group.runs, group.judged, group.note) == (24, 24, "")
    assert (item.last_run_before, item.first_run_after) == ("run-011", "run-012")
    assert (item.last_time_before, item.first_time_after) == ("2026-11-01T11:00:00Z", "2026-11-01T12:00:00Z")
    assert [change.code for change in item.changed] == ["torch", "image"]
    assert item.sentence.startswith("since 2026-11-01T12:00:00Z, 8.")
    assert " % slower (" in item.sentence
    assert item.sentence.endswith("to 2.0.0), the image")
    assert step_lines(found.groups)[0].startswith("xeon_pool (")


def test_what_became_faster_says_so_and_that_nothing_changed() -> None:
    (group,) = reported(history(ratio=0.9)).groups
    assert " % faster (" in group.steps[0].sentence
    assert group.steps[0].sentence.endswith("nothing that is recorded changed with it")


def test_a_step_of_few_hours_is_told_to_be_so() -> None:
    (group,) = reported(history(hours=12)).groups
    assert len(group.steps) == 1
    assert "fewer than 10 hours" in group.note


@pytest.mark.parametrize(("runs", "judged", "note"), [(4, 0, "8 runs are too few"), (20, 40, "no step was found")])
def test_a_group_without_steps_says_why(runs: int, judged: int, note: str) -> None:
    found = reported(history(runs, runs, ratio=1.0))
    (group,) = found.groups
    assert (group.judged, group.steps, group.picture, found.pictures) == (judged, (), "", ())
    assert group.note.startswith(note)


def test_groups_of_one_target_have_pictures_of_their_own() -> None:
    runs = [*history(), *history(target="XEON_pool"), *history(target="../up", ratio=1.2)]
    files = [picture.file for picture in reported(runs).pictures]
    assert files[0].endswith("/steps-xeon_pool-1.svg")
    assert len({file.casefold() for file in files}) == 3
    assert all(file.startswith("pictures/steps-") and ".." not in file and file.count("/") == 1 for file in files)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_shown_and_do_nothing(name: str) -> None:
    found = reported(history(target=name, image={"id": name}))
    (picture,) = found.pictures
    assert svg.is_inert(picture.svg)
    lines = step_lines(found.groups)
    assert len(lines) == 1
    assert lines[0].isprintable()


def test_every_run_is_a_dot_and_every_level_a_line() -> None:
    (picture,) = reported(history()).pictures
    root = ElementTree.fromstring(picture.svg)
    assert len(list(root.iter(f"{SPACE}circle"))) == 24
    levels = [path for path in root.iter(f"{SPACE}path") if path.get("stroke-width") == "3"]
    assert len(levels) == 2
    assert any(text.startswith("+8.") for text in texts(picture.svg))


def test_of_many_runs_the_extremes_are_drawn() -> None:
    means = [1000.0 + number % 7 for number in range(1000)] + [1100.0 + number % 7 for number in range(1000)]
    means[234], means[1765] = 3000.0, 500.0
    drawn = steps_plot.plot("many", "", means, ["2026-11-01T00:00:00Z"] * len(means), find_steps(means))
    dots = [float(circle.get("cy", "")) for circle in ElementTree.fromstring(drawn).iter(f"{SPACE}circle")]
    assert 100 < len(dots) <= MAX_DOTS
    assert sorted(dots)[0] < sorted(dots)[1] - 50
    assert sorted(dots)[-1] > sorted(dots)[-2] + 10


def test_nothing_cannot_be_drawn() -> None:
    with pytest.raises(svg.PictureError):
        steps_plot.plot("none", "", [], [], [])
