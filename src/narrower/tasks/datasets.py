"""A data set by its name: three disjoint parts, standardised by the first unless they are whole numbers."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from narrower.errors import DataError
from narrower.tasks import catalogue
from narrower.tasks.jsc_table import jsc
from narrower.tasks.own_data import own_data_set
from narrower.tasks.parts import DataSet, Part
from narrower.tasks.sources import Table, digits, digits32, jets
from narrower.tasks.splitting import split_indices, standardised

__all__ = ["DATA_SETS", "DataSet", "DataSetEntry", "Part", "load_data_set", "split_table"]


@dataclass(frozen=True, slots=True)
class DataSetEntry:
    """A built-in data set: raw samples, from a local file where one is given."""

    load: Callable[[Path | None], Table]
    description: str


SOURCES: dict[str, Callable[[Path | None], Table]] = {
    "jets": jets,
    "jsc": jsc,
    "digits": digits,
    "digits32": digits32,
}

DATA_SETS: dict[str, DataSetEntry] = {
    name: DataSetEntry(SOURCES[name], description) for name, description in catalogue.DATA_SETS.items()
}


def load_data_set(name: str, *, seed: int = 0, path: Path | None = None) -> DataSet:
    """Load a data set of ``narrower datasets``, or call ``package.module:function``.

    ``path`` is a local file that stands in for the download of ``jsc``; ``seed`` chooses the split.

    Raises:
        UnknownNameError: no such data set.
        DataError: it cannot be read, or is no classification data.
    """
    if ":" in name:
        if path is not None:
            raise DataError(f"a local file goes with the data set 'jsc', not {name!r}")
        made = own_data_set(name)
        return split_table(name, made, seed) if isinstance(made, Table) else made
    known = catalogue.canonical_name("data set", name, DATA_SETS)
    if path is not None and known != "jsc":
        raise DataError(f"a local file goes with the data set 'jsc', not {known!r}")
    return split_table(known, DATA_SETS[known].load(path), seed)


def split_table(name: str, table: Table, seed: int) -> DataSet:
    """Split at random into 64 % training, 16 % validation and 20 % test; real numbers are standardised.

    Raises:
        DataError: too few samples for three parts.
    """
    indices = split_indices(len(table.targets), seed)
    if min(len(part) for part in indices) == 0:
        raise DataError(f"data set {name!r} has {len(table.targets)} samples: too few for three parts")
    inputs = standardised([table.inputs[i] for i in indices])
    train, validation, test = (
        Part(torch.from_numpy(values), torch.from_numpy(table.targets[i]))
        for values, i in zip(inputs, indices, strict=True)
    )
    return DataSet(name, train, validation, test, table.class_names, table.feature_names)
