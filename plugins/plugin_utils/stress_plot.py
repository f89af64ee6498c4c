# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The picture of latency against threads: an SVG without script, font or link, with a logarithmic latency."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle

from ansible_collections.rightsize.whisper.plugins.plugin_utils import svg
from ansible_collections.rightsize.whisper.plugins.plugin_utils.svg import COLOURS, WIDTH

HEIGHT = 400
LEFT, RIGHT, TOP, BOTTOM = 70, 130, 50, 50


@dataclass(frozen=True)
class Point:
    """A thread count's latency with its interval; what is not clean is drawn hollow."""

    threads: int
    seconds: float
    low: float | None
    high: float | None
    clean: bool


@dataclass(frozen=True)
class Curve:
    """The thread counts at one CPU limit."""

    name: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class _Axes:
    threads: tuple[int, ...]
    lowest: float
    highest: float

    def x(self, threads: int) -> float:
        place = self.threads.index(threads) / max(1, len(self.threads) - 1)
        return LEFT + place * (WIDTH - LEFT - RIGHT)

    def y(self, seconds: float) -> float:
        place = math.log(seconds / self.lowest) / math.log(self.highest / self.lowest)
        return HEIGHT - BOTTOM - place * (HEIGHT - TOP - BOTTOM)


def plot(title: str, curves: Sequence[Curve], rule_seconds: float | None) -> str:
    """The picture; `rule_seconds` is where the rule sees throttling at the first curve's limit."""
    points = [point for curve in curves for point in curve.points]
    values = [value for point in points for value in (point.seconds, point.low, point.high) if value is not None]
    values += [] if rule_seconds is None else [rule_seconds]
    axes = _Axes(tuple(sorted({point.threads for point in points})), min(values) / 1.25, max(values) * 1.25)
    body = [*_frame(title, axes)]
    if rule_seconds is not None:
        y = axes.y(rule_seconds)
        body.append(svg.stroke(f"M{LEFT} {y:.1f}H{WIDTH - RIGHT}", "#888888", dashed=True))
        body.append(svg.text(WIDTH - RIGHT + 8, y + 4, "2 × one thread"))
    for number, (curve, colour) in enumerate(zip(curves, cycle(COLOURS), strict=False)):
        # Of curves that lie upon each other, the figures of one can be read.
        body += _drawn(curve, colour, axes, with_figures=number == 0)
        # Names have a column of their own, at the bottom right, away from the rule's.
        y = HEIGHT - BOTTOM - 18 * number
        body.append(svg.dot(WIDTH - RIGHT + 14, y - 4, 5, colour))
        body.append(svg.text(WIDTH - RIGHT + 26, y, curve.name))
    return svg.document(title, HEIGHT, body)


def _frame(title: str, axes: _Axes) -> Iterator[str]:
    bottom = HEIGHT - BOTTOM
    yield svg.text(LEFT, 24, title, max_length=svg.MAX_TITLE)
    yield svg.stroke(f"M{LEFT} {TOP}V{bottom}H{WIDTH - RIGHT}")
    yield svg.text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, "threads; hollow: not clean", "middle")
    for threads in axes.threads:
        yield svg.text(axes.x(threads), bottom + 18, str(threads), "middle")
    for seconds in svg.logarithmic_ticks(axes.lowest, axes.highest):
        y = axes.y(seconds)
        yield svg.stroke(f"M{LEFT - 5} {y:.1f}H{LEFT}")
        yield svg.text(LEFT - 9, y + 4, f"{seconds:g} s", "end")


def _drawn(curve: Curve, colour: str, axes: _Axes, *, with_figures: bool) -> Iterator[str]:
    places = [(axes.x(point.threads), axes.y(point.seconds)) for point in curve.points]
    yield svg.curve(places, colour)
    for point, (x, y) in zip(curve.points, places, strict=True):
        if point.low is not None and point.high is not None:
            yield svg.stroke(f"M{x:.1f} {axes.y(point.low):.1f}V{axes.y(point.high):.1f}", colour, width=2)
        yield svg.dot(x, y, 5, colour, hollow=not point.clean)
        if with_figures:
            yield svg.text(x + 9, y - 9, f"{point.seconds:.2f} s")
