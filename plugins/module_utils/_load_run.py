# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A load test: workers started side by side, requests sent as they arrive, every one of them timed, all removed in any case.

One thread does it all: it waits for the next arrival or the next answer, whichever comes first. The test keeps the
engine's turn to its end, since workers that share the machine with a measurement would disturb both.
"""

from __future__ import annotations

import select
import time
import typing as t
from pathlib import Path

from ._container import Request, RunError, Warned, architecture, check_architecture
from ._container_life import TICK_SECONDS, find_image
from ._docker import engine_faults, engine_info
from ._engine_turn import EngineTurn
from ._load import Crew, Load, LoadPlan, fitting_crew
from ._progress import duration
from ._serving_container import Closed, Message, ServingContainer

if t.TYPE_CHECKING:
    from ._caller import Caller

# As much as bench_runner takes.
LARGEST_CLIP_BYTES = 128 * 1024**2


class LoadRun:
    """One test; afterwards `containers` and `warnings` tell of it, however it ended."""

    def __init__(
        self,
        client: t.Any,
        engine_name: str,
        request: Request,
        plan: LoadPlan,
        caller: Caller,
        same_work: t.Optional[t.Mapping[str, str]] = None,
    ) -> None:
        """`same_work` has what the workers must hear and load: `audio_sha256`, `checkpoint_sha256`."""
        self._client = client
        self._engine_name = engine_name
        self._request = request
        self._plan = plan
        self._caller = caller
        self._same_work = same_work or {}
        self._workers: t.List[ServingContainer] = []
        self._load: t.Optional[Load] = None
        self._transcripts: t.Set[str] = set()
        self._own_warnings: t.List[Warned] = []

    @property
    def containers(self) -> t.List[t.Dict[str, t.Any]]:
        return [worker.facts for worker in self._workers]

    @property
    def warnings(self) -> t.List[Warned]:
        """Each once, though every worker may give it."""
        given = [*self._own_warnings, *(warning for worker in self._workers for warning in worker.warnings)]
        return list({warning["message"]: warning for warning in given}.values())

    @property
    def _how_far(self) -> str:
        return "" if self._load is None else f" after {len(self._load.served)} of {self._load.size} requests"

    def execute(self) -> t.Dict[str, t.Any]:
        """What every request took; or a `RunError`, or `Abandoned` where nobody waits any more."""
        self._plan.check()
        clip = read_clip(self._request.audio)
        with engine_faults(RunError, lambda: self._how_far):
            image = find_image(self._client, self._request.image)
            engine = engine_info(self._client)
            check_architecture(self._request, image.attrs["Architecture"], engine["Architecture"])
            if architecture(image.attrs["Architecture"]) != architecture(engine["Architecture"]):
                self._own_warnings.append(
                    Warned(code="emulated", message="the workers were emulated; the figures say nothing")
                )
            crew = fitting_crew(
                self._plan, engine["NCPU"], self._request.cpus, engine["MemTotal"], self._request.memory_bytes
            )
            load = Load(self._plan.arrivals(crew.workers), crew.workers, self._plan.dispatch)
            with EngineTurn(self._client, engine["ID"], self._caller, self._request.run_id) as turn:
                try:
                    self._start_workers(crew, image, engine, turn.owner, clip)
                    ready = self._await_ready()
                    self._load = load
                    self._send(load)
                finally:
                    for worker in self._workers:
                        worker.remove()
        if len(self._transcripts) > 1:
            self._own_warnings.append(
                Warned(code="transcript_differs", message="the requests were not all transcribed to the same tokens")
            )
        return self._answer(crew, load, image.id, ready)

    def _start_workers(
        self, crew: Crew, image: t.Any, engine: t.Dict[str, t.Any], owner: str, clip: t.Optional[bytes]
    ) -> None:
        for number in range(1, crew.workers + 1):
            self._caller.check()
            self._caller.say(f"starting worker {number} of {crew.workers} on {self._engine_name}")
            worker = ServingContainer(self._client, self._request, self._caller, number)
            self._workers.append(worker)
            # The last CPUs, since interrupts tend to go to the first.
            cpu = str(engine["NCPU"] - number) if self._request.cpuset else None
            try:
                worker.start(image, owner, cpu, clip)
            except Closed:
                raise worker.explain_end() from None

    def _await_ready(self) -> Message:
        """Wait until every worker is warm; gives what the first says of itself."""
        said: t.Dict[int, Message] = {}
        while len(said) < len(self._workers):
            self._caller.say(f"{len(said)} of {len(self._workers)} workers are warm")
            for number, message in self._hear(TICK_SECONDS):
                if message["event"] != "ready" or number in said:
                    raise self._disorder(number)
                self._check_work(message)
                said[number] = message
        return said[0]

    def _check_work(self, ready: Message) -> None:
        for name, words in (("audio_sha256", "clip"), ("checkpoint_sha256", "weights")):
            expected = self._same_work.get(name)
            if expected and ready[name] != expected:
                raise RunError(
                    "other_work",
                    f"the workers have another {words} (SHA-256 {ready[name][:12]}…) than the run that predicts "
                    f"({expected[:12]}…); name a run of the same work, or measure again",
                )
        if ready["cpu_limit"] != self._request.cpus:
            self._own_warnings.append(
                Warned(
                    code="cpu_limit_mismatch",
                    message=f"a worker found a CPU limit of {ready['cpu_limit']} where {self._request.cpus:g} was set: "
                    "this engine does not enforce it, so use one that does",
                )
            )

    def _send(self, load: Load) -> None:
        begun = time.monotonic()

        def now() -> float:
            return time.monotonic() - begun

        while not load.is_over:
            load.arrive(now())
            for number, request in load.assign():
                load.start(number, request, now())
                self._ask(number, request)
            due = load.next_arrival_seconds
            patience = TICK_SECONDS if due is None else min(TICK_SECONDS, max(0.0, due - now()))
            for number, message in self._hear(patience):
                moment = now()
                if message["event"] != "answer" or not load.finish(
                    number, message["id"], message["service_ms"], moment
                ):
                    raise self._disorder(number)
                self._workers[number].answered += 1
                self._transcripts.add(message["transcript_sha256"])
            self._caller.say(progress(load, now()))

    def _ask(self, number: int, request: int) -> None:
        try:
            self._workers[number].ask(request)
        except Closed:
            raise self._workers[number].explain_end() from None

    def _hear(self, patience_seconds: float) -> t.Iterator[t.Tuple[int, Message]]:
        """What the workers say within so many seconds; raises `RunError` where one is gone or the time is up."""
        self._caller.check()
        by_connection = {worker.connection: number for number, worker in enumerate(self._workers)}
        readable, _writable, _broken = select.select(list(by_connection), [], [], patience_seconds)
        for connection in readable:
            number = by_connection[connection]
            try:
                messages = self._workers[number].hear()
            except Closed:
                raise self._workers[number].explain_end() from None
            for message in messages:
                yield number, message
        for worker in self._workers:
            if worker.is_overdue:
                raise worker.timed_out()

    def _disorder(self, number: int) -> RunError:
        return RunError(
            "garbled_result",
            f"worker {number + 1} answered what it was not asked{self._how_far}; build the image again",
        )

    def _answer(self, crew: Crew, load: Load, image_id: str, ready: Message) -> t.Dict[str, t.Any]:
        plan = self._plan
        return {
            "run_id": self._request.run_id,
            "target": self._request.target,
            "model_size": self._request.model,
            "threads": ready["threads"],
            "cpu_limit": ready["cpu_limit"],
            "audio_sha256": ready["audio_sha256"],
            "checkpoint_sha256": ready["checkpoint_sha256"],
            "image_id": image_id,
            "dispatch": plan.dispatch,
            "seed": plan.seed,
            "workers_planned": plan.workers,
            "workers": crew.workers,
            "capped_by": crew.capped_by,
            "rate_planned_rps": plan.rate_rps,
            "rate_rps": plan.share_rps(crew.workers),
            "requests_planned": plan.requests,
            "duration_limit_seconds": plan.duration_seconds,
            # In the order in which they arrived.
            "requests": [request._asdict() for request in sorted(load.served, key=lambda one: one.arrival_seconds)],
            "warnings": self.warnings,
        }


def read_clip(path: t.Optional[str]) -> t.Optional[bytes]:
    """The user's audio, read before anything is started for it; every worker gets it through its standard input."""
    if path is None:
        return None
    try:
        with Path(path).open("rb") as file:
            content = file.read(LARGEST_CLIP_BYTES + 1)
    except OSError as error:
        raise RunError("audio", f"cannot read the audio file {path} on this host: {error.strerror}") from error
    if not 0 < len(content) <= LARGEST_CLIP_BYTES:
        raise RunError("audio", f"the audio file {path} is empty, or larger than 128 MiB; give another")
    return content


def progress(load: Load, now: float) -> str:
    """How far the load is, in words."""
    words = f"request {len(load.served)} of {load.size} answered"
    if load.waiting:
        words += f", {load.waiting} waiting"
    if load.served:
        mean_ms = sum(request.service_ms for request in load.served) / len(load.served)
        left = max(0.0, load.last_arrival_seconds - now) + mean_ms / 1000
        words += f", p50 {load.median_response_seconds:.3f} s so far, {duration(left)} left"
    return words
