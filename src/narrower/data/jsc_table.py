"""The public table of jets, from a local file or from OpenML: which columns are features and classes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrower.data.jsc_files import Columns, read_columns
from narrower.data.openml import PUBLIC_FILE, openml_columns
from narrower.data.samples import check_taught
from narrower.data.sources import Table
from narrower.errors import DataError
from narrower.tasks.classification.task import CLASSIFICATION

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
CLASS = "class"


def jsc(path: Path | None = None) -> Table:
    """The table, read from a local file (HDF5, NPZ, ARFF or CSV), or downloaded once.

    Raises:
        AbsentDataError: no such file; or none is given, and there is no network.
        DataError: the file is not this table.
        MissingExtraError: an HDF5 file without h5py.
    """
    if path is None and PUBLIC_FILE.is_file():
        path = PUBLIC_FILE
    if path is None:
        return _from_columns(openml_columns(), "OpenML")
    return _from_columns(_numbered(read_columns(path, _ours, lambda name: name == CLASS), path), str(path))


def _ours(names: Sequence[str]) -> list[str]:
    return [*(_spelled(name, names) for name in FEATURES), *ONE_HOT, CLASS]


def _spelled(name: str, names: Sequence[str]) -> str:
    return name if name in names else f"j_{name}"


def _numbered(columns: Columns, path: Path) -> Columns:
    """Arrays ``features`` and ``labels``, as in the package's own jets, as columns."""
    if not {"features", "labels"} <= columns.keys():
        return columns
    features, labels = columns["features"], columns["labels"]
    names = columns["feature_names"].tolist() if "feature_names" in columns else list(FEATURES)
    classes = columns.get("class_names", np.array(CLASSES))
    if features.ndim != 2 or features.shape[1] != len(names):  # noqa: PLR2004 - [N, F]
        raise DataError(f"{path}: features has shape {features.shape}, expected [N, {len(names)}]")
    if not np.issubdtype(labels.dtype, np.integer) or labels.ndim != 1:
        raise DataError(f"{path}: labels must be whole numbers [N], found {labels.dtype} {labels.shape}")
    if len(labels) and (labels.min() < 0 or labels.max() >= len(classes)):
        raise DataError(f"{path}: labels must be whole numbers from 0 to {len(classes) - 1}")
    return {**{name: features[:, i] for i, name in enumerate(names)}, CLASS: classes[labels]}


def _from_columns(columns: Columns, where: str) -> Table:
    names = [_spelled(name, list(columns)) for name in FEATURES]
    missing = [name.removeprefix("j_") for name in names if name not in columns]
    if missing:
        raise DataError(f"{where}: no column {missing[0]!r} ({len(missing)} of 16 features are missing)")
    if any(columns[name].ndim != 1 for name in names):
        raise DataError(f"{where}: a feature is no column of numbers")
    lengths = {len(columns[name]) for name in names}
    if len(lengths) > 1:
        raise DataError(f"{where}: the columns differ in length: {sorted(lengths)}")
    if lengths == {0}:
        raise DataError(f"{where}: the table has no rows")
    try:
        inputs = np.stack([np.asarray(columns[name], dtype=np.float32) for name in names], axis=1)
    except ValueError as error:
        raise DataError(f"{where}: a feature is no number: {error}") from error
    if not np.isfinite(inputs).all():
        raise DataError(f"{where}: features hold NaN or infinity")
    targets = _classes(columns, where)
    if len(targets) != len(inputs):
        raise DataError(f"{where}: {len(inputs)} rows of features, but {len(targets)} classes")
    check_taught(where, targets, CLASSIFICATION, CLASSES)
    return Table(inputs, targets, CLASSES, FEATURES)


def _classes(columns: Columns, where: str) -> NDArray[np.int64]:
    if all(name in columns for name in ONE_HOT):
        indicators = np.stack([np.asarray(columns[name], dtype=np.float32) for name in ONE_HOT], axis=1)
        if not ((indicators == 1).sum(axis=1) == 1).all() or not np.isin(indicators, (0, 1)).all():
            raise DataError(f"{where}: a jet is not of exactly one class in {', '.join(ONE_HOT)}")
        winners: NDArray[np.int64] = np.argmax(indicators, axis=1).astype(np.int64)
        return winners
    if CLASS not in columns:
        raise DataError(f"{where}: neither a column 'class' nor the columns {', '.join(ONE_HOT)}")
    labels = np.char.strip(_as_text(np.asarray(columns[CLASS])), " '\"")
    unknown = sorted(set(np.unique(labels).tolist()) - set(CLASSES))
    if unknown:
        raise DataError(f"{where}: class {unknown[0]!r}; expected {', '.join(CLASSES)}")
    return np.searchsorted(np.array(CLASSES), labels).astype(np.int64)


def _as_text(labels: NDArray[Any]) -> NDArray[np.str_]:
    if labels.dtype.kind == "S":
        return np.char.decode(labels, "utf-8", "replace")
    if labels.dtype.kind == "O":  # HDF5's text of open length comes as bytes
        return np.array([v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in labels])
    return labels.astype(str)
