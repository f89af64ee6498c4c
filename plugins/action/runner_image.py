# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Brings the runner's source to the target, and shows the progress of M(rightsize.whisper.runner_image)."""

from __future__ import annotations

import tarfile
import tempfile
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail

from ..plugin_utils.base.watched_action import WatchedAction

# In a checkout as in an installed collection.
SOURCE = Path(__file__).resolve().parents[2] / "bench_runner"


class ActionModule(WatchedAction):
    """The module does the work; see `base.watched_action` for how it is watched."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        source = Path(self._task.args.get("source") or SOURCE)
        # Removed with all else in it when the task is over.
        self._make_tmp_path()
        there = self._connection._shell.join_path(self._connection._shell.tmpdir, "bench_runner.tar")
        with tempfile.NamedTemporaryFile(suffix=".tar") as archive:
            try:
                pack(source, archive.name)
            except OSError as error:
                raise AnsibleActionFail(f"cannot read the runner's source in {source}: {error.strerror}") from error
            self._transfer_file(archive.name, there)
        self._fixup_perms2((self._connection._shell.tmpdir, there))
        self._task.args = {**self._task.args, "source": there}
        return super().run(tmp, task_vars)


def pack(source: Path, archive: str) -> None:
    """Archive the files of a folder; what lies deeper is not the runner's."""
    with tarfile.open(archive, "w") as tar:
        for path in sorted(source.iterdir()):
            if path.is_file() and not path.name.startswith("."):
                tar.add(path, arcname=path.name)
