# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How long comparing a large history takes: `python tests/benchmarks/compare.py --records 1000000`.

A record has about 5 kB, so a million of them 5 GB in --folder. Prints seconds, and fails only by what does not depend on
the machine's speed: the memory, and what is read of the history itself.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / ".ansible" / "collections")]

from tests.unit.factories import a_result  # noqa: E402

MOST_MB = 500
# The index is read, and of the history the last line, by which it is known to be the same.
MOST_BYTES_OF_THE_HISTORY = 1_000_000
TARGETS, VERSIONS = 20, 5
NOISE = 0.02


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, help="where to put the history while this runs")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        inside(options.inside)
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        history = Path(folder) / "history.jsonl"
        write(history, options.records)
        print(f"{options.records} results, {history.stat().st_size / 1e9:.2f} GB")
        # The first builds the index.
        for name in ("with a history that has no index yet", "with its index"):
            ended = subprocess.run([sys.executable, __file__, "--inside", history], stdout=subprocess.PIPE, check=True)
            measured = json.loads(ended.stdout)
            print(f"{name}: {measured['seconds']:.1f} s, peak memory {measured['peak_mb']:.0f} MB")
        index = history.with_name(f".{history.name}.index")
        print(f"index {index.stat().st_size / 1e6:.0f} MB; {measured['groups']} groups; first: {measured['first']}")
    if measured["peak_mb"] > MOST_MB:
        sys.exit(f"the comparison took {measured['peak_mb']:.0f} MB, more than {MOST_MB}")


def write(path: Path, count: int) -> None:
    """Runs of several targets over a year, with noise, a fifth of them after each change of the version of torch.

    The lines are varied as text, which is faster by far than as JSON.
    """
    chance = random.Random(1)
    marks = {"run_id": "RUN_ID", "target": "TARGET", "timestamp": "TIMESTAMP", "avg_latency_ms": 1234567.25}
    template = json.dumps(a_result("xeon_pool", **marks, software={"torch": "TORCH"}), separators=(",", ":"))
    with path.open("w") as file:
        for number in range(count):
            seconds = int(number * 365 * 86400 / count)
            started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(1_735_689_600 + seconds))
            line = template.replace("RUN_ID", f"run-{number:012d}", 1).replace("TIMESTAMP", started, 1)
            line = line.replace("TARGET", f"target_{number % TARGETS}", 1).replace(
                "TORCH", f"2.{number * VERSIONS // count}", 1
            )
            file.write(line.replace("1234567.25", f"{2000 * chance.lognormvariate(0, NOISE):.4f}", 1) + "\n")


def inside(history: Path) -> None:
    """A comparison as the lookup makes it, in a process of its own."""
    from ansible.plugins.loader import init_plugin_loader, lookup_loader

    init_plugin_loader([str(REPOSITORY / ".ansible" / "collections")])
    started = time.perf_counter()
    [found] = lookup_loader.get("rightsize.whisper.comparison").run([str(history)], {}, fail_above=1.05)
    seconds = time.perf_counter() - started
    comparisons = found["report"]["comparisons"]
    ratio = comparisons[0]["ratio"]
    answer = {
        "seconds": seconds,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000,
        "groups": len(comparisons) + len(found["report"]["baselines"]),
        "first": f"{ratio['centre']:.4f} ({ratio['low']:.4f} to {ratio['high']:.4f}), {comparisons[0]['verdict']}",
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
