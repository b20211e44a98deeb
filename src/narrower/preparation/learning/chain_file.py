"""A learned network in a file: its whole numbers as safetensors, one array for each kind and layer."""

from collections.abc import Mapping
from dataclasses import fields
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from narrower.errors import CheckpointError
from narrower.preparation.learning.deployed import LearnedChain, LearnedLayer
from narrower.store.files import replacing

KIND = "learned chain"
ARRAYS = tuple(field.name for field in fields(LearnedLayer))
TRUTH_VALUES = ("data_signed", "data_wrap")
OF_OUTPUTS = ("biases", "bias_fractions")
OF_INPUTS = ("data_widths", "data_fractions", "data_signed")


def save_chain(chain: LearnedChain, path: Path) -> None:
    """Write the network: ``0.weights`` [I, O], ``0.weight_fractions``, ... of each layer.

    Raises:
        OutputError: the file cannot be written.
    """
    with replacing(path) as partial:
        save_file(arrays_of(chain), partial, {"narrower": KIND})


def arrays_of(chain: LearnedChain) -> dict[str, NDArray[Any]]:
    """The arrays of all layers by name, ``0.weights`` and so on."""
    return {
        f"{number}.{name}": np.array(getattr(layer, name), np.uint8 if name in TRUTH_VALUES else np.int32)
        for number, layer in enumerate(chain.layers)
        for name in ARRAYS
    }


def load_chain(path: Path) -> LearnedChain:
    """Read what ``save_chain`` wrote.

    Raises:
        CheckpointError: the file cannot be read, or holds something else.
    """
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be read as safetensors: {error}") from None
    return chain_of_arrays(tensors, path)


def chain_of_arrays(arrays: Mapping[str, NDArray[Any]], path: Path) -> LearnedChain:
    """The network of ``arrays_of``; ``path`` is where they come from.

    Raises:
        CheckpointError: they are something else.
    """
    count = len({name.partition(".")[0] for name in arrays})
    wanted = {f"{number}.{name}" for number in range(count) for name in ARRAYS}
    if not count or set(arrays) != wanted:
        raise CheckpointError(f"{path}: holds no learned network; narrower learn writes such files")
    layers = [_layer({name: arrays[f"{number}.{name}"] for name in ARRAYS}) for number in range(count)]
    if not _fits(layers):
        raise CheckpointError(f"{path}: the sizes of its arrays contradict each other")
    return LearnedChain(tuple(layers))


def _layer(arrays: dict[str, NDArray[Any]]) -> LearnedLayer:
    wrap = bool(arrays.pop("data_wrap").any())
    signed = arrays.pop("data_signed").astype(bool)
    whole = {name: array.astype(np.int64) for name, array in arrays.items()}
    return LearnedLayer(**whole, data_signed=signed, data_wrap=wrap)


def _fits(layers: list[LearnedLayer]) -> bool:
    shapes = [layer.weights.shape for layer in layers]
    if any(len(shape) != 2 for shape in shapes):  # noqa: PLR2004
        return False
    return all(
        layer.weight_fractions.shape == (inputs, outputs)
        and all(getattr(layer, name).shape == (outputs,) for name in OF_OUTPUTS)
        and all(getattr(layer, name).shape == (inputs,) for name in OF_INPUTS)
        for layer, (inputs, outputs) in zip(layers, shapes, strict=True)
    ) and all(before[1] == after[0] for before, after in pairwise(shapes))
