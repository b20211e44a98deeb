"""Named columns from a local file, whose content says whether it is HDF5, NPZ, ARFF or CSV."""

import csv
import re
import warnings
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrower.errors import AbsentDataError, DataError, MissingExtraError

HDF5_TABLE = "t_allpar_new"
READ = "HDF5, NPZ, ARFF and CSV"
HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
HDF5_PLACES = (0, 512, 1024, 2048)  # where the format allows the signature to stand
OTHERS = {
    b"\x1f\x8b": "compressed with gzip; unpack it first",
    b"PAR1": "a Parquet file; the same table is there as ARFF and CSV",
    b"\x80": "a Python pickle, which could run any code and is never read",
    b"root": "a ROOT file; the same table is there as HDF5",
}
ARFF_ATTRIBUTE = re.compile(
    r"""@attribute\s+('(?P<one>[^']*)'|"(?P<two>[^"]*)"|(?P<bare>\S+))""", re.IGNORECASE
)
HEADER_LINES = 10_000  # of an ARFF file at most
TEXT_WIDTH = 32  # characters of a class

Columns = dict[str, NDArray[Any]]
Choice = Callable[[Sequence[str]], Iterable[str]]


def read_columns(path: Path, chosen: Choice, is_text: Callable[[str], bool]) -> Columns:
    """The columns that ``chosen`` takes of all names; those of ``is_text`` are not numbers.

    Raises:
        AbsentDataError: there is no such file.
        DataError: it is none of these kinds, or damaged.
        MissingExtraError: an HDF5 file without h5py.
    """
    kind = _kind(path)
    if kind == "hdf5":
        return _hdf5(path, chosen)
    if kind == "npz":
        return _npz(path)
    names, skipped = (arff_header if kind == "arff" else _csv_header)(path)
    wanted = [name for name in dict.fromkeys(chosen(names)) if name in names]
    if not wanted:
        raise DataError(f"{path}: none of the columns that are looked for; found: {', '.join(names)[:300]}")
    return _text(path, names, wanted, is_text, skipped, "%" if kind == "arff" else None)


def _kind(path: Path) -> str:
    if not path.exists():
        raise AbsentDataError(f"{path}: no such file")
    if not path.is_file():
        raise DataError(f"{path}: not a file; read are {READ}")
    try:
        with path.open("rb") as file:
            head = file.read(max(HDF5_PLACES) + len(HDF5_SIGNATURE))
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    if any(head[place:].startswith(HDF5_SIGNATURE) for place in HDF5_PLACES):
        return "hdf5"
    if head.startswith(b"PK\x03\x04"):
        return "npz"
    for signature, found in OTHERS.items():
        if head.startswith(signature):
            raise DataError(f"{path}: {found}; read are {READ}")
    if b"\0" in head:
        raise DataError(f"{path}: its content is none of what is read: {READ}")
    lines = (line.strip() for line in head.decode("utf-8-sig", "replace").splitlines())
    first = next((line for line in lines if line and not line.startswith("%")), "")
    return "arff" if first.lower().startswith("@relation") else "csv"


def _csv_header(path: Path) -> tuple[list[str], int]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            header = next(reader, [])
            skipped = reader.line_num
    except (ValueError, OSError, csv.Error) as error:
        raise DataError(f"{path}: not a CSV table: {error}") from error
    if not header:
        raise DataError(f"{path}: empty, expected a heading and rows")
    return [name.strip().strip("'\"") for name in header], skipped


def arff_header(path: Path) -> tuple[list[str], int]:
    """The names of the columns of an ARFF file, and how many lines lie before its rows."""
    names = []
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(islice(file, HEADER_LINES), start=1):
                if attribute := ARFF_ATTRIBUTE.match(line.strip()):
                    names.append(
                        next(name for name in attribute.group("one", "two", "bare") if name is not None)
                    )
                if line.strip().lower().startswith("@data"):
                    return names, number
    except (ValueError, OSError) as error:
        raise DataError(f"{path}: not an ARFF table: {error}") from error
    raise DataError(f"{path}: an ARFF header without @DATA")


def _text(
    path: Path,
    names: Sequence[str],
    wanted: Sequence[str],
    is_text: Callable[[str], bool],
    skipped: int,
    comments: str | None,
) -> Columns:
    kinds = [(name, f"U{TEXT_WIDTH}" if is_text(name) else "f4") for name in wanted]
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*input contained no data", category=UserWarning)
            table = np.loadtxt(
                path,
                dtype=kinds,
                delimiter=",",
                skiprows=skipped,
                usecols=[names.index(name) for name in wanted],
                comments=comments,
                quotechar='"',
                ndmin=1,
                encoding="utf-8-sig",
            )
    except (ValueError, OSError) as error:
        raise DataError(f"{path}: not a table of these columns: {error}") from error
    return {name: table[name] for name in wanted}


def _npz(path: Path) -> Columns:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except Exception as error:  # a damaged archive raises whatever zipfile and the array parser raise
        raise DataError(f"{path}: not an NPZ file of plain arrays: {error}") from error


def _hdf5(path: Path, chosen: Choice) -> Columns:
    """Columns of the table ``t_allpar_new``; rows that repeat another are left out.

    The public file has a row for each particle of a jet, and the jet's own values in every one of them: jets
    that were there several times would be in the training part and in the test part.
    """
    try:
        import h5py
    except ImportError:
        raise MissingExtraError("h5py", "hdf5", "reading HDF5 files") from None
    try:
        with h5py.File(path, "r") as file:
            rows = _rows(path, file, chosen)
    except DataError:
        raise
    except Exception as error:  # a damaged file raises OSError, KeyError, RuntimeError and others
        raise DataError(f"{path}: not a whole HDF5 file: {error}") from error
    columns = rows.dtype.names or ()
    if len(rows) and columns:
        packed = np.ascontiguousarray(rows).view(f"V{rows.dtype.itemsize}")
        _, first = np.unique(packed, return_index=True)
        rows = rows[np.sort(first)]
    return {name: rows[name] for name in columns}


def _rows(path: Path, file: Any, chosen: Choice) -> NDArray[Any]:
    if HDF5_TABLE not in file:
        raise DataError(f"{path}: no table {HDF5_TABLE!r}; it holds: {', '.join(file) or 'nothing'}")
    table = file[HDF5_TABLE]
    names = getattr(table, "dtype", np.dtype(float)).names
    if names is None or len(table.shape) != 1:
        raise DataError(f"{path}: {HDF5_TABLE!r} is no table with named columns")
    wanted = [name for name in dict.fromkeys(chosen(names)) if name in names]
    rows: NDArray[Any] = table.fields(wanted)[()] if wanted else np.empty(0, dtype=[])
    return rows
