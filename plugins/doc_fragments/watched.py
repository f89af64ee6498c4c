# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the controller watches work that takes long; the action plugins set these."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  progress_dir:
    description:
      - A folder that does not exist yet, for the progress and for the lease of the run. Removed at the end.
      - Set by the action plugin; without it there is no progress, and nobody needs to look at the run to keep it going.
    type: path
  lease_seconds:
    description: With O(progress_dir), after how many seconds without a look from the controller the run is given up.
    type: int
    default: 60
"""
