"""Some rows of a file that is larger than memory, drawn evenly over it and read piece by piece."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrower.data.decimal_commas import numbers_of_quoted, plain_numbers
from narrower.data.raw_columns import (
    Columns,
    arrow_columns,
    columns_of_array,
    parts_by_commas,
    read_raw,
    readable,
)
from narrower.data.unit_signs import without_signs
from narrower.errors import DataError, MissingExtraError

LARGE = 2**30  # bytes of content: a file with more is drawn from where nobody says how many rows
DRAWN = 2**26  # bytes of the rows that are drawn then, as numbers in double precision
PIECE = 2**26  # bytes that are mapped into memory at a time
BATCH = 65_536  # rows of a Parquet file that are read at a time
DOUBLE = 8  # bytes
NAMES = {"npy": "NPY", "parquet": "Parquet"}

Rows = NDArray[np.int64]


def read_columns(kind: str, path: Path, most: int | None, seed: int) -> tuple[Columns, list[str]]:
    """The columns of a file, of ``most`` rows at most, and what is to be said of rows that were left out.

    NPY and Parquet files with more content than 1 GiB are never read as a whole unless ``most`` asks for it:
    as many rows are drawn as take 64 MiB in double precision.

    Raises:
        NarrowerError: as ``read_raw``.
    """
    if kind not in NAMES or not path.is_file():
        columns, notes = _all_columns(kind, path)
        count = len(next(iter(columns.values())))
        if most is None or count <= most:
            return columns, notes
        rows = drawn_rows(count, most, seed)
        return {name: values[rows] for name, values in columns.items()}, [*notes, _said(count, most)]
    count, width = _size(kind, path)
    wanted = most
    if most is None and count * width > LARGE:
        wanted = max(DRAWN // width, 1)
    if wanted is None or count <= wanted:
        return read_raw(kind, path), []
    rows = drawn_rows(count, wanted, seed)
    read = _npy if kind == "npy" else _parquet
    with readable(path, NAMES[kind]):
        columns = read(path, rows)
    return columns, [_said(count, wanted, None if most is not None else count * width)]


def _all_columns(kind: str, path: Path) -> tuple[Columns, list[str]]:
    columns, notes = without_signs(read_raw(kind, path))
    if kind != "csv":
        return columns, notes
    found, said = numbers_of_quoted(columns) if parts_by_commas(path) else plain_numbers(columns)
    return found, [*notes, *said]


def _said(count: int, drawn: int, size: int | None = None) -> str:
    why = (
        "" if size is None else f" ({size / 2**30:.1f} GiB as numbers); max_samples = N takes another number"
    )
    return f"{drawn:,} of {count:,} rows were drawn, evenly over the file{why}"


def drawn_rows(count: int, wanted: int, seed: int) -> Rows:
    """So many of ``count`` rows, in their order: one at random out of each of as many equal stretches."""
    starts = np.arange(wanted + 1, dtype=np.int64) * (count // wanted)
    starts += np.minimum(np.arange(wanted + 1, dtype=np.int64), count % wanted)
    # Raw output of a bit generator is the only NumPy stream that is promised never to change.
    chance = np.random.PCG64(seed).random_raw(wanted)
    return starts[:-1] + (chance % np.diff(starts).astype(np.uint64)).astype(np.int64)


def _size(kind: str, path: Path) -> tuple[int, int]:
    """The number of rows of a file, and the bytes that one takes in double precision."""
    with readable(path, NAMES[kind]):
        if kind == "npy":
            with path.open("rb") as file:
                version = np.lib.format.read_magic(file)
                head = np.lib.format.read_array_header_1_0 if version == (1, 0) else None
                shape, _, kind_of_number = (head or np.lib.format.read_array_header_2_0)(file)
            fields = len(kind_of_number.names or (0,))
            return (shape[0] if shape else 1), DOUBLE * fields * int(np.prod(shape[1:], dtype=np.int64))
        described = _parquet_file(path).metadata
        return described.num_rows, DOUBLE * described.num_columns


def _npy(path: Path, rows: Rows) -> Columns:
    """Mapped anew for each piece: pages that were read count as the program's own until they are let go."""
    whole = np.load(path, mmap_mode="r", allow_pickle=False)
    found = np.empty((len(rows), *whole.shape[1:]), dtype=whole.dtype)
    step = max(PIECE * len(whole) // max(whole.nbytes, 1), 1)
    for start, stop, own in _pieces(len(whole), step, rows):
        whole = np.load(path, mmap_mode="r", allow_pickle=False)
        found[own] = whole[start:stop][rows[own] - start]
    return columns_of_array(found)


def _pieces(count: int, step: int, rows: Rows) -> Iterator[tuple[int, int, slice]]:
    """Where pieces begin and end, and which of the rows lie there."""
    for start in range(0, count, step):
        stop = min(start + step, count)
        first, last = np.searchsorted(rows, [start, stop])
        if first < last:
            yield start, stop, slice(int(first), int(last))


def _parquet(path: Path, rows: Rows) -> Columns:
    import pyarrow

    file, tables, start = _parquet_file(path), [], 0
    for batch in file.iter_batches(batch_size=BATCH, use_threads=False):
        stop = start + batch.num_rows
        first, last = np.searchsorted(rows, [start, stop])
        if first < last:
            chosen = pyarrow.array(rows[first:last] - start)
            tables.append(pyarrow.Table.from_batches([batch]).take(chosen))
        start = stop
    if not tables:
        raise DataError(f"{path}: a heading without rows")
    return arrow_columns(pyarrow.concat_tables(tables))


def _parquet_file(path: Path) -> Any:
    try:
        from pyarrow import parquet
    except ImportError:
        raise MissingExtraError("pyarrow", "parquet", "reading Parquet files") from None
    return parquet.ParquetFile(path, memory_map=True)
