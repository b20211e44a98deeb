"""How much memory a file takes that is larger than it: a table of 20 GiB, NPY and sparse, in ``narrower``.

    python benchmarks/large_file.py [--json] [--gib N]

- ``file_gib``: the size of the file, 17 columns in single precision; of each 64 MiB one is written, the rest
  are holes that read as zeros and take no room on the disk
- ``data_peak_mib``: the most memory that ``narrower data`` of it held at a time, pages of the file included
- ``parquet_peak_mib``: that of ``narrower data`` of a Parquet file of 4 GiB as numbers, most of them zeros
- ``search_peak_mib``: the same of ``narrower search``: a training of one epoch, 100 plans

Seconds are given beside, ``data_seconds`` and so on; the files are written to a temporary folder.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow
from pyarrow import parquet

COLUMNS = 17  # 16 features and a class
PARQUET_GIB = 4  # it is written and packed as a whole
EACH, WRITTEN = 2**26, 2**20  # bytes
CONFIG = """
model = "jsc-toy"
dataset = "{path}?target=column 16&task=classification"
project = "large"
max_epochs = 1

[search.search_space]
name = "quantize"

[search.search_space.seed.default.config]
name = ["integer"]
data_in_width = [4, 8]
data_in_frac_width = [2]
weight_width = [2, 4, 8]
weight_frac_width = [2]
bias_width = [8]
bias_frac_width = [4]

[search.strategy.setup]
n_trials = 100
sampler = "random"

[search.strategy.metrics]
accuracy = {{}}
bitops = {{}}
"""


def write_sparse(path: Path, gib: float) -> None:
    """A table of noise here and there, whose class says whether the first column is above zero."""
    rows = int(gib * 2**30) // (4 * COLUMNS)
    array = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(rows, COLUMNS))
    offset = array.offset
    del array
    chance = np.random.default_rng(0)
    row_bytes = 4 * COLUMNS
    with path.open("r+b") as file:
        for start in range(0, rows - WRITTEN // row_bytes, EACH // row_bytes):
            block = chance.normal(size=(WRITTEN // row_bytes, COLUMNS)).astype(np.float32)
            block[:, -1] = block[:, 0] > 0
            file.seek(offset + start * row_bytes)
            file.write(block.tobytes())


def write_parquet(path: Path, gib: float) -> None:
    """The same shape, a part of each group of rows being noise: what is equal takes little room."""
    rows, of_a_group = int(gib * 2**30) // (4 * COLUMNS), 2**20
    values = np.zeros((of_a_group, COLUMNS), dtype=np.float32)
    values[:: EACH // WRITTEN] = np.random.default_rng(0).normal(size=values[:: EACH // WRITTEN].shape)
    values[:, -1] = values[:, 0] > 0
    table = pyarrow.table({f"column {number}": values[:, number] for number in range(COLUMNS)})
    with parquet.ParquetWriter(path, table.schema) as writer:
        for _ in range(rows // of_a_group):
            writer.write_table(table)


def peak_of(arguments: list[str], folder: Path) -> tuple[float, float]:
    """The peak of a command in MiB, and its seconds."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "narrower", *arguments]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, env={**os.environ})
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)}: exit status {os.waitstatus_to_exitcode(status)}")
    return used.ru_maxrss / 1024, time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--gib", type=float, default=20)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "large.npy"
        write_sparse(path, given.gib)
        (folder / "large.toml").write_text(CONFIG.format(path=path))
        data = peak_of(["data", str(path), "--target", "column 16"], folder)
        packed = folder / "large.parquet"
        write_parquet(packed, min(given.gib, PARQUET_GIB))
        parquet_data = peak_of(["data", str(packed), "--target", "column 16"], folder)
        search = peak_of(["search", "--config", "large.toml"], folder)
    rows = {
        "file_gib": given.gib,
        "data_peak_mib": round(data[0]),
        "data_seconds": round(data[1], 1),
        "parquet_peak_mib": round(parquet_data[0]),
        "parquet_seconds": round(parquet_data[1], 1),
        "search_peak_mib": round(search[0]),
        "search_seconds": round(search[1], 1),
    }
    print(json.dumps(rows) if given.json else "\n".join(f"{row}: {value}" for row, value in rows.items()))


if __name__ == "__main__":
    main()
