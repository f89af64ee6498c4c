# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import math
import re
from typing import Any

import pytest
from ansible_collections.rightsize.whisper.plugins.plugin_utils.load import Load, MixPart, SizingError
from ansible_collections.rightsize.whisper.plugins.plugin_utils.queueing import LatencyObjective


@pytest.mark.parametrize("typed", ["5", "5.0", " 5 ", 5, 5.0])
def test_a_load_is_read_from_what_users_type(typed: object) -> None:
    assert Load.of(typed, "0.5") == Load(5.0, 0.5)


def test_every_option_is_read() -> None:
    typed = {
        "base_rps": "1",
        "latency_seconds": "6",
        "latency_percentile": "0.9",
        "arrival_scv": "2",
        "dispatch": "pooled",
        "derate": "1.1",
        "price_per_cpu_hour": "0.04",
        "mix": [{"audio_seconds": "15", "share": "1"}],
    }
    assert Load.of(5, **typed) == Load(
        5.0,
        base_rps=1.0,
        objective=LatencyObjective(0.9, 6.0),
        arrival_scv=2.0,
        dispatch="pooled",
        derate=1.1,
        price_per_cpu_hour=0.04,
        mix=(MixPart(15.0, 1.0),),
    )


def test_what_is_empty_is_not_asked_for() -> None:
    empty = dict.fromkeys(("base_rps", "latency_seconds", "derate", "price_per_cpu_hour", "dispatch"), "")
    assert Load.of(5, **empty, mix=[]) == Load(5.0)


def part(**keys: object) -> list[dict[str, object]]:
    return [keys]


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        *(
            ({"target_rps": rps}, f"target_rps is {rps}: name a number of requests per second above 0")
            for rps in (0.0, -1.0, math.nan, math.inf)
        ),
        *(
            ({"target_rps": rps}, f"target_rps is {rps!r}: name a number")
            for rps in ("five", "", None, True, [5], "5 rps")
        ),
        *(
            (
                {"utilisation_ceiling": share},
                f"utilisation_ceiling is {share}: name a share above 0 and at most 1, such as 0.7",
            )
            for share in (0.0, -0.1, 1.0000001, math.nan, 70.0)
        ),
        ({"base_rps": 6}, "base_rps is 6.0: name a rate above 0 and at most that of target_rps, 5"),
        ({"base_rps": 0}, "base_rps is 0.0: name a rate above 0 and at most that of target_rps, 5"),
        ({"latency_seconds": 0}, "latency_seconds is 0.0: name a number of seconds above 0"),
        ({"latency_percentile": 95}, "latency_percentile is 95.0: name a share between 0 and 1, such as 0.95 for 95 %"),
        ({"arrival_scv": 0}, "arrival_scv is 0.0: name a number from 0.1 to 100; 1 is Poisson"),
        ({"dispatch": "fair"}, "dispatch is 'fair': name random or pooled"),
        ({"dispatch": ["pooled"]}, "dispatch is ['pooled']: name random or pooled"),
        ({"derate": 0.9}, "derate is 0.9: name a number of at least 1, such as 1.2 for a fifth slower"),
        ({"price_per_cpu_hour": 0}, "price_per_cpu_hour is 0.0: name a number above 0"),
        ({"mix": "15"}, "mix is '15': name a list of parts such as {audio_seconds: 30, share: 0.6}"),
        ({"mix": [15]}, "mix has the part 15: a part is {audio_seconds: 30, share: 0.6}, with just these two keys"),
        ({"mix": part(audio_seconds=15, share=0.9)}, "mix has shares that sum to 0.9: they must sum to 1"),
        ({"mix": part(audio_seconds=0, share=1)}, "mix has audio_seconds 0.0: name a number above 0"),
        ({"latency": 6}, "latency is no option of a load: it has arrival_scv, base_rps, derate, dispatch,"),
        (
            {"dispatch": "pooled", "target_rps": 1e9},
            "target_rps is 1000000000.0: name at most 100000 requests per second for pooled dispatch",
        ),
    ],
)
def test_what_cannot_be_sized_for_is_named_first(typed: dict[str, Any], message: str) -> None:
    with pytest.raises(SizingError, match="^" + re.escape(message)):
        Load.of(**{"target_rps": 5, **typed})
