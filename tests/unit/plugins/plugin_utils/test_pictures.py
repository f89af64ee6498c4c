# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree

import pytest
from ansible_collections.rightsize.whisper.plugins.plugin_utils import latency_plot, ratio_plot, svg
from ansible_collections.rightsize.whisper.plugins.plugin_utils.escaping import one_line
from ansible_collections.rightsize.whisper.plugins.plugin_utils.pictures import draw
from ansible_collections.rightsize.whisper.plugins.plugin_utils.statistics import Sample, estimate_mean
from ansible_collections.rightsize.whisper.plugins.plugin_utils.workers_plot import workers_plot

from tests.unit.factories import mac_m4, xeon_pool
from tests.unit.markdown_shown import HOSTILE

SPACE = "{http://www.w3.org/2000/svg}"
XEON = xeon_pool()["cpu_model"]
PAIR = ratio_plot.Pair("base", "Apple M4", XEON, 1)


def texts(picture: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(picture).iter(f"{SPACE}text")]


def circles(picture: str) -> list[ElementTree.Element]:
    return list(ElementTree.fromstring(picture).iter(f"{SPACE}circle"))


def entry(**changes: Any) -> dict[str, Any]:
    """An entry of normalization.yml."""
    return {
        "model_size": "base",
        "reference_cpu_model": "Apple M4",
        "target_cpu_model": XEON,
        "threads": 1,
        "time": "2026-11-23T12:15:00Z",
        "ratio": 1.575,
        "interval": {"low": 1.534, "high": 1.617, "confidence": 0.95},
        "tainted": False,
    } | changes


def latencies(processes: Sequence[Sequence[float]], name: str = "xeon_pool") -> latency_plot.Latencies:
    sample = Sample(tuple(tuple(process) for process in processes))
    return latency_plot.Latencies(name, sample, estimate_mean(sample))


def test_every_iteration_is_a_dot_and_lies_in_the_picture() -> None:
    latency, ratio = draw(mac_m4(), [xeon_pool()], [entry()])
    assert (latency.file, ratio.file) == ("pictures/latency.svg", "pictures/ratio.svg")
    root = ElementTree.fromstring(latency.svg)
    dots = circles(latency.svg)
    assert len(dots) == 50 + 50
    places = {(dot.get("cx"), dot.get("cy")) for dot in dots}
    assert len(places) > 95
    for name, size in (("cx", "width"), ("cy", "height")):
        assert all(0 < float(dot.get(name, "nan")) < float(root.get(size, "nan")) for dot in dots)
    assert "mean 2.107 s, 95 % interval 2.051 to 2.165 s; 50 iterations" in texts(latency.svg)
    assert "mac_m4: Apple M4" in texts(latency.svg)


def test_slower_iterations_are_further_to_the_right() -> None:
    dots = circles(latency_plot.plot("title", [latencies([[1000, 1100], [1300, 1200], [1400, 1500]])]))
    places = [float(dot.get("cx", "nan")) for dot in dots]
    assert sorted(range(6), key=lambda number: places[number]) == [0, 1, 3, 2, 4, 5]
    rows = [float(dot.get("cy", "nan")) for dot in dots]
    assert max(rows[:2]) < min(rows[2:4]) <= max(rows[2:4]) < min(rows[4:])


@pytest.mark.parametrize("count", [2000, 2001, 10_000])
def test_more_than_two_thousand_dots_are_thinned_and_it_says_so(count: int) -> None:
    walls = [1000 + (number * 7919) % 1000 / 10 for number in range(count)]
    walls[1], walls[count - 2] = 900, 1300
    picture = latency_plot.plot("title", [latencies([walls[: count // 2], walls[count // 2 :]])])
    dots = circles(picture)
    thinned = count > latency_plot.MAX_DOTS
    assert len(dots) <= latency_plot.MAX_DOTS
    assert len(dots) > latency_plot.MAX_DOTS - 3
    assert any(f"; {len(dots)} of {count} iterations are drawn" in text for text in texts(picture)) is thinned
    # The fastest and the slowest are among them.
    assert sorted(latency_plot.drawn(count, 1, count - 2))[:2] == [0, 1]
    assert {1, count - 2} <= set(latency_plot.drawn(count, 1, count - 2))


def test_one_process_has_no_interval() -> None:
    picture = latency_plot.plot("title", [latencies([[1000.0, 1000.0]])])
    assert "mean 1.000 s, no interval: too few processes; 2 iterations" in texts(picture)
    assert len(circles(picture)) == 2


@pytest.mark.parametrize("text", HOSTILE)
def test_a_text_of_a_target_shows_itself_in_every_picture(text: str) -> None:
    candidate = xeon_pool(target=text, cpu_model=text)
    latency, ratio = draw(mac_m4(), [candidate], [entry(target_cpu_model=text, time=text)])
    for picture in (latency.svg, ratio.svg, workers_plot([(1, 1.0, 2.0, 3.0)], None, 1, title=text)):
        assert svg.is_inert(picture)
        assert any(one_line(text)[:30] in shown for shown in texts(picture))


def test_the_same_input_gives_the_same_pictures() -> None:
    assert draw(mac_m4(), [xeon_pool()], [entry()]) == draw(mac_m4(), [xeon_pool()], [entry()])


def test_a_pair_of_cpus_has_one_picture() -> None:
    other = xeon_pool(target="other", cpu_model="Other")
    entries = [entry(), entry(target_cpu_model="Other")]
    files = [picture.file for picture in draw(mac_m4(), [xeon_pool(), xeon_pool(target="twin"), other], entries)]
    assert files == ["pictures/latency.svg", "pictures/ratio.svg", "pictures/ratio-2.svg"]


def test_ratios_of_the_pair_are_drawn_in_the_order_of_their_times() -> None:
    entries = [
        entry(time="2026-11-23T12:15:00Z", ratio=1.6),
        entry(time="2026-11-22T12:15:00.5Z", ratio=1.5, tainted=True, interval=None),
        entry(ratio=9.0, model_size="small"),
        entry(ratio=9.0, threads=2),
        entry(ratio=9.0, reference_cpu_model="Apple M3"),
        {"mine": "a note"},
    ]
    kept = ratio_plot.kept_ratios(entries, PAIR)
    assert [found.ratio for found in kept] == [1.5, 1.6]
    picture = ratio_plot.plot("title", kept)
    first, last = circles(picture)
    assert (first.get("class"), last.get("class")) == ("card", None)
    assert float(first.get("cx", "nan")) < float(last.get("cx", "nan"))
    assert float(first.get("cy", "nan")) > float(last.get("cy", "nan"))
    assert {"2026-11-22 12:15", "2026-11-23 12:15", "1.600"} <= set(texts(picture))


def test_only_the_newest_ratios_are_drawn() -> None:
    entries = [entry(time=f"2026-{number:03}") for number in range(80)]
    kept = ratio_plot.kept_ratios(entries, PAIR)
    assert len(kept) == 50
    assert kept[0].time == "2026-030"


@pytest.mark.parametrize(
    "changes", [{"ratio": "much"}, {"ratio": -1}, {"ratio": math.nan}, {"interval": {"low": 1}}, {"ratio": None}]
)
def test_an_entry_that_somebody_broke_is_one_clear_line(changes: dict[str, Any]) -> None:
    with pytest.raises(svg.PictureError, match=r"^entry 2 of normalization.yml [^\n]*; mend it$"):
        ratio_plot.kept_ratios([entry(), entry(**changes)], PAIR)


def test_workers_against_latency() -> None:
    points = [(12, 9.0, 40.0, 90.0), (11, math.inf, math.inf, math.inf), (16, 2.5, 5.0, 8.0), (14, 3.0, 9.0, 14.0)]
    picture = workers_plot(points, 6.0, 16)
    assert len(circles(picture)) == 3 * 3
    assert {"chosen: 16", "objective 6 s", "p50", "p95", "p99", "12"} <= set(texts(picture))
    assert "11" not in texts(picture)
    (median, *_unused) = ElementTree.fromstring(picture).iter(f"{SPACE}polyline")
    places = [tuple(map(float, place.split(","))) for place in median.get("points", "").split()]
    assert places == sorted(places)
    assert all(0 < float(dot.get("cy", "nan")) < 360 for dot in circles(picture))


def test_names_beside_the_curves_do_not_cover_each_other() -> None:
    root = ElementTree.fromstring(workers_plot([(1, 2.0, 2.0, 2.0)], 2.0, 1))
    names = [text for text in root.iter(f"{SPACE}text") if text.text in ("p50", "p95", "p99", "objective 2 s")]
    heights = sorted(float(name.get("y", "nan")) for name in names)
    assert len(heights) == 4
    assert all(below - above >= svg.LINE for above, below in pairwise(heights))


def test_what_cannot_be_drawn_is_one_clear_line() -> None:
    with pytest.raises(svg.PictureError, match="no number of workers has a predicted latency that ends"):
        workers_plot([(1, math.inf, math.inf, math.inf)], 1.0, 1)
    with pytest.raises(svg.PictureError, match="there are no latencies to draw"):
        latency_plot.plot("title", [])
    with pytest.raises(svg.PictureError, match="there are no ratios to draw"):
        ratio_plot.plot("title", [])


@pytest.mark.parametrize(
    ("lowest", "highest", "marks"),
    [
        (1.29, 2.31, [1.4, 1.6, 1.8, 2.0, 2.2]),
        (0.5, 8.2, [1, 2, 3, 4, 5, 6, 7, 8]),
        (0.0101, 0.0119, [0.0105, 0.011, 0.0115]),
        (90, 1050, [200, 400, 600, 800, 1000]),
    ],
)
def test_ticks_are_round(lowest: float, highest: float, marks: list[float]) -> None:
    assert svg.linear_ticks(lowest, highest) == marks


@pytest.mark.parametrize(
    "inside",
    [
        "<script>alert(1)</script>",
        "<g onclick='alert(1)'/>",
        "<image href='https://evil.example/x.png'/>",
        "<rect fill='url(https://evil.example/x)'/>",
        "<foreignObject/>",
        "<style>@import 'https://evil.example/x.css';</style>",
        "<g",
    ],
)
def test_a_picture_that_does_something_is_not_inert(inside: str) -> None:
    made = svg.document("title", 100, [])
    assert svg.is_inert(made)
    assert not svg.is_inert(made.replace("</svg>", f"{inside}</svg>"))
    assert not svg.is_inert(made.removeprefix(svg.MARKER))
