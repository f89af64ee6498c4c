#!/bin/sh
# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Makes sample.flac from sample.txt: synthetic speech by espeak-ng 1.51, 15 s, 16 kHz mono, 16 bits.
# Another recording has another hash, and results made with the two are not compared: do not run it without need.
set -eu
cd "$(dirname "$0")"
speech=$(mktemp --suffix=.wav)
trap 'rm -f "$speech"' EXIT
espeak-ng -v en-us -s 160 -f sample.txt -w "$speech"
PYTHONPATH=.. "${PYTHON:-python3}" - "$speech" <<'EOF'
import sys
import soundfile
from bench_runner import audio
soundfile.write("sample.flac", audio.load(sys.argv[1]).samples, audio.SAMPLE_RATE_HZ, subtype="PCM_16")
EOF
