# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the module sizing_verification returns, read with care: it came from a target."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

from ansible_collections.rightsize.whisper.plugins.plugin_utils.queueing import Dispatch
from ansible_collections.rightsize.whisper.plugins.plugin_utils.sizing_verification_plan import VerificationError
from ansible_collections.rightsize.whisper.plugins.plugin_utils.statistics import Caveat


class Request(NamedTuple):
    """An answered request; seconds count from the start of the test."""

    worker: int
    arrival_seconds: float
    start_seconds: float
    finish_seconds: float
    service_seconds: float

    @property
    def response_seconds(self) -> float:
        return self.finish_seconds - self.arrival_seconds

    @property
    def occupied_seconds(self) -> float:
        """How long the worker was taken by it, the way there and back included."""
        return self.finish_seconds - self.start_seconds


@dataclass(frozen=True)
class LoadTest:
    """A test; rates are in requests per second, `requests` in the order of arrival."""

    target: str
    model_size: str
    test_id: str
    dispatch: Dispatch
    seed: int
    workers: int
    workers_planned: int
    capped_by: str
    rate_rps: float
    rate_planned_rps: float
    requests_planned: int
    duration_limit_seconds: int
    requests: tuple[Request, ...]
    warnings: tuple[Caveat, ...]

    @classmethod
    def read(cls, test: Mapping[str, Any]) -> LoadTest:
        """Raises VerificationError where it is none."""
        try:
            return cls(
                target=str(test["target"]),
                model_size=str(test["model_size"]),
                test_id=str(test["run_id"]),
                dispatch=_dispatch(test["dispatch"]),
                seed=int(test["seed"]),
                workers=int(test["workers"]),
                workers_planned=int(test["workers_planned"]),
                capped_by=str(test["capped_by"]),
                rate_rps=_number(test["rate_rps"]),
                rate_planned_rps=_number(test["rate_planned_rps"]),
                requests_planned=int(test["requests_planned"]),
                duration_limit_seconds=int(test["duration_limit_seconds"]),
                requests=tuple(sorted(map(_request, test["requests"]), key=lambda request: request.arrival_seconds)),
                warnings=tuple(
                    Caveat(code=str(warning["code"]), message=str(warning["message"])) for warning in test["warnings"]
                ),
            ).checked()
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise VerificationError(f"this is no test of the module sizing_verification ({error!r:.200})") from error

    def checked(self) -> LoadTest:
        """Itself, or ValueError."""
        if not self.requests:
            raise ValueError("it has no requests")
        if any(not 0 <= request.worker < self.workers for request in self.requests):
            raise ValueError("a request went to a worker that there is not")
        if any(request.occupied_seconds <= 0 for request in self.requests):
            raise ValueError("a request took no time")
        return self


def _request(request: Mapping[str, Any]) -> Request:
    return Request(
        worker=int(request["worker"]),
        arrival_seconds=_number(request["arrival_seconds"]),
        start_seconds=_number(request["start_seconds"]),
        finish_seconds=_number(request["finish_seconds"]),
        service_seconds=_number(request["service_ms"]) / 1000,
    )


def _number(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{number} is no number")
    return number


def _dispatch(value: Any) -> Dispatch:
    if value not in ("random", "pooled"):
        raise ValueError("its dispatch is neither random nor pooled")
    return cast(Dispatch, value)
