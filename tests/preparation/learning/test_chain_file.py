"""A learned network comes back from its file as it was, and nothing else does."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from narrower.errors import CheckpointError
from narrower.preparation.learning.chain_file import load_chain, save_chain
from narrower.preparation.learning.deployed import LearnedChain, LearnedLayer


def chain() -> LearnedChain:
    chance = np.random.default_rng(4)
    layers = []
    for inputs, outputs in ((5, 3), (3, 2)):
        layers.append(
            LearnedLayer(
                weights=chance.integers(-9, 10, (inputs, outputs)) | 1,
                weight_fractions=chance.integers(-1, 5, (inputs, outputs)),
                biases=chance.integers(-9, 10, outputs) | 1,
                bias_fractions=chance.integers(0, 5, outputs),
                data_widths=chance.integers(0, 7, inputs),
                data_fractions=chance.integers(-1, 5, inputs),
                data_signed=chance.random(inputs) < 0.5,
                data_wrap=inputs == 3,
            )
        )
    return LearnedChain(tuple(layers))


def test_a_network_comes_back_with_every_number() -> None:
    saved = chain()
    save_chain(saved, Path("models/one.safetensors"))
    loaded = load_chain(Path("models/one.safetensors"))
    inputs = torch.randn(50, 5, generator=torch.Generator().manual_seed(1)).numpy()
    for before, after in zip(saved.whole_outputs(inputs), loaded.whole_outputs(inputs), strict=True):
        np.testing.assert_array_equal(before, after)
    assert loaded.ebops == saved.ebops > 0


def test_what_is_no_learned_network_is_said() -> None:
    path = Path("other.safetensors")
    with pytest.raises(CheckpointError, match="cannot be read as safetensors"):
        load_chain(path)
    path.write_bytes(b"no file of that kind")
    with pytest.raises(CheckpointError, match="cannot be read as safetensors"):
        load_chain(path)
    save_file({"0.weights": np.zeros((2, 2), np.int32)}, path)
    with pytest.raises(CheckpointError, match="holds no learned network"):
        load_chain(path)
    save_chain(chain(), path)
    tensors = load_file(path)
    save_file(tensors | {"1.biases": np.zeros(3, np.int32)}, path)
    with pytest.raises(CheckpointError, match="contradict"):
        load_chain(path)
