"""The arguments of a model, from what somebody gives: an array, several, sequences of any length."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from narrower.data.samples import as_array
from narrower.errors import DataError

TOKENS, MASK = "input_ids", "attention_mask"  # what transformers call tokens, and which of them count
IGNORED = -100  # the class of a place that does not count
Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class GivenInputs:
    """One array for each argument; ``names`` are empty where they were given by their order."""

    arrays: tuple[Array, ...]
    names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def given_inputs(where: str, value: object, pad: int | None = None) -> GivenInputs:
    """Read a dictionary of arguments, a tuple of them, or the one argument there is.

    Sequences of different lengths are filled up with ``pad``; beside tokens that are given by name, a mask
    says which of them count.

    Raises:
        DataError: they are no arrays, or have different numbers of samples.
    """
    if isinstance(value, Mapping):
        names = tuple(sorted(map(str, value), key=lambda name: name != TOKENS))  # they come first
        columns = [value[name] for name in names]
    elif _are_several(value):
        names, columns = (), list(value)  # type: ignore[call-overload]
    else:
        names, columns = (), [value]
    if not columns:
        raise DataError(f"{where}: there are no inputs: the dictionary is empty")
    arrays, notes = [], []
    for number, column in enumerate(columns):
        name = names[number] if names else ""
        here = f"{where}: {name!r}" if name else where
        if is_ragged(column):
            array, note = _filled(here, column, 0 if is_mask(name) else pad)
            notes += [] if is_mask(name) else [note]
        else:
            array = as_array(here, column)
        arrays.append(_held(name, array))
    if TOKENS in names and MASK not in names and is_ragged(columns[names.index(TOKENS)]):
        names, mask = (*names, MASK), _counting(columns[names.index(TOKENS)])
        arrays.append(mask)
        notes.append(f"{MASK} says which tokens count")
    lengths = {len(array) if array.ndim else 0 for array in arrays}
    if len(lengths) > 1:
        known = names or tuple(str(number) for number in range(1, len(arrays) + 1))
        said = ", ".join(f"{name} {array.shape}" for name, array in zip(known, arrays, strict=True))
        raise DataError(f"{where}: the inputs have different numbers of samples: {said}")
    return GivenInputs(tuple(arrays), names, tuple(notes))


def given_targets(where: str, value: object) -> Array:
    """Targets as an array; in those of sequences of different lengths, what is filled up counts nowhere."""
    if not is_ragged(value):
        return as_array(where, value)
    return _filled(where, value, IGNORED)[0]


def is_mask(name: str) -> bool:
    """Whether an argument says by its name that it only tells what counts."""
    return "mask" in name.lower()


def is_ragged(value: object) -> bool:
    """Whether samples are sequences of whole numbers, of different lengths."""
    if isinstance(value, np.ndarray) and value.dtype != object:
        return False
    if isinstance(value, Tensor | str | Mapping) or not isinstance(value, Sequence | np.ndarray):
        return False
    lengths = {len(sample) if _is_sequence(sample) else None for sample in value}
    return len(lengths) > 1 and None not in lengths and all(map(_are_whole, value))


def _is_sequence(sample: object) -> bool:
    return isinstance(sample, list | tuple) or (isinstance(sample, np.ndarray | Tensor) and sample.ndim > 0)


def _are_whole(sample: Any) -> bool:
    if isinstance(sample, list | tuple):
        return all(isinstance(number, int | np.integer) for number in sample)
    return np.asarray(sample).dtype.kind in "iub" and sample.ndim == 1


def _are_several(value: object) -> bool:
    """A tuple of arrays is several arguments; a list is the samples of one."""
    return isinstance(value, tuple) and all(isinstance(each, np.ndarray | Tensor) for each in value)


def _held(name: str, array: Array) -> Array:
    """Masks, and what is true or false, stay the numbers 0 and 1."""
    if array.dtype == bool or (is_mask(name) and bool(np.isin(array, (0, 1)).all())):
        return array.astype(np.int64)
    return array


def _filled(where: str, samples: Any, pad: int | None) -> tuple[Array, str]:
    each = [as_array(where, sample) for sample in samples]
    longest, shortest = max(map(len, each)), min(map(len, each))
    filled = np.full((len(each), longest), 0 if pad is None else pad, dtype=np.int64)
    for row, one in zip(filled, each, strict=True):
        row[: len(one)] = one
    said = f"sequences of {shortest:,} to {longest:,} places are filled up with {0 if pad is None else pad}"
    return filled, said if pad is not None else f"{said}; pad = N says another"


def _counting(samples: Any) -> Array:
    longest = max(map(len, samples))
    return np.array([np.arange(longest) < len(sample) for sample in samples]).astype(np.int64)
