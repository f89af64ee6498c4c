# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Prints the tables of docs/accuracy.md: how often the interval of a ratio holds the ratio that is true.

In an A/A comparison both sides are the same thing, so the true ratio is 1, and a 95 % interval should hold it in 95 % of
all comparisons. Three parts, any of which may be asked for alone:

  --simulated 2000   comparisons of invented times, through the stopping rule and the statistics that users get
  --real 20          comparisons of real inference, two runs of bench_runner whose processes take turns: A B A B …
  --quota 0.5        containers with that quota against containers with one CPU, beside a bare loop in the same two

PYTHONPATH=.ansible/collections:. python tests/benchmarks/accuracy.py --simulated 2000
PYTHONPATH=.ansible/collections:. python tests/benchmarks/accuracy.py --real 20 --checkpoint tiny.en.pt --model tiny.en
PYTHONPATH=.ansible/collections:. python tests/benchmarks/accuracy.py --quota 0.5 --image rightsize-whisper-runner:tiny.en --model tiny.en

--real and --quota need a quiet machine, and a Python that has what bench_runner/requirements.in lists (--quota: Docker and
soundfile). The status is 1 where the intervals of a table hold the truth in less than 93 % of its comparisons.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.benchmarks.accuracy_real import Side, compare_quota, compare_really, short_clip
from tests.benchmarks.accuracy_simulated import simulate

LEAST_COVERAGE = 0.93


def main() -> int:
    options = parser().parse_args()
    if not (options.simulated or options.real or options.quota):
        parser().error("ask for --simulated, --real or --quota")
    covered = []
    if options.simulated:
        covered += simulate(options.simulated, options.seed)
    if options.real or options.quota:
        with short_clip(options.clip_seconds) as clip:
            if options.real:
                side = Side(
                    options.model, clip, options.checkpoint, options.image, options.iterations, options.processes
                )
                covered.append(compare_really(side, options.real, options.precision))
            if options.quota:
                if options.image is None:
                    parser().error("--quota needs --image")
                side = Side(options.model, clip, None, options.image, options.iterations, options.processes)
                compare_quota(side, options.quota)
    return int(any(share < LEAST_COVERAGE for share in covered))


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--simulated", type=int, default=0, metavar="N", help="simulated comparisons for each row")
    made.add_argument("--seed", type=int, default=20261123)
    made.add_argument("--real", type=int, default=0, metavar="N", help="real comparisons")
    made.add_argument("--quota", type=float, metavar="CPUS", help="compare this quota with one CPU")
    made.add_argument("--model", default="tiny.en")
    made.add_argument("--checkpoint", type=Path, metavar="FILE", help="weights for --real outside of containers")
    made.add_argument("--image", help="measure in containers of this runner image")
    made.add_argument("--processes", type=int, default=5, help="of each side (5)")
    made.add_argument("--iterations", type=int, default=10, help="of each side, over all processes (10)")
    made.add_argument("--precision", type=float, metavar="SHARE", help="let the real runs stop by themselves")
    made.add_argument("--clip-seconds", type=float, default=3.0, help="of the bundled sample, from its beginning (3)")
    return made


if __name__ == "__main__":
    sys.exit(main())
