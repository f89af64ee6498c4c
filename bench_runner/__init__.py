# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures openai-whisper on one CPU: `python -m bench_runner --model-size base --iterations 50`."""

SCHEMA_VERSION = "1.1"
