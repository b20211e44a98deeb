"""The columns of a file as they stand in it: numbers, text, or arrays, by name."""

import csv
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from narrower.data.jsc_files import arff_header
from narrower.errors import AbsentDataError, DataError, MissingExtraError

DELIMITERS = ",;\t|"
MISSING = frozenset(("", "?", "na", "n/a", "nan", "null", "none", "-"))
NESTED = np.dtype("V1")  # of a column of lists or other values that are not read
Columns = dict[str, NDArray[Any]]
_QUOTED = re.compile(r'"[^"]*"')
ROWS = 2  # dimensions of a table


def read_raw(kind: str, path: Path) -> Columns:
    """All columns of a file; text that stands for a missing value is an empty text.

    Raises:
        AbsentDataError: there is no such file.
        DataError: it is damaged, or empty.
        MissingExtraError: a package that reads it is not installed.
    """
    if not path.exists():
        raise AbsentDataError(f"{path}: no such file")
    if not path.is_file():
        raise DataError(f"{path}: not a file")
    columns = READERS[kind](path)
    if not columns:
        raise DataError(f"{path}: holds no columns")
    for name, values in columns.items():
        if values.ndim == 0:
            raise DataError(f"{path}: {name!r} is one number; expected [N, ...], a sample in each row")
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        said = ", ".join(f"{name} {length:,}" for name, length in lengths.items())
        raise DataError(f"{path}: the columns differ in length: {said[:300]}")
    if not next(iter(lengths.values())):
        raise DataError(f"{path}: a heading without rows")
    return columns


def _csv(path: Path) -> Columns:
    with readable(path, "CSV"), path.open(newline="", encoding="utf-8-sig") as file:
        delimiter = _delimiter(file)
        file.seek(0)
        reader = csv.reader(file, delimiter=delimiter, skipinitialspace=True)
        head = [name.strip() for name in next(reader, [])]
        if not head or not any(head):
            raise DataError(f"{path}: empty, expected a heading and rows")
        if all(_is_number(name if delimiter == "," else name.replace(",", ".")) for name in head):
            raise DataError(
                f"{path}: the first line holds numbers alone, {', '.join(head)[:60]}: a heading that names "
                "the "
                "columns is needed"
            )
        return _of_rows(path, head, reader, lambda: reader.line_num)


def _delimiter(file: TextIO) -> str:
    """What parts columns: another sign than a comma where heading and first row have as many of it."""
    heading, row = file.readline(), file.readline()
    often = {sign: _count(heading, sign) for sign in DELIMITERS}
    agreed = {sign: count for sign, count in often.items() if sign != "," and count == _count(row, sign) > 0}
    return max(agreed or often, key=often.__getitem__)


def _count(line: str, sign: str) -> int:
    """How often a sign stands in a line outside of quotes."""
    return _QUOTED.sub("", line).count(sign)


def parts_by_commas(path: Path) -> bool:
    """Whether commas part the columns of a CSV file, so that numbers have none."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        return _delimiter(file) == ","


def _arff(path: Path) -> Columns:
    names, skipped = arff_header(path)
    with readable(path, "ARFF"), path.open(newline="", encoding="utf-8-sig") as file:
        lines = (line for number, line in enumerate(file, start=1) if number > skipped)
        kept = (line for line in lines if line.strip() and not line.lstrip().startswith("%"))
        reader = csv.reader(kept, quotechar="'", skipinitialspace=True)
        return _of_rows(path, names, reader, lambda: skipped + reader.line_num)


def _of_rows(path: Path, names: list[str], rows: Iterable[list[str]], line: Callable[[], int]) -> Columns:
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise DataError(f"{path}: two columns are called {min(twice)!r}")
    lists: list[list[str]] = [[] for _ in names]
    for row in rows:
        if not row:
            continue
        if len(row) != len(names):
            raise DataError(
                f"{path}: line {line():,} has {len(row)} values, and there are {len(names)} columns"
            )
        for values, value in zip(lists, row, strict=True):
            values.append(value)
    return {
        name or f"column {i}": _of_texts(values)
        for i, (name, values) in enumerate(zip(names, lists, strict=True))
    }


def _of_texts(texts: list[str]) -> NDArray[Any]:
    stripped = [text.strip() for text in texts]
    return np.array(["" if text.lower() in MISSING else text for text in stripped], dtype=object)


def _parquet(path: Path) -> Columns:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError:
        raise MissingExtraError("pyarrow", "parquet", "reading Parquet files") from None
    try:
        table = parquet.read_table(path)
    except (ArrowException, OSError) as error:
        raise DataError(f"{path}: not a whole Parquet file: {error}") from error
    return arrow_columns(table)


def arrow_columns(table: Any) -> Columns:
    """The columns of a table of pyarrow's; ``NESTED`` where one holds no numbers, text or times."""
    from pyarrow import types

    found = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        kind = column.type.value_type if types.is_dictionary(column.type) else column.type
        if types.is_string(kind) or types.is_large_string(kind):
            found[name] = _of_texts(["" if text is None else text for text in column.to_pylist()])
        elif types.is_temporal(kind):
            found[name] = column.to_numpy().astype("datetime64[us]")
        elif types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind):
            found[name] = column.to_numpy()
        elif types.is_decimal(kind):
            found[name] = np.array([np.nan if v is None else float(v) for v in column.to_pylist()])
        else:
            found[name] = np.zeros(len(column), dtype=NESTED)
        if found[name].dtype == object and types.is_boolean(kind):  # some are missing
            found[name] = np.array([np.nan if v is None else float(v) for v in found[name]])
    return found


def _npz(path: Path) -> Columns:
    with readable(path, "NPZ"), path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        return {name: _plain(archive[name]) for name in archive.files}


def _npy(path: Path) -> Columns:
    with readable(path, "NPY"):
        return columns_of_array(np.load(path, allow_pickle=False))


def columns_of_array(array: NDArray[Any]) -> Columns:
    """The fields of rows with names, the columns of a table, or one array of samples."""
    if array.dtype.names:
        return {name: _plain(array[name]) for name in array.dtype.names}
    if array.ndim == 1:
        return {"column 0": _plain(array)}
    if array.ndim == ROWS:
        return {f"column {number}": _plain(array[:, number]) for number in range(array.shape[1])}
    return {"array": _plain(array)}


def _hdf5(path: Path) -> Columns:
    try:
        import h5py
    except ImportError:
        raise MissingExtraError("h5py", "hdf5", "reading HDF5 files") from None
    found: Columns = {}

    def take(name: str, held: Any) -> None:
        if isinstance(held, h5py.Dataset):
            array = held[()]
            names = getattr(array, "dtype", np.dtype(float)).names
            if names:
                found.update({field: _plain(array[field]) for field in names})
            elif np.ndim(array):
                found[name] = _plain(array)

    with readable(path, "HDF5"), h5py.File(path, "r") as file:
        file.visititems(take)
    return found


def _plain(array: NDArray[Any]) -> NDArray[Any]:
    if array.dtype.kind in "SU" or (array.dtype == object and array.ndim == 1):
        decoded = [v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in array.tolist()]
        return _of_texts(decoded)
    return array


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


@contextmanager
def readable(path: Path, what: str) -> Iterator[None]:
    """Say of a file that its reader stumbles over that it is damaged."""
    try:
        yield
    except (DataError, MissingExtraError):
        raise
    except Exception as error:  # damaged files raise whatever their readers raise
        raise DataError(f"{path}: not a whole {what} file: {error}") from error


READERS: dict[str, Callable[[Path], Columns]] = {
    "csv": _csv,
    "arff": _arff,
    "parquet": _parquet,
    "npz": _npz,
    "npy": _npy,
    "hdf5": _hdf5,
}
