# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When groups of runs became slower or faster, and what changed with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ansible_collections.rightsize.whisper.plugins.plugin_utils import steps_plot
from ansible_collections.rightsize.whisper.plugins.plugin_utils.compared_runs import (
    FACTS,
    Group,
    Key,
    Run,
    grouped,
    run_ids,
)
from ansible_collections.rightsize.whisper.plugins.plugin_utils.escaping import file_name, one_line
from ansible_collections.rightsize.whisper.plugins.plugin_utils.pictures import FOLDER, Picture
from ansible_collections.rightsize.whisper.plugins.plugin_utils.steps import (
    MAX_RUNS,
    MIN_RUNS,
    Step,
    counts_hours,
    find_steps,
)

# A step's place may be a run off, and one run may be odd: what most of so many runs on a side have, counts.
NEIGHBOURS = 3
# A value that is longer is in the answer, and not in its sentence.
MAX_VALUE = 40


@dataclass(frozen=True)
class History:
    """A group's runs as steps are found in them, oldest first; `facts_of` gives those of one run, in the order of FACTS,
    and `run_id_of` its id."""

    key: Key
    means_ms: Sequence[float]
    times: Sequence[str]
    run_id_of: Callable[[int], str]
    facts_of: Callable[[int], tuple[str, ...]]


@dataclass(frozen=True)
class Change:
    """A fact that differs between the runs before a step and those after: a code and words as in FACTS, and its values."""

    code: str
    words: str
    before: str
    after: str


@dataclass(frozen=True)
class DatedStep:
    """A step with the last run before it, the first run after it, what changed with it, and all of that in words."""

    step: Step
    last_run_before: str
    last_time_before: str
    first_run_after: str
    first_time_after: str
    changed: tuple[Change, ...]
    sentence: str


@dataclass(frozen=True)
class GroupSteps:
    """The steps of a group, how many of its runs were judged (the newest; 0: too few), a note, and where its picture is."""

    group: Key
    runs: int
    judged: int
    steps: tuple[DatedStep, ...]
    note: str
    picture: str


@dataclass(frozen=True)
class StepReport:
    """Every group's steps, and the pictures of those that have some."""

    groups: tuple[GroupSteps, ...]
    pictures: tuple[Picture, ...]


def report_steps(runs: Iterable[Run], min_size: float) -> StepReport:
    """The steps of all groups, those of a baseline among them."""
    groups: list[GroupSteps] = []
    pictures: list[Picture] = []
    drawn: Counter[str] = Counter()
    for group in grouped(runs):
        history = history_of(group)
        found = find_steps(history.means_ms, min_size, history.times)
        picture = ""
        if found:
            stem = f"{FOLDER}/steps-{file_name(history.key.target)}"
            # Names that differ in case alone are one file on some machines.
            drawn[stem.casefold()] += 1
            picture = f"{stem}-{drawn[stem.casefold()]}.svg"
            pictures.append(_picture(picture, history, found))
        dated = tuple(_dated(history, step) for step in found)
        count = len(history.means_ms)
        judged = 0 if count < 2 * MIN_RUNS else min(count, MAX_RUNS)
        groups.append(GroupSteps(history.key, count, judged, dated, _note(history, found), picture))
    return StepReport(tuple(groups), tuple(pictures))


def history_of(group: Group) -> History:
    """A group as steps need it: all that they use of it."""
    return History(
        key=group.key,
        means_ms=group.run_means_ms,
        times=[run.timestamp for run in group.runs],
        run_id_of=lambda number: next(run_ids([group.runs[number]])),
        facts_of=lambda number: group.runs[number].kind.facts,
    )


def step_lines(groups: Iterable[GroupSteps]) -> list[str]:
    """A line for each step, for a terminal."""
    return [f"{one_line(_name(group.group))}: {item.sentence}" for group in groups for item in group.steps]


def _name(key: Key) -> str:
    return f"{key.target} ({key.cpu_model}, {key.model_size}, threads {key.threads}, {key.isolation_mode})"


def _note(history: History, found: Sequence[Step]) -> str:
    count = len(history.means_ms)
    if count < 2 * MIN_RUNS:
        return f"{count} runs are too few to find a step in: measure {2 * MIN_RUNS} or more"
    notes = [] if found else ["no step was found"]
    if count > MAX_RUNS:
        notes.append(f"of {count} runs the newest {MAX_RUNS} were judged")
    if found and not counts_hours(history.times):
        notes.append(
            f"the runs are of fewer than {2 * MIN_RUNS} hours, so a step may be one of the hour: measure in more of them"
        )
    return "; ".join(notes)


def _dated(history: History, step: Step) -> DatedStep:
    changed = tuple(_changes(history, step.position))
    time = history.times[step.position]
    return DatedStep(
        step=step,
        last_run_before=history.run_id_of(step.position - 1),
        last_time_before=history.times[step.position - 1],
        first_run_after=history.run_id_of(step.position),
        first_time_after=time,
        changed=changed,
        sentence=one_line(f"since {time}, {_size(step)}; {_with_it(changed)}", 1000),
    )


def _size(step: Step) -> str:
    """Such as: 8.0 % slower (6.1 to 9.9 %), by 20 runs after 30."""
    slower = step.ratio > 1
    percents = [100 * (ratio - 1) for ratio in (step.ratio, step.low, step.high)]
    size, low, high = percents if slower else (-percents[0], -percents[2], -percents[1])
    return (
        f"{size:.1f} % {'slower' if slower else 'faster'} ({low:.1f} to {high:.1f} %), "
        f"by {step.before} runs before and {step.after} after"
    )


def _with_it(changed: Sequence[Change]) -> str:
    if not changed:
        return "nothing that is recorded changed with it"
    return "with it changed: " + ", ".join(
        change.words
        if max(len(change.before), len(change.after)) > MAX_VALUE
        else f"{change.words} ({change.before} to {change.after})"
        for change in changed
    )


def _changes(history: History, position: int) -> Iterable[Change]:
    before = [history.facts_of(number) for number in range(position - NEIGHBOURS, position)]
    # The nearest to the step first: it decides where no value is the most common one.
    before.reverse()
    after = [history.facts_of(number) for number in range(position, position + NEIGHBOURS)]
    for number, (code, words, _path) in enumerate(FACTS):
        ours, theirs = (Counter(facts[number] for facts in side).most_common(1)[0][0] for side in (before, after))
        if ours != theirs:
            yield Change(code, words, ours, theirs)


def _picture(file: str, history: History, found: Sequence[Step]) -> Picture:
    key = history.key
    name = one_line(key.target, 40)
    # Cut one by one, so that a long name does not hide what follows.
    setting = (
        f"{one_line(key.cpu_model, 38)}, {one_line(key.model_size, 16)}, threads {key.threads}, "
        f"{one_line(key.isolation_mode, 12)}"
    )
    skipped = max(0, len(history.means_ms) - MAX_RUNS)
    svg = steps_plot.plot(name, setting, history.means_ms, history.times, found, skipped)
    return Picture(file, f"Runs over time: {name}, {setting}", svg)
