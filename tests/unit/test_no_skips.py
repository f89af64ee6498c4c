# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = """
import pytest

@pytest.fixture
def engine():
    pytest.skip("no Docker engine answers")

def test_with_an_engine(engine):
    pass

@pytest.mark.skipif(True, reason="no cluster")
def test_with_a_cluster():
    pass

@pytest.mark.xfail
def test_expected_to_fail():
    assert False

def test_of_nothing_else():
    pass
"""
NEEDS_A_MODULE = "import pytest\npytest.importorskip('no_such_module')\n"


@pytest.mark.parametrize("value", ["", "1"])
def test_a_skip_is_a_failure_where_nothing_may_be_skipped(tmp_path: Path, value: str) -> None:
    shutil.copy(Path(__file__).parents[1] / "conftest.py", tmp_path)
    (tmp_path / "test_some.py").write_text(TESTS)
    (tmp_path / "test_module.py").write_text(NEEDS_A_MODULE)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-rA", "-p", "no:cacheprovider", "--continue-on-collection-errors", tmp_path],
        cwd=tmp_path,
        env={**os.environ, "RIGHTSIZE_NO_SKIPS": value},
        capture_output=True,
        text=True,
        check=False,
    )
    ends = done.stdout.splitlines()[-1]
    if value:
        assert "1 passed, 1 xfailed, 3 errors in" in ends, done.stdout
        assert "no Docker engine answers (RIGHTSIZE_NO_SKIPS is set, so this is a failure)" in done.stdout
    else:
        assert "1 passed, 3 skipped, 1 xfailed in" in ends, done.stdout
