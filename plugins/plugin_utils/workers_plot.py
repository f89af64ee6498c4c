# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The picture of workers against predicted latency: how many it takes until requests no longer wait."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from ansible_collections.rightsize.whisper.plugins.plugin_utils import svg
from ansible_collections.rightsize.whisper.plugins.plugin_utils.svg import COLOURS, WIDTH

HEIGHT = 360
LEFT, RIGHT, TOP, BOTTOM = 70, 110, 50, 54
PERCENTILES = ("p50", "p95", "p99")
MAX_MARKS = 12


def workers_plot(
    points: Sequence[tuple[int, float, float, float]],
    objective_seconds: float | None,
    chosen_workers: int,
    title: str = "Workers against predicted latency",
) -> str:
    """The picture of `points`: workers, then the 50th, 95th and 99th percentile of the response, in seconds.

    So few workers that requests queue without end have a latency of infinity, and no place in the picture. Raises
    PictureError where no point has one.
    """
    shown = sorted(point for point in points if all(0 < seconds < math.inf for seconds in point[1:]))
    if not shown:
        raise svg.PictureError("no number of workers has a predicted latency that ends")
    seconds = [value for point in shown for value in point[1:]]
    seconds += [] if objective_seconds is None else [objective_seconds]
    lowest, highest = min(seconds) / 1.25, max(seconds) * 1.25
    fewest, most = min(shown[0][0], chosen_workers), max(shown[-1][0], chosen_workers)
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT

    def x(workers: float) -> float:
        return LEFT + 12 + (workers - fewest) / max(1, most - fewest) * (right - LEFT - 24)

    def y(value: float) -> float:
        return bottom - math.log(value / lowest) / math.log(highest / lowest) * (bottom - TOP)

    body = [svg.text(LEFT, 24, title, bold=True, max_length=svg.MAX_TITLE)]
    for mark in svg.logarithmic_ticks(lowest, highest):
        body.append(f'<g opacity="0.15">{svg.stroke(f"M{LEFT} {y(mark):.1f}H{right}")}</g>')
        body.append(svg.text(LEFT - 9, y(mark) + 4, f"{mark:g} s", "end"))
    body.append(svg.stroke(f"M{LEFT} {TOP}V{bottom}H{right}"))
    for workers in _marks(fewest, most):
        body.append(svg.text(x(workers), bottom + 18, str(workers), "middle"))
    body.append(svg.stroke(f"M{x(chosen_workers):.1f} {TOP}V{bottom}", "#888888", dashed=True))
    body.append(svg.text(x(chosen_workers), TOP - 6, f"chosen: {chosen_workers}", "middle"))
    names = []
    for number, (name, colour) in enumerate(zip(PERCENTILES, COLOURS, strict=False)):
        places = [(x(point[0]), y(point[number + 1])) for point in shown]
        body.append(svg.curve(places, colour))
        body += [svg.dot(*place, 3, colour) for place in places]
        names.append((places[-1][1], name))
    if objective_seconds is not None:
        height = y(objective_seconds)
        body.append(svg.stroke(f"M{LEFT} {height:.1f}H{right}", "#888888", dashed=True))
        names.append((height, f"objective {objective_seconds:g} s"))
    body += [svg.text(right + 8, height + 4, name) for height, name in _apart(names)]
    body.append(svg.text((LEFT + right) / 2, HEIGHT - 14, "workers (replicas); latency: waiting and service", "middle"))
    return svg.document(title, HEIGHT, body)


def _marks(fewest: int, most: int) -> Iterator[int]:
    step = max(1, math.ceil((most - fewest) / MAX_MARKS))
    yield from range(fewest, most + 1, step)


def _apart(names: Sequence[tuple[float, str]]) -> Iterator[tuple[float, str]]:
    """The names from above to below, each at its height or where the one above it leaves space."""
    free = -math.inf
    for height, name in sorted(names):
        free = max(height, free)
        yield free, name
        free += svg.LINE
