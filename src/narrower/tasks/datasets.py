"""A data set by its name: three disjoint parts, standardised by the first."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from narrower.errors import DataError
from narrower.tasks.catalogue import DATA_SETS, canonical_name
from narrower.tasks.imported import import_object
from narrower.tasks.sources import Table, digits, digits32, jets, jsc

VALIDATION_SHARE = 0.16
TEST_SHARE = 0.20


@dataclass(frozen=True)
class Part:
    """Samples and their classes: inputs [N, ...] float32, targets [N] int64."""

    inputs: Tensor
    targets: Tensor

    def __len__(self) -> int:
        return len(self.targets)

    def first(self, count: int) -> "Part":
        """The first ``count`` samples."""
        return Part(self.inputs[:count], self.targets[:count])


@dataclass(frozen=True)
class DataSet:
    """Three disjoint parts of one kind of samples."""

    name: str
    train: Part
    validation: Part
    test: Part
    class_names: tuple[str, ...]

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 of every shape and byte of the three parts."""
        digest = hashlib.sha256()
        for part in (self.train, self.validation, self.test):
            for tensor in (part.inputs, part.targets):
                digest.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
                digest.update(tensor.contiguous().numpy().tobytes())
        return digest.hexdigest()


SOURCES: dict[str, Callable[[Path | None], Table]] = {
    "jets": jets,
    "jsc": jsc,
    "digits": digits,
    "digits32": digits32,
}


def load_data_set(name: str, *, seed: int = 0, path: Path | None = None) -> DataSet:
    """Load a data set of ``narrower datasets``, or call ``package.module:function``.

    The user's function returns inputs and classes (arrays or tensors), or a ``DataSet``. ``path`` is a local
    file that stands in for the download of ``jsc``.

    Raises:
        UnknownNameError: no such data set.
        DataError: it cannot be read, or is no classification data.
    """
    if ":" in name:
        return _own(name, seed)
    known = canonical_name("data set", name, DATA_SETS)
    if path is not None and known != "jsc":
        raise DataError(f"--data-path goes with the data set 'jsc', not {known!r}")
    return split(known, SOURCES[known](path), seed)


def split(name: str, table: Table, seed: int) -> DataSet:
    """Split at random into 64 % training, 16 % validation and 20 % test, and standardise by the first."""
    count = len(table.targets)
    order = np.random.default_rng(seed).permutation(count)
    test_count, validation_count = round(count * TEST_SHARE), round(count * VALIDATION_SHARE)
    bounds = [count - validation_count - test_count, count - test_count]
    indices = np.split(order, bounds)
    if min(len(part) for part in indices) == 0:
        raise DataError(f"data set {name!r} has {count} samples: too few for three parts")
    mean, deviation = _moments(table.inputs[indices[0]])
    train, validation, test = (
        Part(
            torch.from_numpy(((table.inputs[i] - mean) / deviation).astype(np.float32)),
            torch.from_numpy(table.targets[i].astype(np.int64)),
        )
        for i in indices
    )
    return DataSet(name, train, validation, test, table.class_names)


def _moments(inputs: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and deviation of each feature, or of each channel of images; constants keep deviation 1."""
    axes = (0, *range(2, inputs.ndim))
    mean = inputs.mean(axis=axes, keepdims=True, dtype=np.float64)[0]
    deviation = inputs.std(axis=axes, keepdims=True, dtype=np.float64)[0]
    return mean, np.where(deviation > 0, deviation, 1.0)


def _own(reference: str, seed: int) -> DataSet:
    function = import_object(reference, DataError)
    if not callable(function):
        raise DataError(f"data set {reference!r} is not callable, but {type(function).__name__}")
    try:
        made = function()
    except Exception as error:
        raise DataError(
            f"data set {reference!r}: calling it failed: {type(error).__name__}: {error}"
        ) from error
    if isinstance(made, DataSet):
        return made
    if not isinstance(made, tuple) or len(made) != 2:  # noqa: PLR2004 - inputs and classes
        raise DataError(f"data set {reference!r} returned {type(made).__name__}, expected (inputs, classes)")
    inputs, targets = (np.asarray(array) for array in made)
    return split(reference, _checked_table(reference, inputs, targets), seed)


def _checked_table(reference: str, inputs: NDArray[np.float32], targets: NDArray[np.int64]) -> Table:
    where = f"data set {reference!r}"
    if inputs.ndim < 2 or targets.ndim != 1 or len(inputs) != len(targets):  # noqa: PLR2004 - [N, ...] and [N]
        raise DataError(
            f"{where}: expected inputs [N, ...] and classes [N], found {inputs.shape}, {targets.shape}"
        )
    if not np.issubdtype(targets.dtype, np.integer) or targets.min() < 0:
        raise DataError(f"{where}: classes must be whole numbers from 0, found {targets.dtype}")
    if not np.issubdtype(inputs.dtype, np.number) or not np.isfinite(inputs).all():
        raise DataError(f"{where}: inputs must be finite numbers, found {inputs.dtype} with NaN or infinity")
    names = tuple(str(index) for index in range(int(targets.max()) + 1))
    return Table(inputs.astype(np.float32), targets, names)
