# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.rightsize.whisper.plugins.plugin_utils.variable_names import misnamed, read_names

DEFAULTS = """
# What benchmark_values_ stand for, and report_target_rps.
report_target_rps: "{{ benchmark_target_rps | default(5) }}"
report_model: "{{ benchmark_model | default('base') }}"
"""


def test_known_is_what_the_defaults_read() -> None:
    assert read_names([DEFAULTS, "a: 1\n"]) == {"benchmark_target_rps", "benchmark_model"}


def test_what_is_known_or_not_ours_is_no_problem() -> None:
    assert misnamed(["benchmark_model", "target_rps", "report_target_rps"], read_names([DEFAULTS])) == ""


def test_the_name_that_may_be_meant_is_told() -> None:
    found = misnamed(["benchmark_target_rsp", "benchmark_modell"], read_names([DEFAULTS]))
    assert found == (
        "nothing reads the variable benchmark_modell: is benchmark_model meant?; "
        "nothing reads the variable benchmark_target_rsp: is benchmark_target_rps meant?"
    )


def test_a_name_like_no_other_is_told_too() -> None:
    assert misnamed(["benchmark_colour"], read_names([DEFAULTS])) == (
        "nothing reads the variable benchmark_colour: names that begin with benchmark_ are this collection's"
    )
