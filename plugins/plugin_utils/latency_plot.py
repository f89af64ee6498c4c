# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The picture of how latencies are distributed: each target's iterations as dots, process by process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle

from ansible_collections.rightsize.whisper.plugins.plugin_utils import svg
from ansible_collections.rightsize.whisper.plugins.plugin_utils.statistics import Sample, Summary
from ansible_collections.rightsize.whisper.plugins.plugin_utils.svg import COLOURS, WIDTH

# More dots than this hide each other; of more iterations, some are drawn.
MAX_DOTS = 2000
LEFT, RIGHT, TOP, BOTTOM = 50, 24, 44, 48
# Of a target: what is written above its dots, what a process takes, what all of them take at most, and the space below.
HEADING, PROCESS, MOST, GAP = 40, 24, 240, 16
RADIUS = 3
# The golden ratio's multiples, modulo 1, spread evenly whatever their number.
GOLDEN = 0.6180339887498949


@dataclass(frozen=True)
class Latencies:
    """A target's iterations, and the mean with its interval; milliseconds."""

    name: str
    sample: Sample
    mean: Summary


def plot(title: str, targets: Sequence[Latencies]) -> str:
    """The picture. The axis is common to all targets, and does not begin at 0."""
    if not targets:
        raise svg.PictureError("there are no latencies to draw")
    values = [value for target in targets for value in _extent(target)]
    margin = max((max(values) - min(values)) * 0.03, max(values) * 0.005)
    lowest, highest = min(values) - margin, max(values) + margin

    def x(milliseconds: float) -> float:
        return LEFT + (milliseconds - lowest) / (highest - lowest) * (WIDTH - LEFT - RIGHT)

    body, top = [svg.text(LEFT, 24, title, bold=True, max_length=svg.MAX_TITLE)], float(TOP)
    marks = svg.linear_ticks(lowest / 1000, highest / 1000)
    bottom = TOP + sum(HEADING + _height(target) + GAP for target in targets)
    body += [f'<g opacity="0.15">{svg.stroke(f"M{x(mark * 1000):.1f} {TOP}V{bottom}")}</g>' for mark in marks]
    for target, colour in zip(targets, cycle(COLOURS), strict=False):
        height = _height(target)
        body.append(svg.text(LEFT, top + 16, target.name, bold=True, max_length=80))
        body.append(svg.text(LEFT, top + 33, _said(target), max_length=120))
        body += _interval(target.mean, x, top + HEADING, height, colour)
        body += _dots(target, x, top + HEADING, height, colour)
        top += HEADING + height + GAP
    body.append(svg.stroke(f"M{LEFT} {bottom}H{WIDTH - RIGHT}"))
    for mark in marks:
        body.append(svg.stroke(f"M{x(mark * 1000):.1f} {bottom}v5"))
        body.append(svg.text(x(mark * 1000), bottom + 19, f"{mark:g}", "middle"))
    body.append(
        svg.text(
            (LEFT + WIDTH - RIGHT) / 2, bottom + 38, "seconds; each dot is an iteration, each row a process", "middle"
        )
    )
    return svg.document(title, bottom + BOTTOM, body)


def drawn(count: int, slowest: int, fastest: int) -> list[int]:
    """Which of so many iterations have a dot: all, or evenly chosen ones and the two extremes."""
    if count <= MAX_DOTS:
        return list(range(count))
    chosen = {number * count // (MAX_DOTS - 2) for number in range(MAX_DOTS - 2)}
    return sorted(chosen | {slowest, fastest})


def _extent(target: Latencies) -> Iterator[float]:
    yield from (min(target.sample.iterations), max(target.sample.iterations))
    yield from (value for value in (target.mean.low, target.mean.high) if value is not None)


def _height(target: Latencies) -> float:
    return min(len(target.sample.processes) * PROCESS, MOST)


def _said(target: Latencies) -> str:
    mean, count = target.mean, len(target.sample.iterations)
    dots = len(_chosen(target.sample))
    return (
        f"mean {mean.centre / 1000:.3f} s"
        + (
            ", no interval: too few processes"
            if mean.low is None or mean.high is None
            else f", {mean.confidence * 100:.0f} % interval {mean.low / 1000:.3f} to {mean.high / 1000:.3f} s"
        )
        + (f"; {count} iterations" if dots == count else f"; {dots} of {count} iterations are drawn")
    )


def _chosen(sample: Sample) -> list[int]:
    iterations = sample.iterations
    return drawn(len(iterations), iterations.index(max(iterations)), iterations.index(min(iterations)))


def _interval(mean: Summary, x: Callable[[float], float], top: float, height: float, colour: str) -> Iterator[str]:
    if mean.low is not None and mean.high is not None:
        width = max(x(mean.high) - x(mean.low), 0.5)
        yield (
            f'<rect x="{x(mean.low):.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}" '
            'fill-opacity="0.22"/>'
        )
    yield svg.stroke(f"M{x(mean.centre):.1f} {top - 3:.1f}v{height + 6:.1f}", colour, width=2)


def _dots(target: Latencies, x: Callable[[float], float], top: float, height: float, colour: str) -> Iterator[str]:
    processes = target.sample.processes
    places = [(row, value) for row, process in enumerate(processes) for value in process]
    row_height = height / len(processes)
    if row_height > svg.LINE:
        for row in range(len(processes)):
            yield svg.text(LEFT - 10, top + (row + 0.5) * row_height + 4, str(row + 1), "end")
    yield f'<g fill="{colour}" fill-opacity="0.65">'
    for number in _chosen(target.sample):
        row, value = places[number]
        # Dots of equal latencies lie beside each other: always in the same places.
        aside = (number * GOLDEN) % 1 - 0.5
        yield f'<circle cx="{x(value):.1f}" cy="{top + (row + 0.5 + 0.7 * aside) * row_height:.1f}" r="{RADIUS}"/>'
    yield "</g>"
