# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run of bench_runner measures."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  model:
    description: The openai-whisper model to measure.
    type: str
    default: base
  iterations:
    description: How many iterations to measure, over all processes.
    type: int
    default: 50
  processes:
    description: Over how many fresh processes the iterations are split.
    type: int
    default: 5
  precision:
    description:
      - How well the result must be known, such as V(0.02) for ±2 %. With V(0) exactly O(iterations) are measured.
      - Otherwise processes of O(iterations) / O(processes) iterations are measured until the interval is that narrow. It is
        looked at after 5, 8, 12, 18, 27 and 40 processes alone, since looking more often spoils it.
      - RV(result.stop_reason) tells why the run ended.
    type: float
    default: 0
  precision_of:
    description:
      - What O(precision) is meant of, the V(latency) of this run, or a V(ratio) of which it is one side.
      - Each side of a ratio is measured to O(precision) / √2, so that the two together have it.
    type: str
    choices: [latency, ratio]
    default: latency
  max_processes:
    description: With a O(precision), how many processes there may be.
    type: int
    default: 40
  time_budget:
    description:
      - With a O(precision), after how many seconds the run ends with the interval that it then has.
      - V(0) leaves it nine tenths of O(timeout).
    type: int
    default: 0
  threads:
    description: Size of every thread pool.
    type: int
    default: 1
  warmup:
    description: Untimed iterations at the start of every process, each broken off after a few tokens.
    type: int
    default: 1
  fallback:
    description: Decode a window again that came out badly, as a service does. For service times, not for a ratio.
    type: bool
    default: false
  labels:
    description: Labels to keep in the result.
    type: dict
    default: {}
  journal:
    description:
      - Where the events of the run are kept on this host, process by process. Folders are made, a file is replaced.
      - Without it nothing is left of a run whose controller or host died, or whose Pod was lost with its node.
    type: path
  resume:
    description:
      - Go on from what is in O(journal), where there is something. The finished processes are taken, the rest is measured.
      - What bears on the times must be as it was, or the run fails with V(bad_usage).
      - The result marks what is old by C(resumed) of a process, and by the warning V(resumed).
    type: bool
    default: false
"""
