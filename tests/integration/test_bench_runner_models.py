# Copyright (c) 2026, the rightsize.whisper authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What bench_runner knows of openai-whisper's models, held against openai-whisper in the runner image."""

from __future__ import annotations

import json
from typing import Any

import docker
import pytest

from bench_runner.models import CHECKPOINT_FILE, PUBLISHED_SHA256
from tests.integration.runner_container import run

pytestmark = [pytest.mark.engine, pytest.mark.image]

PUBLISHED = """
import json, whisper
print(json.dumps(whisper._MODELS))
"""

SAME_MODEL = """
import json, torch, whisper
from pathlib import Path
from bench_runner import inference
path = Path("/models/base.pt")
ours, theirs = inference.load(path, "base"), whisper.load_model(str(path))
assert ours.dims == theirs.dims
assert ours.training == theirs.training
pairs = [(name, value, dict(theirs.named_parameters())[name]) for name, value in ours.named_parameters()]
pairs += [(name, value, dict(theirs.named_buffers())[name]) for name, value in ours.named_buffers()]
assert {name for name, _, _ in pairs} >= set(theirs.state_dict()) | {"decoder.mask", "alignment_heads"}
dense = lambda tensor: tensor.to_dense() if tensor.is_sparse else tensor
print(json.dumps([name for name, a, b in pairs if a.dtype != b.dtype or not torch.equal(dense(a), dense(b))]))
"""

# Dimensions from whisper's model card; the weights are random, in half precision as OpenAI's are.
RANDOM_MODEL = """
import dataclasses, json, sys, torch, whisper
from pathlib import Path
from bench_runner import inference
width, layers, vocabulary, mels = json.loads(sys.argv[2])
heads = width // 64
text_layers = 4 if "turbo" in sys.argv[1] else layers
dims = whisper.model.ModelDimensions(mels, 1500, width, heads, layers, vocabulary, 448, width, heads, text_layers)
with inference._undrawn_weights():
    names = {name: tensor.shape for name, tensor in whisper.model.Whisper(dims).state_dict().items()}
torch.manual_seed(0)
numbers = (torch.randn(1 << 20) * 0.02).half()
state = {}
for name, shape in names.items():
    repeated = numbers.repeat(shape.numel() // len(numbers) + 1)
    state[name] = repeated[: shape.numel()].view(shape).clone()
torch.save({"dims": dataclasses.asdict(dims), "model_state_dict": state}, "/tmp/model.pt")
model = inference.load(Path("/tmp/model.pt"), sys.argv[1])
assert all(torch.equal(value, state[name].float()) for name, value in model.state_dict().items())
print(json.dumps([sum(value.numel() for value in model.parameters()), model.is_multilingual]))
"""


def run_python(engine: docker.DockerClient, image: str, code: str, *arguments: str, **changes: Any) -> Any:
    ended = run(engine, image, "-c", code, *arguments, entrypoint="python3", **changes)
    assert ended.exit_code == 0, ended.stderr
    return json.loads(ended.stdout)


def test_the_models_are_those_that_whisper_publishes(engine: docker.DockerClient, runner_image: str) -> None:
    published = run_python(engine, runner_image, PUBLISHED)
    assert {name: url.split("/")[-2] for name, url in published.items()} == PUBLISHED_SHA256
    assert {name: url.split("/")[-1] for name, url in published.items()} == CHECKPOINT_FILE


def test_a_model_is_loaded_as_whisper_loads_it(engine: docker.DockerClient, runner_image: str) -> None:
    assert run_python(engine, runner_image, SAME_MODEL) == []


@pytest.mark.parametrize(
    ("model", "width", "layers", "vocabulary", "mels", "parameters_in_millions"),
    [
        ("small", 768, 12, 51865, 80, 244),
        pytest.param("medium.en", 1024, 24, 51864, 80, 769, marks=pytest.mark.slow),
        pytest.param("large-v3-turbo", 1280, 32, 51866, 128, 809, marks=pytest.mark.slow),
    ],
)
def test_larger_models_load(
    engine: docker.DockerClient,
    runner_image: str,
    model: str,
    width: int,
    layers: int,
    vocabulary: int,
    mels: int,
    parameters_in_millions: int,
) -> None:
    dimensions = json.dumps([width, layers, vocabulary, mels])
    room = {"mem_limit": "8g", "memswap_limit": "8g", "tmpfs": "size=4g,mode=1777", "nano_cpus": 2 * 10**9}
    parameters, is_multilingual = run_python(engine, runner_image, RANDOM_MODEL, model, dimensions, **room)
    # The sizes of whisper's README, which rounds.
    assert parameters / 1e6 == pytest.approx(parameters_in_millions, rel=0.02)
    assert is_multilingual is not model.endswith(".en")
