# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filters that draw a report's pictures and make its page; how is in plugin_utils."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible.utils.unsafe_proxy import wrap_var
from ansible_collections.rightsize.whisper.plugins.plugin_utils.page import page
from ansible_collections.rightsize.whisper.plugins.plugin_utils.pictures import draw
from ansible_collections.rightsize.whisper.plugins.plugin_utils.plain import plain
from ansible_collections.rightsize.whisper.plugins.plugin_utils.statistics import StatisticsError
from ansible_collections.rightsize.whisper.plugins.plugin_utils.svg import PictureError


def report_pictures(
    reference: Any, candidates: Any, normalizations: Any = (), comparisons: Any = ()
) -> list[dict[str, Any]]:
    """The pictures of the reference's result, the candidates' and the ratios that are kept."""
    for name, values in (("candidates", candidates), ("normalizations", normalizations), ("comparisons", comparisons)):
        if isinstance(values, str) or not isinstance(values, Sequence):
            raise AnsibleFilterError(f"report_pictures: {name} is a list, not {type(values).__name__}")
    for value in (reference, *candidates, *normalizations):
        if not isinstance(value, Mapping):
            raise AnsibleFilterError(
                f"report_pictures: a result or a kept ratio is a dictionary, not {type(value).__name__}"
            )
    try:
        pictures = draw(reference, candidates, normalizations, comparisons)
    except (StatisticsError, PictureError) as error:
        raise AnsibleFilterError(f"report_pictures: {error}") from error
    except (KeyError, TypeError) as error:
        raise AnsibleFilterError(
            f"report_pictures: this is no result of bench_runner ({error!r}); check it against its schema"
        ) from error
    # For ansible-core before 2.19, texts that came from a target are marked as never to be templated.
    returned: list[dict[str, Any]] = wrap_var(plain(pictures))
    return returned


def report_page(markdown: Any, pictures: Any = None) -> str:
    """A Markdown report as a page of HTML."""
    if not isinstance(markdown, str):
        raise AnsibleFilterError(f"report_page: a report is a text, not {type(markdown).__name__}")
    if not isinstance(pictures or {}, Mapping):
        raise AnsibleFilterError(f"report_page: pictures is a dictionary, not {type(pictures).__name__}")
    try:
        made = page(markdown, pictures or {})
    except ImportError as error:
        raise AnsibleFilterError(
            "report_page: report.html needs markdown-it-py in the controller's Python: "
            f"python3 -m pip install markdown-it-py ({error})"
        ) from error
    return str(wrap_var(made))


class FilterModule:
    """Maps the names."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"report_pictures": report_pictures, "report_page": report_page}
