"""Samples from a file, a folder of pictures, or a set of scikit-learn's."""

from dataclasses import replace
from pathlib import Path

from narrower.data.arrays import array_data_set
from narrower.data.drawn_rows import read_columns
from narrower.data.parts import DataSet
from narrower.data.pictures import picture_data_set
from narrower.data.request import SKLEARN, DataRequest, file_kind
from narrower.data.sklearn_sets import TARGET, sklearn_columns
from narrower.data.tables import table_data_set


def file_data_set(request: DataRequest, seed: int) -> DataSet:
    """What a request asks for, in three parts.

    Raises:
        AbsentDataError: it is not here.
        DataError: it cannot be read, or is not what is asked for.
        UnknownNameError: it has no such column.
        MissingExtraError: a package that reads it is not installed.
    """
    kind = file_kind(request.source)
    assert kind is not None
    if kind == "folder":
        return picture_data_set(request, seed)
    if kind == "sklearn":
        columns = sklearn_columns(request.source.removeprefix(SKLEARN))
        data = table_data_set(replace(request, target=request.target or (TARGET,)), columns, seed)
        return replace(data, name=request.text)
    most = None if request.max_samples is None else int(request.max_samples)
    columns, said = read_columns(kind, Path(request.source).expanduser(), most, seed)
    chosen = request.features or [name for name in columns if name not in request.target]
    is_arrays = any(columns[name].ndim > 1 for name in chosen if name in columns)
    data = (array_data_set if is_arrays else table_data_set)(request, columns, seed)
    return replace(data, notes=(*said, *data.notes))
