# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What no CPU can do: times that are too short are an error of the measurement, however well they agree.

The encoder is the part whose arithmetic is known: its shape is the model's, and every window is padded to 30 seconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from bench_runner.caveats import Warned
from bench_runner.models import ENCODERS

# Frames of the mel spectrogram of a window, and what is left of them after the second convolution (whisper.audio).
MEL_FRAMES = 3000
POSITIONS = 1500
KERNEL = 3
# Above every clock that a CPU has been sold with.
HIGHEST_HERTZ = 6.5e9
# The most single-precision operations a core does in a cycle, by what torch says of the CPU; a fused multiply-add is two.
# Vector units x lanes x 2: AVX2 2 x 8, AVX-512 2 x 16 (Intel's and AMD's optimization guides); NEON and narrow SVE 4 x 4
# (Apple M4, Arm Neoverse V2), which SVE256 2 x 8 equals; SVE512 2 x 16 (Fujitsu A64FX). AMX does no fp32.
FLOPS_PER_CYCLE: Mapping[str, Mapping[str, int]] = {
    "x86_64": {"AVX2": 32, "AVX512": 64},
    "arm64": {"DEFAULT": 32, "SVE128": 32, "SVE256": 32},
}
# What another word may stand for.
MOST_FLOPS_PER_CYCLE = 64
# Arm's matrix extension multiplies 16 x 16 elements in a cycle (measured on an M4: 2.3 TFLOPS, arXiv:2409.18779), and so do
# the units of older Apple CPUs, which macOS uses by itself.
MATRIX_FLOPS_PER_CYCLE = 512


def encoder_flops(model_size: str) -> float:
    """The floating-point operations of one forward pass of the encoder, over one window.

    From whisper.model.AudioEncoder, with width d and T = 1500 positions: a matrix product of (a, b) and (b, c) takes
    2·a·b·c. The convolutions take 2·3·mels·d·3000 and 2·3·d²·1500. A layer takes 8·T·d² for query, key, value and output,
    4·T²·d for the scores and the weighted sum of attention, and 16·T·d² for the two products of the MLP, which is four
    times as wide. Norms, softmax and GELU, about a hundredth, are left out: what is counted must be done at least.
    """
    encoder = ENCODERS[model_size]
    width = encoder.width
    convolutions = 2 * KERNEL * width * (encoder.mels * MEL_FRAMES + width * POSITIONS)
    layer = 24 * POSITIONS * width**2 + 4 * POSITIONS**2 * width
    return float(convolutions + encoder.layers * layer)


def flops_per_cycle(architecture: str, cpu_capability: str, *, matrix_unit: bool) -> int | None:
    """The most that a core can do; `None` for an architecture of which it is not known here."""
    if architecture not in FLOPS_PER_CYCLE:
        return None
    if matrix_unit:
        return MATRIX_FLOPS_PER_CYCLE
    return FLOPS_PER_CYCLE[architecture].get(cpu_capability, MOST_FLOPS_PER_CYCLE)


def of_encoder(
    model_size: str, encoder_ms: Sequence[float], windows: int, cores: int, per_cycle: int | None
) -> Iterator[Warned]:
    """Whether the encoder took less than its arithmetic needs on so many cores at the highest clock there is."""
    if per_cycle is None:
        return
    needed_ms = 1000 * windows * encoder_flops(model_size) / (cores * per_cycle * HIGHEST_HERTZ)
    if min(encoder_ms) < needed_ms:
        yield Warned(
            "physically_impossible",
            f"the encoder took {min(encoder_ms):.1f} ms for {windows} window(s), and no CPU of this kind does it in less "
            f"than {needed_ms:.1f} ms: the result is invalid; look for a wrong clock, or for work that was not done",
        )


def of_clock(wall_ms: Sequence[Sequence[float]], process_seconds: Sequence[float]) -> Iterator[Warned]:
    """Whether the iterations of a process took longer than the process, by the clock of the one that waited for it."""
    for number, (walls_ms, seconds) in enumerate(zip(wall_ms, process_seconds, strict=True), start=1):
        if sum(walls_ms) > 1000 * seconds or min(walls_ms) <= 0:
            yield Warned(
                "physically_impossible",
                f"the iterations of process {number} sum up to {sum(walls_ms) / 1000:.3f} s, from {min(walls_ms):.3f} ms on, "
                f"but it ran for {seconds:.3f} s: the result is invalid; a clock of this machine is wrong",
            )
