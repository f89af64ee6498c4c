# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Running a module that takes long, while the controller shows how far it is.

A module cannot print while it runs. So the module keeps a private folder on its machine (`module_utils/_caller.py`);
while it runs as any module does, a thread looks into that folder every few seconds over the same connection, with one
shell command of a few milliseconds: it prints the line that it finds and touches the lease that keeps the run going.

Why not Ansible's asynchronous tasks: they detach the module from the connection, so that Ctrl-C would leave the run to
its lease (a minute) where now the signal or the hang-up reaches it at once; every look of `async_status` starts a
Python on the machine that measures, where now it is `cat` (tests/benchmarks/progress_cost.py says what it takes); and
starting a job by hand means setting attributes of the task that Ansible does not promise. What is used here,
`_execute_module` and `_low_level_execute_command`, is what Ansible's own action plugins live on.
"""

from __future__ import annotations

import contextvars
import copy
import os
import secrets
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

FIRST_LOOK_SECONDS = 2.0
LOOK_SECONDS = 5.0
# A module that takes long to get to its machine must not leave the terminal silent for 10.
SILENCE_SECONDS = 6.0
# With looks 5 seconds apart, the next line comes within 15 even where a look takes long.
REPEAT_SECONDS = 8.0
MAX_LINE = 240
# What ansible-playbook sends its workers when it is stopped, one right after the other.
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class WatchedAction(ActionBase):  # type: ignore[misc]
    """Runs the module of the same name, which takes `progress_dir`, and shows its progress."""

    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        directory = f"/tmp/rightsize-whisper-{secrets.token_hex(16)}"
        arguments = {**self._task.args, "progress_dir": directory}
        with Looker(_own_copy(self), directory, str((task_vars or {}).get("inventory_hostname", "localhost"))):
            answer: dict[str, Any] = self._execute_module(
                module_name=self._task.action, module_args=arguments, task_vars=task_vars
            )
        # The module removes its folder, unless it was killed.
        self._low_level_execute_command(f"rm -rf {directory}")
        return answer


class Looker:
    """A context: while it lasts, a thread looks at the run in `directory` and prints what it sees."""

    def __init__(self, action: ActionBase, directory: str, host: str) -> None:
        self._action = action
        self._directory = directory
        self._host = host
        self._begun = time.monotonic()
        self._display = Display()
        self._printer = ProgressPrinter(self._print)
        self._over = threading.Event()
        self._parent = os.getppid()
        # A context variable tells Ansible's display which task speaks.
        context = contextvars.copy_context()
        self._thread = threading.Thread(target=context.run, args=(self._look_until_over,), daemon=True)

    def __enter__(self) -> Looker:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        self._thread.join(LOOK_SECONDS)

    def _look_until_over(self) -> None:
        # Python acts on a signal in the main thread, which waits for the module and is woken by the signal. One that the
        # kernel gives to this thread, as it may where a second one follows at once, would leave it asleep and the run going.
        # The commands of a look inherit this; they take milliseconds.
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        pause = FIRST_LOOK_SECONDS
        while not self._over.wait(pause):
            if os.getppid() != self._parent:
                # ansible-playbook was killed: nobody sees this any more, and the module ends with this process.
                os.kill(os.getpid(), signal.SIGTERM)
                return
            self._look()
            pause = LOOK_SECONDS if self._printer.has_printed else FIRST_LOOK_SECONDS

    def _look(self) -> None:
        command = f"cat {self._directory}/progress && touch {self._directory}/lease"
        try:
            answer = self._action._low_level_execute_command(command)
        except AnsibleError as error:
            self._display.warning(f"Cannot see how far the run is; without a look it is given up: {error}")
            return
        # There is no such folder before the module began and after it ended.
        if answer["rc"] == 0:
            self._printer.show(answer["stdout"])
        elif not self._printer.has_printed and time.monotonic() - self._begun > SILENCE_SECONDS:
            self._printer.show(f"[{self._host}] starting the module")

    def _print(self, line: str) -> None:
        # Standard output belongs to the callback, which may write JSON to it.
        self._display.display(line, stderr=True)


class ProgressPrinter:
    """Decides when a line is due: when it is new, but not sooner than `REPEAT_SECONDS` after the one before."""

    def __init__(self, write: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self.has_printed = False
        self._write = write
        self._clock = clock
        self._line = ""
        self._new_since = 0.0
        self._printed_at = 0.0

    def show(self, text: str) -> None:
        """Print what a look has found, if it is due; it comes from the target, so less what a terminal would obey."""
        now = self._clock()
        line = "".join(character if character.isprintable() else " " for character in text).strip()[:MAX_LINE]
        if not line:
            return
        if line != self._line:
            self._line, self._new_since = line, now
        if self.has_printed and now - self._printed_at < REPEAT_SECONDS:
            return
        unchanged = now - self._new_since
        self._write(f"{line} (for {unchanged:.0f} s)" if unchanged >= REPEAT_SECONDS else line)
        self.has_printed, self._printed_at = True, now


def _own_copy(action: ActionBase) -> ActionBase:
    """The action with a connection of its own state, since the module's command uses the other at the same time."""
    twin = copy.copy(action)
    twin._connection = copy.copy(action._connection)
    twin._connection._shell = copy.copy(action._connection._shell)
    if twin._connection.become:
        twin._connection.set_become_plugin(copy.copy(action._connection.become))
    return twin
