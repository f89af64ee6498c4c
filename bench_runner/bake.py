# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run in the image's build: `python3 -m bench_runner.bake MODEL FROM TO` puts a checkpoint and its hash into the image.

FROM holds the checkpoint in OpenAI's layout (`*.pt`), or a published conversion of it (`model.bin`), which is converted
back. The build ends where the weights are not those of the model: the image's own proof loads them.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
from pathlib import Path

from bench_runner import convert


def main(model: str, source: Path, destination: Path) -> int:
    destination.mkdir(parents=True, exist_ok=True)
    target = destination / f"{model}.pt"
    checkpoints = list(source.glob("*.pt"))
    if checkpoints:
        shutil.copyfile(checkpoints[0], target)
    else:
        parts = map(str, sorted(source.glob("model.bin*")))
        status = convert.main([*parts, "--output", str(target)])
        if status:
            return status
    with target.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    target.with_name(f"{target.name}.sha256").write_text(f"{digest}  {target.name}\n")
    for path in destination.iterdir():
        path.chmod(0o444)
    print(f"{target.name}: sha256 {digest}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])))
