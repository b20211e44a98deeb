"""Files that are damaged or meant for something else: one sentence says what is wrong."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from narrower.data.datasets import load_data_set
from narrower.errors import NarrowerError

CHANCE = np.random.default_rng(0)
ROWS = [f"{CHANCE.normal():.3f},{CHANCE.normal():.3f},{row % 2}" for row in range(60)]


def csv(rows: list[str], heading: str = "a,b,y", encoding: str = "utf-8") -> Callable[[], Path]:
    def write() -> Path:
        Path("f.csv").write_text("\n".join([heading, *rows]), encoding=encoding)
        return Path("f.csv")

    return write


def first(row: str) -> list[str]:
    """The rows with another first value in the fourth."""
    return [f"{row},{each.split(',', 1)[1]}" if number == 3 else each for number, each in enumerate(ROWS)]


def last(value: str, where: Callable[[int], bool]) -> list[str]:
    return [each[:-1] + value if where(number) else each for number, each in enumerate(ROWS)]


def raw(name: str, content: bytes) -> Callable[[], Path]:
    def write() -> Path:
        Path(name).write_bytes(content)
        return Path(name)

    return write


def arrays(**values: object) -> Callable[[], Path]:
    def write() -> Path:
        np.savez("f.npz", **values)  # type: ignore[arg-type]
        return Path("f.npz")

    return write


def array(value: object) -> Callable[[], Path]:
    def write() -> Path:
        np.save("f.npy", value)  # type: ignore[arg-type]
        return Path("f.npy")

    return write


def parquet(**columns: object) -> Callable[[], Path]:
    def write() -> Path:
        pq.write_table(pa.table(columns), "f.parquet")
        return Path("f.parquet")

    return write


def without_data() -> Path:
    with h5py.File("f.h5", "w") as file:
        file.create_group("a")
    return Path("f.h5")


def folder(content: bytes | None) -> Callable[[], Path]:
    def write() -> Path:
        for name in ("a", "b"):
            (Path("pictures") / name).mkdir(parents=True)
            if content is not None:
                (Path("pictures") / name / "x.png").write_bytes(content)
        return Path("pictures")

    return write


Y = np.arange(60) % 2
CASES: list[tuple[Callable[[], Path], str, str]] = [
    (csv(ROWS), "?target=z", "unknown column"),
    (csv(ROWS), "?target=y&task=clasification", "did you mean 'classification'"),
    (csv(ROWS), "?target=y&features=y,a", "both target and feature"),
    (csv(ROWS), "?target=y&split=0.5,0.5,0.5", "add up to 1"),
    (csv(ROWS), "?target=y&task=segmentation", "the class of each pixel"),
    (csv(ROWS), "?task=language-modelling", "the tokens of sequences"),
    (csv(ROWS), "?target=y&task=anomalies&normal=q", "allowed: 0, 1"),
    (csv(last("1", lambda _: True)), "?target=y", "all 38 samples are of class '1'"),
    (csv(last("1.5", lambda _: True)), "?target=y", "there is nothing to learn"),
    (csv(last("nan", lambda row: row == 5)), "?target=y", "missing in 1 rows, first in row 6"),
    (csv(last("x", lambda row: row % 7 == 0)), "?target=y", "mixes numbers and text"),
    (csv(first("abc")), "?target=y", "mixes numbers and text"),
    (csv(first("inf")), "?target=y", "infinite in row 4"),
    (csv(first("1e400")), "?target=y", "infinite in row 4"),
    (csv([]), "?target=y", "a heading without rows"),
    (raw("f.csv", b""), "?target=y", "empty"),
    (csv(ROWS[:2]), "?target=y", "too few"),
    (csv([ROWS[0] + ",9", *ROWS]), "?target=y", "line 2 has 4 values"),
    (csv(["1,2", *ROWS]), "?target=y", "line 2 has 2 values"),
    (csv(['"open,' + ROWS[0], *ROWS]), "?target=y", "1 values"),
    (csv(ROWS, "a,a,y"), "?target=y", "two columns are called 'a'"),
    (csv([row + ",é" for row in ROWS], "a,b,y,ü", "latin-1"), "?target=y", "not a whole CSV file"),
    (csv([row + ",g" for row in ROWS], "a,b,y,g"), "?target=y&group=g", "1 groups"),
    (csv([row + ",never" for row in ROWS], "a,b,y,t"), "?target=y&time=t", "a number or a time"),
    (csv([row[-1] for row in ROWS], "y"), "?target=y", "no column is left"),
    (csv([",," + row[-1] for row in ROWS]), "?target=y", "no column is left"),
    (
        csv([f"n{i},{row}" for i, row in enumerate(ROWS)], "id,a,b,y"),
        "?target=id",
        "another value in each row",
    ),
    (raw("f.csv", bytes(range(256))), "?target=y", "not a whole CSV file"),
    (arrays(x=np.array([{}, 1], dtype=object), y=Y), "?target=y", "not a whole NPZ file"),
    (arrays(x=np.zeros((10, 3)), y=np.arange(9)), "?target=y", "differ in length"),
    (arrays(x=np.full((60, 3), np.nan), y=Y), "?target=y", "NaN or infinity"),
    (arrays(x=np.zeros((60, 3), complex), y=Y), "?target=y", "must be numbers"),
    (arrays(x=np.zeros((60, 3)), y=np.float32(1)), "?target=y", "is one number"),
    (raw("f.npz", b"PK\x03\x04xx"), "?target=y", "not a whole NPZ file"),
    (array(np.float32(3)), "", "is one number"),
    (array(np.arange(20)), "?target=y", "unknown column"),
    (raw("f.npy", b"\x93NUMPY\x01\x00v\x00{"), "?target=y", "not a whole NPY file"),
    (parquet(a=[[1, 2], [3]] * 30, y=[0, 1] * 30), "?target=y", "(lists or other nested values)"),
    (parquet(a=[{"k": 1}] * 60, y=[0, 1] * 30), "?target=y", "(lists or other nested values)"),
    (raw("f.parquet", b"PAR1xxxx"), "?target=y", "not a whole Parquet file"),
    (without_data, "?target=y", "holds no columns"),
    (raw("f.h5", b"no"), "?target=y", "not a whole HDF5 file"),
    (folder(None), "/", "a folder for each class"),
    (folder(b"nope"), "/", "not a whole picture"),
]


@pytest.mark.parametrize(("write", "wishes", "said"), CASES)
def test_what_is_wrong_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[], Path], wishes: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NarrowerError) as refused:
        load_data_set(f"{write()}{wishes}")
    message = str(refused.value)
    assert said in message
    assert "\n" not in message


def test_samples_in_two_parts_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    data = load_data_set(f"{csv(ROWS[:10] * 6)()}?target=y")
    assert any("also in the training part" in note for note in data.notes)
