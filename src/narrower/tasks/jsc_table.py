"""The public table of jets, from a local file or from OpenML: columns by name, then features and classes."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrower.errors import DataError, MissingExtraError
from narrower.tasks.openml import openml_columns
from narrower.tasks.sources import Table

CLASSES = ("g", "q", "t", "w", "z")
# As on OpenML; the HDF5 form puts "j_" before each.
FEATURES = (
    "zlogz",
    "c1_b0_mmdt",
    "c1_b1_mmdt",
    "c1_b2_mmdt",
    "c2_b1_mmdt",
    "c2_b2_mmdt",
    "d2_b1_mmdt",
    "d2_b2_mmdt",
    "d2_a1_b1_mmdt",
    "d2_a1_b2_mmdt",
    "m2_b1_mmdt",
    "m2_b2_mmdt",
    "n2_b1_mmdt",
    "n2_b2_mmdt",
    "mass_mmdt",
    "multiplicity",
)
ONE_HOT = tuple(f"j_{name}" for name in CLASSES)
HDF5_TABLE = "t_allpar_new"

Columns = dict[str, NDArray[Any]]


def jsc(path: Path | None = None) -> Table:
    """The table, downloaded once, or read from an HDF5, CSV or NPZ file.

    Raises:
        DataError: no network, or a file that is not this table.
        MissingExtraError: an HDF5 file without h5py.
    """
    if path is None:
        return _from_columns(openml_columns(), "OpenML")
    readers = {".csv": _csv_columns, ".npz": _npz_columns, ".h5": _hdf5_columns, ".hdf5": _hdf5_columns}
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise DataError(f"{path}: expected a file ending in {', '.join(readers)}")
    return _from_columns(reader(path), str(path))


def _csv_columns(path: Path) -> Columns:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            header = next(csv.reader(file), [])
        if not header:
            raise DataError(f"{path}: empty, expected a heading and rows")
        # Text of fixed width, column by column: 830,000 rows as Python strings would take gigabytes.
        table = np.loadtxt(
            path, dtype="U32", delimiter=",", skiprows=1, ndmin=2, quotechar='"', encoding="utf-8"
        )
    except (ValueError, OSError, csv.Error) as error:
        raise DataError(f"{path}: not a CSV table: {error}") from error
    if table.size == 0:
        raise DataError(f"{path}: no rows")
    if table.shape[1] != len(header):
        raise DataError(f"{path}: the heading names {len(header)} columns, the rows have {table.shape[1]}")
    return {name.strip(): table[:, index] for index, name in enumerate(header)}


def _npz_columns(path: Path) -> Columns:
    """Either one array for each column, or ``features`` and ``labels`` as in the package's own jets."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except Exception as error:  # a damaged archive raises whatever zipfile and the array parser raise
        raise DataError(f"{path}: not an NPZ file of plain arrays: {error}") from error
    if not {"features", "labels"} <= arrays.keys():
        return arrays
    features, labels = arrays["features"], arrays["labels"]
    names = arrays["feature_names"].tolist() if "feature_names" in arrays else list(FEATURES)
    classes = arrays.get("class_names", np.array(CLASSES))
    if features.ndim != 2 or features.shape[1] != len(names):  # noqa: PLR2004 - [N, F]
        raise DataError(f"{path}: features has shape {features.shape}, expected [N, {len(names)}]")
    if not np.issubdtype(labels.dtype, np.integer) or labels.min() < 0 or labels.max() >= len(classes):
        raise DataError(f"{path}: labels must be whole numbers from 0 to {len(classes) - 1}")
    return {**{name: features[:, i] for i, name in enumerate(names)}, "class": classes[labels]}


def _hdf5_columns(path: Path) -> Columns:
    """The structured array ``t_allpar_new`` with one 0/1 column ``j_<class>`` for each class."""
    try:
        import h5py
    except ImportError:
        raise MissingExtraError("h5py", "hdf5", "reading HDF5 files") from None
    try:
        with h5py.File(path, "r") as file:
            if HDF5_TABLE not in file:
                raise DataError(f"{path}: no table {HDF5_TABLE!r}; it holds: {', '.join(file)}")
            table = np.asarray(file[HDF5_TABLE][()])
    except OSError as error:
        raise DataError(f"{path}: not an HDF5 file: {error}") from error
    if table.dtype.names is None:
        raise DataError(f"{path}: {HDF5_TABLE!r} has no named columns")
    return {name: table[name] for name in table.dtype.names}


def _from_columns(columns: Columns, where: str) -> Table:
    names = [name if name in columns else f"j_{name}" for name in FEATURES]
    missing = [name.removeprefix("j_") for name in names if name not in columns]
    if missing:
        raise DataError(f"{where}: no column {missing[0]!r} ({len(missing)} of 16 features are missing)")
    lengths = {len(columns[name]) for name in names}
    if len(lengths) > 1:
        raise DataError(f"{where}: the columns differ in length: {sorted(lengths)}")
    try:
        inputs = np.stack([np.asarray(columns[name], dtype=np.float32) for name in names], axis=1)
    except ValueError as error:
        raise DataError(f"{where}: a feature is no number: {error}") from error
    if not np.isfinite(inputs).all():
        raise DataError(f"{where}: features hold NaN or infinity")
    targets = _classes(columns, where)
    if len(targets) != len(inputs):
        raise DataError(f"{where}: {len(inputs)} rows of features, but {len(targets)} classes")
    return Table(inputs, targets, CLASSES, FEATURES)


def _classes(columns: Columns, where: str) -> NDArray[np.int64]:
    if all(name in columns for name in ONE_HOT):
        indicators = np.stack([np.asarray(columns[name], dtype=np.float32) for name in ONE_HOT], axis=1)
        if not (indicators.sum(axis=1) == 1).all():
            raise DataError(f"{where}: a jet is not of exactly one class in {', '.join(ONE_HOT)}")
        winners: NDArray[np.int64] = np.argmax(indicators, axis=1).astype(np.int64)
        return winners
    if "class" not in columns:
        raise DataError(f"{where}: neither a column 'class' nor the columns {', '.join(ONE_HOT)}")
    labels = np.asarray(columns["class"]).astype(str)
    unknown = sorted(set(np.unique(labels).tolist()) - set(CLASSES))
    if unknown:
        raise DataError(f"{where}: class {unknown[0]!r}; expected {', '.join(CLASSES)}")
    return np.searchsorted(np.array(CLASSES), labels).astype(np.int64)
