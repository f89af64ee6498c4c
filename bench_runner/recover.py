# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m bench_runner.recover JOURNAL`: the partial result of a run that was killed, from its journal."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from bench_runner.errors import ExitCode
from bench_runner.result import assemble

USED_EVENTS = {"start", "facts", "process", "iteration", "warning"}


def read_events(text: str) -> tuple[list[dict[str, Any]], int]:
    """The events of the last run in a journal, and how many lines of it are none: other output, or torn by the kill."""
    events: list[dict[str, Any]] = []
    other_lines = 0
    for line in filter(str.strip, text.split("\n")):
        event = _event(line)
        if event is None:
            other_lines += 1
        elif event["event"] == "start":
            events, other_lines = [event], 0
        elif event["event"] in USED_EVENTS and events and event.get("run_id") == events[0].get("run_id"):
            events.append(event)
    return events, other_lines


def recover(text: str) -> dict[str, Any]:
    """The partial result; ValueError where the journal has none."""
    events, other_lines = read_events(text)
    if other_lines:
        message = f"{other_lines} line(s) of the journal were no events and are left out"
        events.append({"event": "warning", "code": "journal_damaged", "message": message})
    try:
        return assemble(events, partial=True)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"its events lack what bench_runner writes ({error!r})") from error


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench_runner.recover", description=__doc__)
    parser.add_argument("journal", metavar="JOURNAL", help="the journal, or - for standard input")
    options = parser.parse_args(arguments)
    try:
        journal = sys.stdin.buffer.read() if options.journal == "-" else Path(options.journal).read_bytes()
        result = recover(journal.decode("utf-8", "replace"))
    except OSError as error:
        print(f"bench_runner: error: cannot read the journal {options.journal}: {error.strerror}", file=sys.stderr)
        return ExitCode.USAGE
    except ValueError as error:
        print(f"bench_runner: error: nothing to recover from {options.journal}: {error}", file=sys.stderr)
        return ExitCode.USAGE
    print(json.dumps(result, allow_nan=False))
    return ExitCode.DONE


def _event(line: str) -> dict[str, Any] | None:
    try:
        event = json.loads(line, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) and isinstance(event.get("event"), str) else None


def _refuse(name: str) -> float:
    raise ValueError(f"{name} is no number")


if __name__ == "__main__":
    sys.exit(main())
