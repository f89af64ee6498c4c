# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The picture of a group's runs over time: a dot for each run's mean, a line for each level, and where it stepped."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from ansible_collections.rightsize.whisper.plugins.plugin_utils import svg
from ansible_collections.rightsize.whisper.plugins.plugin_utils.latency_plot import drawn
from ansible_collections.rightsize.whisper.plugins.plugin_utils.steps import Step
from ansible_collections.rightsize.whisper.plugins.plugin_utils.svg import COLOURS, WIDTH

HEIGHT = 340
LEFT, RIGHT, TOP, BOTTOM = 60, 30, 92, 62
# A step's size is written above it where the one before leaves room.
ROOM = 56


def plot(
    name: str, setting: str, means_ms: Sequence[float], times: Sequence[str], steps: Sequence[Step], skipped: int = 0
) -> str:
    """The picture, in equal distances from run to run; without the oldest `skipped` runs, which were not judged.

    `name` and `setting` are lines of their own, since each may be long.
    """
    if not means_ms[skipped:]:
        raise svg.PictureError("there are no runs to draw")
    seconds = [mean / 1000 for mean in means_ms]
    judged = seconds[skipped:]
    margin = max((max(judged) - min(judged)) * 0.1, max(judged) * 0.01)
    lowest, highest = min(judged) - margin, max(judged) + margin
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT

    def x(place: float) -> float:
        return LEFT + (place - skipped) / len(judged) * (right - LEFT)

    def y(value: float) -> float:
        return bottom - (value - lowest) / (highest - lowest) * (bottom - TOP)

    title = f"Runs over time: {name}"
    body = [svg.text(LEFT, 24, title, bold=True, max_length=64), svg.text(LEFT, 44, setting, max_length=84)]
    for mark in svg.linear_ticks(lowest, highest, 6):
        body.append(f'<g opacity="0.15">{svg.stroke(f"M{LEFT} {y(mark):.1f}H{right}")}</g>')
        body.append(svg.text(LEFT - 9, y(mark) + 4, f"{mark:g}", "end"))
    body.append(svg.stroke(f"M{LEFT} {TOP}V{bottom}H{right}"))
    body.append(f'<g fill="{COLOURS[0]}" fill-opacity="0.65">')
    # Of many runs some are drawn, with the slowest and the fastest.
    chosen = drawn(len(judged), judged.index(max(judged)), judged.index(min(judged)))
    dots = [skipped + number for number in chosen]
    radius = 3 if len(judged) <= 200 else 1.5
    body += [f'<circle cx="{x(number + 0.5):.1f}" cy="{y(seconds[number]):.1f}" r="{radius:g}"/>' for number in dots]
    body.append("</g>")
    body += _levels(steps, len(seconds), skipped, x, y)
    body += _marks(steps, x, bottom)
    body.append(svg.text(LEFT, bottom + 20, svg.minute(times[skipped])))
    body.append(svg.text(right, bottom + 20, svg.minute(times[-1]), "end"))
    runs = f"{len(dots)} of {len(judged)} runs" if len(dots) < len(judged) else f"{len(dots)} runs"
    said = f"seconds; dots: {runs}, oldest first; lines: levels; dashed: steps"
    body.append(svg.text((LEFT + right) / 2, bottom + 44, said, "middle"))
    return svg.document(title, HEIGHT, body)


def _levels(
    steps: Sequence[Step], count: int, skipped: int, x: Callable[[float], float], y: Callable[[float], float]
) -> Iterator[str]:
    """A line at the level of the runs between two steps."""
    levels = [step.before_ms for step in steps[:1]] + [step.after_ms for step in steps]
    for (start, end), level in zip(pairwise([skipped, *(step.position for step in steps), count]), levels, strict=True):
        yield svg.stroke(f"M{x(start):.1f} {y(level / 1000):.1f}H{x(end):.1f}", COLOURS[1], width=3)


def _marks(steps: Sequence[Step], x: Callable[[float], float], bottom: float) -> Iterator[str]:
    """A dashed line at each step, and how far it went where there is room."""
    free = -math.inf
    for step in steps:
        place = x(step.position)
        yield svg.stroke(f"M{place:.1f} {TOP - 8}V{bottom}", width=1.5, dashed=True)
        if place - free >= ROOM:
            yield svg.text(place, TOP - 14, f"{100 * (step.ratio - 1):+.1f} %", "middle", bold=True)
            free = place
