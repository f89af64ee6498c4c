# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter that makes a calibration's certificate; what it says is decided in plugin_utils."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible.utils.unsafe_proxy import wrap_var
from ansible_collections.rightsize.whisper.plugins.plugin_utils.calibration import CalibrationError, certify
from ansible_collections.rightsize.whisper.plugins.plugin_utils.plain import plain


def calibration_certificate(results: Any, calibration_id: str) -> dict[str, Any]:
    """The certificate of the runs `first`, `second`, `half` and `last`."""
    if not isinstance(results, Mapping):
        raise AnsibleFilterError(
            f"calibration_certificate: the results are a dictionary by part, not {type(results).__name__}"
        )
    try:
        certificate = certify(results, calibration_id)
    except CalibrationError as error:
        raise AnsibleFilterError(f"calibration_certificate: {error}") from error
    # For ansible-core before 2.19, texts that came from a target are marked as never to be templated.
    returned: dict[str, Any] = wrap_var(plain(certificate))
    return returned


class FilterModule:
    """Maps the name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"calibration_certificate": calibration_certificate}
