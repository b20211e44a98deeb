"""Where the samples of the built-in data sets come from, before they are split and standardised."""

import csv
import socket
import urllib.error
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrower.errors import DataError, MissingExtraError

JSC_OPENML_ID = 42468
JSC_CLASSES = ("g", "q", "t", "w", "z")
NETWORK_TIMEOUT_SECONDS = 5.0
# Columns as the public table and its HDF5 form name them.
JSC_FEATURES = (
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


@dataclass(frozen=True)
class Table:
    """Raw samples: inputs [N, ...], classes [N]."""

    inputs: NDArray[np.float32]
    targets: NDArray[np.int64]
    class_names: tuple[str, ...]


def jets(_path: Path | None = None) -> Table:
    """The jets that ship with the package (docs/datasets.md)."""
    with resources.files("narrower.tasks").joinpath("data/jets.npz").open("rb") as file:
        archive = np.load(file, allow_pickle=False)
        return Table(
            np.ascontiguousarray(archive["features"]),
            archive["labels"].astype(np.int64),
            tuple(archive["class_names"].tolist()),
        )


def digits(_path: Path | None = None) -> Table:
    """Scikit-learn's digits as [N, 1, 8, 8] in 0 to 16."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return Table(
        bunch.images[:, None].astype(np.float32), bunch.target.astype(np.int64), tuple(map(str, range(10)))
    )


def digits32(_path: Path | None = None) -> Table:
    """The digits scaled bilinearly to [N, 3, 32, 32]: three equal channels."""
    import torch

    small = digits()
    large = torch.nn.functional.interpolate(torch.from_numpy(small.inputs), size=(32, 32), mode="bilinear")
    return Table(large.expand(-1, 3, -1, -1).contiguous().numpy(), small.targets, small.class_names)


def jsc(path: Path | None = None) -> Table:
    """The public table of jets, from OpenML (cached by scikit-learn) or from a local file.

    Raises:
        DataError: no network, or a file that is not this table.
    """
    if path is None:
        return _from_columns(_openml_columns(), f"OpenML {JSC_OPENML_ID}")
    readers = {".csv": _csv_columns, ".npz": _npz_columns, ".h5": _hdf5_columns, ".hdf5": _hdf5_columns}
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise DataError(f"{path}: expected a file ending in {', '.join(readers)}")
    return _from_columns(reader(path), str(path))


def _openml_columns() -> dict[str, NDArray[Any]]:
    from sklearn.datasets import fetch_openml

    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(NETWORK_TIMEOUT_SECONDS)
    try:
        bunch = fetch_openml(
            data_id=JSC_OPENML_ID, as_frame=False, parser="liac-arff", n_retries=0, delay=0.0
        )
    except (urllib.error.URLError, OSError, ValueError) as error:
        raise DataError(
            f"the data set 'jsc' (OpenML {JSC_OPENML_ID}) cannot be downloaded: {error}. Without a network "
            "use the data set 'jets', which ships with the package, or a local copy with --data-path "
            "(HDF5, CSV, NPZ)"
        ) from error
    finally:
        socket.setdefaulttimeout(before)
    columns = {str(name): bunch.data[:, i] for i, name in enumerate(bunch.feature_names)}
    return {**columns, "class": np.asarray(bunch.target)}


def _csv_columns(path: Path) -> dict[str, NDArray[Any]]:
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows:
        raise DataError(f"{path}: no rows")
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def _npz_columns(path: Path) -> dict[str, NDArray[Any]]:
    """Either one array for each column, or ``features``, ``labels``, ``feature_names``, ``class_names``."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not a plain NPZ file: {error}") from error
    if "features" in arrays and "labels" in arrays:
        names = arrays["feature_names"].tolist() if "feature_names" in arrays else list(JSC_FEATURES)
        classes = arrays["class_names"] if "class_names" in arrays else np.array(JSC_CLASSES)
        columns = {name: arrays["features"][:, i] for i, name in enumerate(names)}
        return {**columns, "class": classes[arrays["labels"].astype(int)]}
    return arrays


def _hdf5_columns(path: Path) -> dict[str, NDArray[Any]]:
    """The structured array ``t_allpar_new`` with one 0/1 column ``j_<class>`` for each class."""
    try:
        import h5py
    except ImportError:
        raise MissingExtraError("h5py", "hdf5", "reading HDF5 files") from None
    with h5py.File(path, "r") as file:
        if "t_allpar_new" not in file:
            raise DataError(f"{path}: no table 't_allpar_new'; it holds: {', '.join(file)}")
        table = file["t_allpar_new"][()]
    return {name: table[name] for name in table.dtype.names}


def _from_columns(columns: dict[str, NDArray[Any]], where: str) -> Table:
    names = [name if name in columns else f"j_{name}" for name in JSC_FEATURES]
    missing = [name for name in names if name not in columns]
    if missing:
        raise DataError(f"{where}: no column {missing[0]!r} ({len(missing)} of 16 features are missing)")
    try:
        inputs = np.stack([np.asarray(columns[name], dtype=np.float32) for name in names], axis=1)
    except ValueError as error:
        raise DataError(f"{where}: a feature is no number: {error}") from error
    if not np.isfinite(inputs).all():
        raise DataError(f"{where}: features hold NaN or infinity")
    return Table(inputs, _classes(columns, where), JSC_CLASSES)


def _classes(columns: dict[str, NDArray[Any]], where: str) -> NDArray[np.int64]:
    one_hot = [f"j_{name}" for name in JSC_CLASSES]
    if all(name in columns for name in one_hot):
        indicators = np.stack([np.asarray(columns[name], dtype=np.float32) for name in one_hot], axis=1)
        winners: NDArray[np.int64] = np.argmax(indicators, axis=1)
        return winners
    if "class" not in columns:
        raise DataError(f"{where}: neither a column 'class' nor the columns {', '.join(one_hot)}")
    labels = np.asarray(columns["class"]).astype(str)
    unknown = sorted(set(labels) - set(JSC_CLASSES))
    if unknown:
        raise DataError(f"{where}: class {unknown[0]!r}; expected {', '.join(JSC_CLASSES)}")
    return np.searchsorted(np.array(JSC_CLASSES), labels).astype(np.int64)
