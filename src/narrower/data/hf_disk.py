"""Samples of a folder that the package datasets of HuggingFace saved to disk; it need not be installed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrower.data.given_data import PART_NAMES, given_data_set
from narrower.data.parts import DataSet
from narrower.data.request import HF_DISK, DataRequest
from narrower.data.sources import Table
from narrower.data.splitting import split_in_two
from narrower.data.torch_sets import TARGETS, target_among
from narrower.errors import AbsentDataError, DataError, MissingExtraError, unknown_name

SPLITS = {"train": ("train",), "validation": ("validation", "valid", "val", "dev"), "test": ("test",)}
Columns = dict[str, Any]


def hf_disk_data_set(request: DataRequest, seed: int) -> DataSet | Table:
    """What ``save_to_disk`` wrote: its own parts, where it has them.

    Columns of text are left out. Where there is no validation part, it is taken out of that for training.

    Raises:
        AbsentDataError: there is no such folder.
        DataError: it cannot be read, or has no usable columns.
        MissingExtraError: pyarrow is not installed.
    """
    folder = Path(request.source.removeprefix(HF_DISK)).expanduser()
    where = f"data set {request.source!r}"
    if not folder.is_dir():
        raise AbsentDataError(f"{where}: there is no folder {folder}")
    places = _parts(where, folder)
    parts = {part: _chosen(where, request, _columns(where, place)) for part, place in places.items()}
    first = next(iter(parts.values()))
    made: Any = first
    notes: list[str] = []
    if len(parts) > 1:
        if "validation" not in parts:
            train, validation = split_in_two(_count(parts["train"]), seed)
            parts |= {"train": _at(parts["train"], train), "validation": _at(parts["train"], validation)}
            notes.append("it has no validation part: 20 % of the training part, drawn at random, are that")
        made = {part: parts[part] for part in PART_NAMES}
    found = given_data_set(where, request.text, made, request)
    names = _class_names(next(iter(places.values())), target_among(first, request.target))
    return _named(found, names, notes)


def _parts(where: str, folder: Path) -> dict[str, Path]:
    """The folder of each part, or the one that is all."""
    described = folder / "dataset_dict.json"
    if not described.is_file():
        if not (folder / "state.json").is_file():
            raise DataError(f"{where}: {folder} has no state.json; save_to_disk of datasets writes one")
        return {"all": folder}
    splits = _json(where, described).get("splits", [])
    found = {
        part: folder / name for part, names in SPLITS.items() for name in splits if str(name).lower() in names
    }
    if "train" not in found or "test" not in found:
        raise DataError(f"{where}: has the parts {splits}; needed are train and test, or one folder")
    return found


def _columns(where: str, folder: Path) -> Columns:
    try:
        import pyarrow as pa
    except ImportError:
        raise MissingExtraError("pyarrow", "parquet", where) from None
    state = _json(where, folder / "state.json")
    if state.get("_indices_data_files"):
        raise DataError(f"{where}: is a selection of rows; flatten_indices() before save_to_disk writes it")
    tables = []
    for file in state.get("_data_files", []):
        path = folder / Path(str(file.get("filename"))).name
        try:
            with pa.memory_map(str(path)) as source:
                tables.append(pa.ipc.open_stream(source).read_all())
        except (OSError, pa.ArrowInvalid) as error:
            raise DataError(f"{where}: {path.name} cannot be read: {error}") from error
    if not tables:
        raise DataError(f"{where}: names no files of samples")
    table = pa.concat_tables(tables)
    return {name: _values(table.column(name)) for name in table.column_names}


def _values(column: Any) -> Any:
    """Numbers as an array; everything else as it is in Python."""
    import pyarrow as pa

    kind = column.type
    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    if is_number and column.null_count == 0:
        return column.to_numpy()
    return column.to_pylist()


def _chosen(where: str, request: DataRequest, columns: Columns) -> Columns:
    """The target, and what of the other columns can go into a model."""
    target = target_among(columns, request.target)
    for name in (*request.features, *request.target):
        if name not in columns:
            raise unknown_name(f"column of {request.source!r}", name, columns)
    names = request.features or tuple(n for n, v in columns.items() if n not in TARGETS and _is_numeric(v))
    kept = [*names, *([target] if target is not None and target not in names else [])]
    if not names:
        raise DataError(f"{where}: none of its columns holds numbers: {', '.join(columns)}")
    return {name: columns[name] for name in kept}


def _is_numeric(values: Any) -> bool:
    if isinstance(values, np.ndarray):
        return values.dtype.kind in "iufb"
    first: Any = values[0] if len(values) else None
    while isinstance(first, list) and first:
        first = first[0]
    return isinstance(first, int | float)


def _count(columns: Columns) -> int:
    return len(next(iter(columns.values())))


def _at(columns: Columns, rows: NDArray[np.int64]) -> Columns:
    return {
        name: values[rows] if isinstance(values, np.ndarray) else [values[row] for row in rows]
        for name, values in columns.items()
    }


def _class_names(folder: Path, target: str | None) -> tuple[str, ...]:
    """The names of classes, where the folder says them."""
    described = folder / "dataset_info.json"
    if target is None or not described.is_file():
        return ()
    feature = (_json(str(folder), described).get("features") or {}).get(target) or {}
    names = feature.get("names") if isinstance(feature, Mapping) else None
    return tuple(map(str, names)) if isinstance(names, list) else ()


def _named(data: DataSet | Table, names: tuple[str, ...], notes: Sequence[str]) -> DataSet | Table:
    fits = len(names) == len(data.output_names)
    said = (*data.notes, *notes)
    if isinstance(data, Table):
        return replace(data, notes=said, output_names=names if fits else data.output_names)
    return replace(data, notes=said, output_names=names if fits else data.output_names, content_hash="")


def _json(where: str, path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{where}: {path.name} cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise DataError(f"{where}: {path.name} is no table")
    return found
