# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a test asks of a container; `dataclasses.replace` makes variations."""

from __future__ import annotations

from ansible_collections.rightsize.whisper.plugins.module_utils._container import Request

REQUEST = Request(
    image="rightsize-whisper-runner:base",
    target="here",
    run_id="20261123t120000-0a1b2c3d",
    model="base",
    iterations=50,
    processes=5,
    threads=1,
    warmup=1,
    cpus=1.0,
    memory_bytes=2**28,
    timeout_seconds=60,
)
