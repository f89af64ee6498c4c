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

EVENTS = {"start", "facts", "process", "iteration", "warning"}


def read_events(text: str) -> tuple[list[dict[str, Any]], int]:
    """The events in a journal, and how many of its lines are none: other output, or torn by the kill."""
    events, skipped = [], 0
    for line in text.splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            skipped += bool(line.strip())
            continue
        if isinstance(event, dict) and isinstance(event.get("event"), str):
            if event["event"] in EVENTS:
                events.append(event)
        else:
            skipped += 1
    return events, skipped


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench_runner.recover", description=__doc__)
    parser.add_argument("journal", metavar="JOURNAL", help="the journal, or - for standard input")
    options = parser.parse_args(arguments)
    try:
        text = sys.stdin.read() if options.journal == "-" else Path(options.journal).read_text(errors="replace")
        events, skipped = read_events(text)
        if skipped:
            events.append(
                {
                    "event": "warning",
                    "code": "damaged_journal",
                    "message": f"{skipped} lines of the journal were no events and were left out",
                }
            )
        result = assemble(events, partial=True)
    except OSError as error:
        print(f"bench_runner: error: cannot read the journal {options.journal}: {error.strerror}", file=sys.stderr)
        return ExitCode.USAGE
    except (ValueError, KeyError, TypeError) as error:
        print(f"bench_runner: error: nothing to recover from {options.journal}: {error}", file=sys.stderr)
        return ExitCode.INTERRUPTED
    json.dump(result, sys.stdout, allow_nan=False)
    sys.stdout.write("\n")
    return ExitCode.DONE


if __name__ == "__main__":
    sys.exit(main())
