# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The picture of latency against threads: an SVG without script, font or link, with a logarithmic latency."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import cycle

WIDTH, HEIGHT = 640, 400
LEFT, RIGHT, TOP, BOTTOM = 70, 130, 50, 50
# Told apart by people who do not see red and green (Okabe and Ito).
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00")


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
        body.append(
            f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" stroke="#888" stroke-dasharray="6 4"/>'
        )
        body.append(_text(WIDTH - RIGHT + 8, y + 4, "2 × one thread", "start"))
    for number, (curve, colour) in enumerate(zip(curves, cycle(COLOURS), strict=False)):
        # Of curves that lie upon each other, the figures of one can be read.
        body += _drawn(curve, colour, axes, with_figures=number == 0)
        # Names have a column of their own, at the bottom right, away from the rule's.
        y = HEIGHT - BOTTOM - 18 * number
        body.append(f'<circle cx="{WIDTH - RIGHT + 14}" cy="{y - 4}" r="5" fill="{colour}"/>')
        body.append(_text(WIDTH - RIGHT + 26, y, curve.name, "start"))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'font-family="sans-serif" font-size="13" role="img">\n<title>{escape(title)}</title>\n'
        + "\n".join(body)
        + "\n</svg>\n"
    )


def _frame(title: str, axes: _Axes) -> Iterator[str]:
    bottom = HEIGHT - BOTTOM
    yield f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>'
    yield _text(LEFT, 24, title, "start")
    yield f'<path d="M{LEFT} {TOP}V{bottom}H{WIDTH - RIGHT}" fill="none" stroke="black"/>'
    yield _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, "threads; hollow: not clean", "middle")
    for threads in axes.threads:
        yield _text(axes.x(threads), bottom + 18, str(threads), "middle")
    for seconds in _ticks(axes.lowest, axes.highest):
        y = axes.y(seconds)
        yield f'<path d="M{LEFT - 5} {y:.1f}H{LEFT}" stroke="black"/>'
        yield _text(LEFT - 9, y + 4, f"{seconds:g} s", "end")


def _ticks(lowest: float, highest: float) -> Iterator[float]:
    """1, 2 and 5 times powers of ten."""
    for exponent in range(math.floor(math.log10(lowest)), math.ceil(math.log10(highest)) + 1):
        for digit in (1, 2, 5):
            value = digit * 10.0**exponent
            if lowest <= value <= highest:
                yield value


def _drawn(curve: Curve, colour: str, axes: _Axes, *, with_figures: bool) -> Iterator[str]:
    places = [(axes.x(point.threads), axes.y(point.seconds)) for point in curve.points]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    yield f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>'
    for point, (x, y) in zip(curve.points, places, strict=True):
        if point.low is not None and point.high is not None:
            yield f'<path d="M{x:.1f} {axes.y(point.low):.1f}V{axes.y(point.high):.1f}" stroke="{colour}" stroke-width="2"/>'
        fill = colour if point.clean else "white"
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{fill}" stroke="{colour}" stroke-width="2"/>'
        if with_figures:
            yield _text(x + 9, y - 9, f"{point.seconds:.2f} s", "start")


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
