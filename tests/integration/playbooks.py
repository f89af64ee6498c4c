# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs ansible-playbook as a user does, and keeps what it printed with the time of each line."""

from __future__ import annotations

import json
import os
import re
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

CHECKOUT = Path(__file__).resolve().parents[2]
ANSIBLE_PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")


class PlaybookRun:
    """One ansible-playbook in a session of its own, as if started from a terminal. As a context it ends with that."""

    def __init__(self, folder: Path, play: list[dict[str, Any]], inventory: dict[str, Any], **environment: str) -> None:
        self.lines: list[tuple[float, str]] = []
        (folder / "play.yml").write_text(yaml.safe_dump(play))
        (folder / "inventory.yml").write_text(yaml.safe_dump(inventory))
        (folder / "ansible.cfg").touch()
        self._process = subprocess.Popen(
            [ANSIBLE_PLAYBOOK, "-i", "inventory.yml", "play.yml"],
            cwd=folder,
            env={
                **os.environ,
                "ANSIBLE_CONFIG": str(folder / "ansible.cfg"),
                "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / ".ansible" / "collections"),
                "ANSIBLE_NOCOLOR": "1",
                **environment,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            # A shell that runs tests in the background makes its children ignore Ctrl-C.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        self.pid = self._process.pid
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def output(self) -> str:
        return "\n".join(line for _time, line in self.lines)

    def __enter__(self) -> PlaybookRun:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def wait(self, timeout: float = 300) -> int:
        try:
            code = self._process.wait(timeout)
        finally:
            self.stop()
        self._reader.join(timeout)
        return code

    def interrupt(self) -> None:
        """What Ctrl-C does: a signal to the whole group in the foreground."""
        os.killpg(self.pid, signal.SIGINT)

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def progress(self, words: str = "") -> list[tuple[float, str]]:
        """The lines of progress, such as `[here] base: …`, that have `words`, each with the time it came."""
        return [(time, line) for time, line in self.lines if re.match(r"\[\S+\] \S+: ", line) and words in line]

    def wait_for(self, words: str, timeout: float = 180) -> float:
        """Until a line has these words; gives the time it came."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            for when, line in list(self.lines):
                if words in line:
                    return when
            time.sleep(0.1)
        raise AssertionError(f"no {words!r} within {timeout} s in:\n{self.output}")

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.append((time.monotonic(), line.rstrip("\n")))


def inventory(*hosts: str, **variables: Any) -> dict[str, Any]:
    known = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    return {"all": {"hosts": dict.fromkeys(hosts), "vars": {**known, **variables}}}


def measuring(folder: Path, *runs: dict[str, Any], go_on: bool = False) -> list[dict[str, Any]]:
    """A play that measures, leaving each answer in `folder`; where a run fails the play does, unless it is to go on."""
    steps = []
    for number, arguments in enumerate(runs):
        measure = {
            "name": "Measure",
            "rightsize.whisper.isolated_container": {
                "target": "{{ inventory_hostname }}",
                "run_id": f"test-{secrets.token_hex(6)}-{{{{ inventory_hostname }}}}",
                "processes": 1,
                "memory": "256Mi",
                "timeout": 60,
                **arguments,
            },
            "register": "answer",
            "ignore_errors": go_on,
        }
        keep = {
            "name": "Keep the answer",
            "ansible.builtin.copy": {
                "content": "{{ answer | to_json }}",
                "dest": f"{folder}/{{{{ inventory_hostname }}}}-{number:03}.json",
                "mode": "0644",
            },
            "delegate_to": "localhost",
        }
        steps.append({"name": "Measure and keep the answer", "block": [measure], "always": [keep]})
    return [{"name": "Measure", "hosts": "all", "gather_facts": False, "tasks": steps}]


def answers(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]


def all_answers(folder: Path, asking: Callable[[Path], list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """What the play leaves, that `asking` makes for the folder of its answers; some of its tasks may fail."""
    (folder / "answers").mkdir()
    with PlaybookRun(folder, asking(folder / "answers"), inventory("here")) as run:
        run.wait(300)
    return answers(folder / "answers")
