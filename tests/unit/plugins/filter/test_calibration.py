# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.rightsize.whisper.plugins.filter.calibration import FilterModule

from tests.unit.factories import xeon_pool

calibration_certificate = FilterModule().filters()["calibration_certificate"]


def test_it_gives_plain_types() -> None:
    found = calibration_certificate(dict.fromkeys(("first", "second", "half", "last"), xeon_pool()), "a-calibration")
    assert json.loads(json.dumps(found)) == found
    assert found["target"] == "xeon_pool"


@pytest.mark.parametrize("value", [None, "", [], {}, {"first": 3}])
def test_what_is_no_calibration_is_named(value: object) -> None:
    with pytest.raises(AnsibleFilterError, match=r"^calibration_certificate: [^\n]+$"):
        calibration_certificate(value, "a-calibration")
