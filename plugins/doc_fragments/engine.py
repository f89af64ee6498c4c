# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which Docker engine a module speaks to."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  engine_url:
    description: The engine, such as V(unix:///var/run/docker.sock). By default it is found.
    type: str
  allow_remote:
    description: Accept an engine that is not on this host.
    type: bool
    default: false
"""
