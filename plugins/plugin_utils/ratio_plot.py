# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The picture of a ratio over time: what is kept of one pair of CPU models, one model and one thread count."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from typing import Any

from ansible_collections.rightsize.whisper.plugins.plugin_utils import svg
from ansible_collections.rightsize.whisper.plugins.plugin_utils.svg import COLOURS, WIDTH

NEWEST = 50
HEIGHT = 300
LEFT, RIGHT, TOP, BOTTOM = 60, 70, 44, 62


@dataclass(frozen=True)
class KeptRatio:
    """A ratio with its interval, as `normalization.yml` keeps it; one that is not to be relied on is drawn hollow."""

    time: str
    ratio: float
    low: float | None
    high: float | None
    tainted: bool


@dataclass(frozen=True)
class Pair:
    """What ratios have in common that can be compared with each other, by their keys in an entry."""

    model_size: str
    reference_cpu_model: str
    target_cpu_model: str
    threads: int


def kept_ratios(entries: Iterable[Mapping[str, Any]], pair: Pair) -> list[KeptRatio]:
    """The newest `NEWEST` ratios of the pair, oldest first. Somebody may have edited the entries."""
    wanted = astuple(pair)
    found = [
        _kept(number, entry)
        for number, entry in enumerate(entries, start=1)
        if tuple(entry.get(field.name) for field in fields(Pair)) == wanted
    ]
    # Text by text: of times with and without fractions of a second, Z would decide.
    return sorted(found, key=lambda kept: kept.time.rstrip("Z"))[-NEWEST:]


def _kept(number: int, entry: Mapping[str, Any]) -> KeptRatio:
    interval = entry.get("interval") or {}
    try:
        kept = KeptRatio(
            str(entry["time"]),
            float(entry["ratio"]),
            float(interval["low"]) if interval else None,
            float(interval["high"]) if interval else None,
            bool(entry["tainted"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise svg.PictureError(
            f"entry {number} of normalization.yml lacks a ratio, an interval or a time ({error!r}); mend it"
        ) from error
    if not all(0 < value < math.inf for value in (kept.ratio, kept.low, kept.high) if value is not None):
        raise svg.PictureError(f"entry {number} of normalization.yml has a ratio that is no number above 0; mend it")
    return kept


def plot(title: str, ratios: Sequence[KeptRatio]) -> str:
    """The picture, in equal steps from ratio to ratio."""
    if not ratios:
        raise svg.PictureError("there are no ratios to draw")
    values = [value for kept in ratios for value in (kept.ratio, kept.low, kept.high) if value is not None]
    margin = max((max(values) - min(values)) * 0.15, max(values) * 0.01)
    lowest, highest = min(values) - margin, max(values) + margin
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT

    def x(number: int) -> float:
        return LEFT + (number + 0.5) / len(ratios) * (right - LEFT)

    def y(ratio: float) -> float:
        return bottom - (ratio - lowest) / (highest - lowest) * (bottom - TOP)

    body = [svg.text(LEFT, 24, title, bold=True, max_length=svg.MAX_TITLE)]
    for mark in svg.linear_ticks(lowest, highest, 6):
        body.append(f'<g opacity="0.15">{svg.stroke(f"M{LEFT} {y(mark):.1f}H{right}")}</g>')
        body.append(svg.text(LEFT - 9, y(mark) + 4, f"{mark:g}", "end"))
    body.append(svg.stroke(f"M{LEFT} {TOP}V{bottom}H{right}"))
    if lowest < 1 < highest:
        body.append(svg.stroke(f"M{LEFT} {y(1):.1f}H{right}", "#888888", dashed=True))
    for number, kept in enumerate(ratios):
        if kept.low is not None and kept.high is not None:
            body.append(svg.stroke(f"M{x(number):.1f} {y(kept.low):.1f}V{y(kept.high):.1f}", COLOURS[0], width=2))
        body.append(svg.dot(x(number), y(kept.ratio), 4, COLOURS[0], hollow=kept.tainted))
    newest = ratios[-1]
    body.append(svg.text(right + 6, y(newest.ratio) + 4, f"{newest.ratio:.3f}", bold=True))
    body += _times(ratios, x, bottom)
    return svg.document(title, HEIGHT, body)


def _times(ratios: Sequence[KeptRatio], x: Callable[[int], float], bottom: float) -> Iterator[str]:
    """The times of the first and the last ratio, and what the dots are."""
    first, last = svg.minute(ratios[0].time), svg.minute(ratios[-1].time)
    if len(ratios) == 1:
        yield svg.text(x(0), bottom + 20, first, "middle")
    else:
        yield svg.text(LEFT, bottom + 20, first)
        yield svg.text(WIDTH - RIGHT, bottom + 20, last, "end")
    count = "one ratio" if len(ratios) == 1 else f"{len(ratios)} ratios, oldest first"
    yield svg.text((LEFT + WIDTH - RIGHT) / 2, bottom + 44, f"{count}; lines: intervals; hollow: tainted", "middle")
