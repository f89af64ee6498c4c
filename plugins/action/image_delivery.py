# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Shows the progress of M(rightsize.whisper.image_delivery) on the controller."""

from __future__ import annotations

from ..plugin_utils.base.watched_action import WatchedAction


class ActionModule(WatchedAction):
    """The module does the work; see `base.watched_action` for how it is watched."""
