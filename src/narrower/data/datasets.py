"""A data set by its name: three disjoint parts, standardised by the first unless they are whole numbers."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from narrower.data import catalogue
from narrower.data.cifar import Images, cifar10, cifar100
from narrower.data.derived_targets import has_derived_targets, with_derived_targets, with_task
from narrower.data.file_sets import file_data_set
from narrower.data.given_data import given_data_set
from narrower.data.hf_disk import hf_disk_data_set
from narrower.data.jsc_table import jsc
from narrower.data.own_data import own_data_set
from narrower.data.parts import DataSet, Part
from narrower.data.pixels import split_images
from narrower.data.prepared import of_arguments
from narrower.data.request import DataRequest, file_kind
from narrower.data.samples import check_data_set
from narrower.data.sound_sets import toy_keywords, toy_machines
from narrower.data.sources import Table, diabetes, digits, digits32, jets, toy_tiny
from narrower.data.splitting import split_indices, standardised
from narrower.data.toy_sets import toy_labels, toy_sequences, toy_shapes
from narrower.errors import DataError
from narrower.tasks.catalogue import task_named, trained_by

__all__ = ["DataSet", "Part", "load_data_set", "split_table"]


Given = DataSet | str | Dataset[Any] | DataLoader[Any] | Mapping[str, Any] | tuple[Any, ...]
Raw = Table | tuple[Table, Table, Table] | Images  # to be split; parts as they are; with a test part

SOURCES: dict[str, Callable[[Path | None], Raw]] = {
    "jets": jets,
    "jsc": jsc,
    "cifar10": cifar10,
    "cifar100": cifar100,
    "digits": digits,
    "digits32": digits32,
    "diabetes": diabetes,
    "toy-tiny": toy_tiny,
    "toy-labels": toy_labels,
    "toy-shapes": toy_shapes,
    "toy-keywords": toy_keywords,
    "toy-machines": toy_machines,
    "toy-sequences": toy_sequences,
}


def load_data_set(name: str, *, seed: int = 0, path: Path | None = None) -> DataSet:
    """Load a data set of ``narrower datasets`` or of a file, or call ``package.module:function``.

    ``path`` is the file of ``jsc``, or the folder of ``cifar10`` or ``cifar100``; ``seed`` chooses the split.

    Raises:
        UnknownNameError: no such data set.
        AbsentDataError: its file is not there.
        DataError: it cannot be read, or is no classification data.
    """
    request = catalogue.named_request(name)
    data = _loaded(request, seed, path)
    if has_derived_targets(request.task):
        data = with_derived_targets(data, request, seed)
    elif request.task is not None and data.task.words.name != request.task:
        data = with_task(data, task_named(request.task))
        check_data_set(f"data set {data.name!r}", data)
    return data if request.loss is None else with_task(data, trained_by(data.task, request.loss))


def _loaded(request: DataRequest, seed: int, path: Path | None) -> DataSet:
    known = request.source
    if path is not None and known not in catalogue.FROM_FILES:
        raise DataError(
            f"a local file goes with the data sets {', '.join(catalogue.FROM_FILES)}, not {known!r}"
        )
    if file_kind(known) == "hf-disk":
        found = hf_disk_data_set(request, seed)
        return (
            split_table(request.text, found, seed, request.standardise) if isinstance(found, Table) else found
        )
    if file_kind(known) is not None:
        return file_data_set(request, seed)
    made = own_data_set(known, request) if ":" in known else SOURCES[known](path)
    if isinstance(made, Table):
        return split_table(known, made, seed, request.standardise)
    if isinstance(made, Images):
        return split_images(known, made, seed)
    return made if isinstance(made, DataSet) else _as_it_is(known, made)


def as_data_set(data: Given, *, seed: int = 0, standardise: bool = True) -> DataSet:
    """What is given in Python: a data set or its name, a Dataset, inputs with targets, or three such parts.

    Without ``standardise``, numbers stay what they are, but for those of a name.

    Raises:
        NarrowerError: as ``load_data_set``.
    """
    if isinstance(data, DataSet):
        return data
    if isinstance(data, str):
        return load_data_set(data, seed=seed)
    name = type(data).__name__
    request = DataRequest(name, standardise=None if standardise else "no")
    made = given_data_set(f"data ({name})", name, data, request)
    return split_table(name, made, seed, request.standardise) if isinstance(made, Table) else made


def split_table(name: str, table: Table, seed: int, standardise: str | None = None) -> DataSet:
    """Split at random into 64 % training, 16 % validation and 20 % test.

    Real numbers are standardised by the training part unless ``standardise`` is "no".

    Raises:
        DataError: too few samples for three parts.
    """
    indices = split_indices(len(table.targets), seed)
    if min(len(part) for part in indices) == 0:
        raise DataError(f"data set {name!r} has {len(table.targets)} samples: too few for three parts")
    held = [standardised([each[i] for i in indices], standardise) for each in (table.inputs, *table.more)]
    parts = []
    for number, i in enumerate(indices):
        first, *more = (torch.from_numpy(of_parts[number]) for of_parts, _ in held)
        targets = torch.from_numpy(table.targets[i])
        parts.append(Part(first, targets, tuple(more), table.task))  # type: ignore[arg-type]
    return DataSet(
        name,
        parts[0],
        parts[1],
        parts[2],
        table.output_names,
        table.feature_names,
        notes=table.notes,
        argument_names=table.argument_names,
        prepared=of_arguments([scaling for _, scaling in held], table.feature_names, table.argument_names),
    )


def _as_it_is(name: str, tables: tuple[Table, Table, Table]) -> DataSet:
    parts = [Part(torch.from_numpy(table.inputs), torch.from_numpy(table.targets)) for table in tables]
    names = tables[0].feature_names
    prepared = of_arguments([None], names)
    return DataSet(name, parts[0], parts[1], parts[2], tables[0].output_names, names, prepared=prepared)
