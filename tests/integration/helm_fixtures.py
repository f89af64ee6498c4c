# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Real Helm, and the chart that it creates."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def helm() -> str:
    """The program, from $HELM or the search path."""
    program = os.environ.get("HELM") or shutil.which("helm")
    if program is None:
        pytest.skip("there is no helm: set HELM to its path, or put it on the search path")
    return program


@pytest.fixture(scope="module")
def chart(helm: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("chart")
    subprocess.run([helm, "create", "demo"], cwd=folder, check=True, capture_output=True)
    return folder / "demo"
