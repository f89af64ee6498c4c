# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How long the history takes with many results: `python tests/benchmarks/history.py --records 100000`.

Prints seconds, and fails only by what does not depend on the machine: the bytes that an append and a look read must
not grow with the history.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

REPOSITORY = Path(__file__).parents[2]
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / ".ansible" / "collections")]

from ansible_collections.rightsize.whisper.plugins.module_utils._history import open_history  # noqa: E402
from ansible_collections.rightsize.whisper.plugins.module_utils._history_record import accept, read_schema  # noqa: E402

from tests.unit.factories import SCHEMA_FILE, a_result  # noqa: E402

APPENDS = 20
# The line before, the pages of the index on the way to a run id, and what is written is no read.
MOST_BYTES_READ = 400_000

Answer = TypeVar("Answer")


def write(path: Path, count: int) -> None:
    """A history of a hundred targets; the lines are varied as text, which is faster by far than as JSON."""
    templates = []
    for name in ("mac_m4", "xeon_pool"):
        result = a_result(name, run_id="RUN_ID", target="TARGET")
        templates.append(json.dumps(result, separators=(",", ":")))
    with path.open("w") as file:
        for number in range(count):
            line = templates[number % 2].replace("RUN_ID", f"run-{number:012d}", 1)
            file.write(line.replace("TARGET", f"target_{number % 100}", 1) + "\n")


def bytes_read() -> int:
    """What this process has read so far, from files and from the cache alike."""
    counters = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(counters["rchar"])


def measured(work: Callable[[], Answer]) -> tuple[float, int, Answer]:
    """Seconds, bytes read, and what came of it."""
    before, start = bytes_read(), time.perf_counter()
    answer = work()
    return time.perf_counter() - start, bytes_read() - before, answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, help="where to put the history while this runs")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        report(Path(folder) / "history.jsonl", options.records)


def report(path: Path, count: int) -> None:
    write(path, count)
    size = path.stat().st_size
    print(f"{count} results of {size / count / 1000:.1f} kB, {size / 1e6:.0f} MB")

    def look() -> int:
        with open_history(str(path)) as history:
            for run_id in (f"run-{count // 2:012d}", f"run-{count - 1:012d}"):
                history.read(run_id)
            return len(history.newest(50)) + len(history.newest(50, target="target_7", model_size="base"))

    seconds, _bytes, _answer = measured(look)
    index_size = path.with_name(f".{path.name}.index").stat().st_size
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    print(
        f"first look, which builds the index: {seconds:.1f} s; index {index_size / 1e6:.0f} MB, peak memory {peak_mb:.0f} MB"
    )

    seconds, look_bytes, _answer = measured(look)
    print(
        f"what a report needs (two results, two lists of 50): {1000 * seconds:.1f} ms, {look_bytes / 1000:.0f} kB read"
    )

    schema = read_schema(str(SCHEMA_FILE))
    appends = []
    for number in range(APPENDS):
        result = a_result("xeon_pool", run_id=f"new-{number:012d}")

        def append(result: dict[str, object] = result) -> None:
            record = accept(result, schema)
            with open_history(str(path), create=True) as history:
                assert not history.holds(record)
                history.append(record)

        appends.append(measured(append)[:2])
    milliseconds = [1000 * seconds for seconds, _bytes in appends]
    append_bytes = max(read for _seconds, read in appends)
    print(
        f"append, validation included: median {statistics.median(milliseconds):.1f} ms, "
        f"worst of {APPENDS} {max(milliseconds):.1f} ms, {append_bytes / 1000:.0f} kB read"
    )
    for name, read in (("a look", look_bytes), ("an append", append_bytes)):
        if read > MOST_BYTES_READ:
            sys.exit(f"{name} read {read} bytes, more than {MOST_BYTES_READ}: it grows with the history")


if __name__ == "__main__":
    main()
