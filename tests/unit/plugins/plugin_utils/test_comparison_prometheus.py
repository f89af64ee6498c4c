# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re

import pytest
from ansible_collections.rightsize.whisper.plugins.plugin_utils.compared_runs import Kinds, Results
from ansible_collections.rightsize.whisper.plugins.plugin_utils.comparison import compare
from ansible_collections.rightsize.whisper.plugins.plugin_utils.comparison_prometheus import prometheus_text

from tests.unit.factories import mac_m4, xeon_pool
from tests.unit.markdown_shown import HOSTILE

LABEL = r'[a-z_]+="(?:[^"\\\n]|\\["\\n])*"'
SAMPLE = re.compile(rf"([a-z_]+){{({LABEL}(?:,{LABEL})*)}} ([0-9.e+-]+)")


def exported(**changes: str) -> list[str]:
    source = Results(Kinds())
    runs = [source.add(mac_m4()), source.add(xeon_pool(**changes))]
    text = prometheus_text(compare(runs, {"target": "mac_m4"}))
    assert text.endswith("\n")
    # Other ends of lines are none to Prometheus.
    return text.removesuffix("\n").split("\n")


def test_every_metric_has_help_a_type_and_base_units() -> None:
    lines = exported()
    names = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert names == [line.split()[2] for line in lines if line.startswith("# HELP")]
    samples = [match for line in lines if (match := SAMPLE.fullmatch(line))]
    assert len(samples) == len(lines) - 1 - 2 * len(names) == 7
    values = {(name, 'side="group"' in labels): float(value) for name, labels, value in (m.groups() for m in samples)}
    assert values["whisper_latency_mean_seconds", False] == pytest.approx(1.338)
    assert values["whisper_latency_mean_seconds", True] == pytest.approx(2.1074)
    assert values["whisper_latency_ratio", True] == pytest.approx(1.575, abs=0.001)
    assert values["whisper_latency_ratio_low", True] < 1.575 < values["whisper_latency_ratio_high", True]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_stays_in_its_label(name: str) -> None:
    lines = exported(target=name, cpu_model=name)
    assert len(lines) == len(exported())
    label = next(line for line in lines if 'side="group"' in line)
    match = SAMPLE.fullmatch(label)
    assert match
    found = re.search(r'target="((?:[^"\\\n]|\\["\\n])*)"', match.group(2))
    assert found
    unescaped = re.sub(r"\\(.)", lambda escape: {"n": "\n"}.get(escape[1], escape[1]), found.group(1))
    assert unescaped == name
