"""What a data set holds, in numbers: parts, classes and their shares, and the ranges of values."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrower.data.parts import DataSet

BINS = 12
MOST_COLUMNS = 1024  # of a sample that are looked at one by one


@dataclass(frozen=True, slots=True)
class Shares:
    """A class, and which share of each part it has."""

    name: str
    shares: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Range:
    """Values of the training part as the model sees them, and how many lie in each of equal steps."""

    name: str
    least: float
    mean: float
    most: float
    deviation: float
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything that is shown of a data set."""

    name: str
    task: str
    shape: tuple[int, ...]
    arguments: int
    parts: dict[str, int]
    classes: tuple[Shares, ...]
    columns: tuple[Range, ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return asdict(self)


def overview(data: DataSet) -> Overview:
    """What there is to say of a data set."""
    return Overview(
        data.name,
        data.task.words.name,
        tuple(data.train.inputs.shape[1:]),
        len(data.train.arguments),
        {name: len(part) for name, part in data.parts.items()},
        _classes(data),
        (*_inputs(data), *_targets(data)),
        data.notes,
    )


def _classes(data: DataSet) -> tuple[Shares, ...]:
    """Of whole targets the classes; places that do not count are left out."""
    parts = [part.targets.numpy().ravel() for part in data.parts.values()]
    if any(np.issubdtype(targets.dtype, np.floating) for targets in parts):
        return ()
    counts = [np.bincount(t[t >= 0], minlength=len(data.output_names)) for t in parts]
    shares = [count / max(1, count.sum()) for count in counts]
    return tuple(
        Shares(name, tuple(float(share[number]) for share in shares))
        for number, name in enumerate(data.output_names)
    )


def _inputs(data: DataSet) -> list[Range]:
    found = []
    for number, argument in enumerate(data.train.arguments):
        values = argument.numpy()
        named = data.feature_names if number == 0 else ()
        if len(named) == values[0].size and len(named) <= MOST_COLUMNS:
            flat = values.reshape(len(values), -1)
            found += [_range(name, flat[:, column]) for column, name in enumerate(named)]
        else:
            found.append(_range("inputs" if number == 0 else f"argument {number + 1}", values))
    return found


def _targets(data: DataSet) -> list[Range]:
    targets = data.train.targets.numpy()
    if not np.issubdtype(targets.dtype, np.floating) or targets.ndim > 2:  # noqa: PLR2004 - [N, K]
        return []
    columns = targets.reshape(len(targets), -1)
    if columns.shape[1] != len(data.output_names) or columns.shape[1] > MOST_COLUMNS:
        return []
    return [_range(f"target {name}", columns[:, k]) for k, name in enumerate(data.output_names)]


def _range(name: str, values: NDArray[Any]) -> Range:
    held = values.astype(np.float64).ravel()
    counts, _ = np.histogram(held, bins=BINS)
    return Range(
        name,
        float(held.min()),
        float(held.mean()),
        float(held.max()),
        float(held.std()),
        tuple(counts.tolist()),
    )
