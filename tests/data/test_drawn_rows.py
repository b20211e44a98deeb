"""Of a file that is larger than memory rows are drawn, piece by piece; what is read is what stands there."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from narrower.data import drawn_rows as subject
from narrower.data.datasets import load_data_set
from narrower.data.drawn_rows import drawn_rows, read_columns
from narrower.data.raw_columns import read_raw
from narrower.data.request import data_request
from narrower.errors import DataError


@given(count=st.integers(1, 5_000), share=st.floats(0, 1), seed=st.integers(0, 99))
def test_rows_are_drawn_once_each_in_order_and_from_everywhere(count: int, share: float, seed: int) -> None:
    wanted = max(1, round(count * share))
    rows = drawn_rows(count, wanted, seed)
    assert len(rows) == wanted
    assert rows[0] >= 0
    assert rows[-1] < count
    assert (np.diff(rows) > 0).all()
    assert np.diff(rows, prepend=0).max(initial=0) <= 2 * -(-count // wanted)  # no stretch is left out


def test_each_row_is_drawn_equally_often() -> None:
    drawn = np.bincount(np.concatenate([drawn_rows(10, 3, seed) for seed in range(3_000)]), minlength=10)
    # By hand: stretches of 4, 3 and 3 rows, one row of each.
    expected = 3_000 / np.array([4, 4, 4, 4, 3, 3, 3, 3, 3, 3])
    assert (np.abs(drawn - expected) < 5 * np.sqrt(expected)).all()


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("piece", [100, 2**20])
def test_rows_of_an_array_are_those_of_the_whole(
    order: str, piece: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subject, "PIECE", piece)
    array = np.random.default_rng(0).normal(size=(500, 6)).astype(np.float32)
    np.save(tmp_path / "a.npy", np.asarray(array, order=order))
    found, said = read_columns("npy", tmp_path / "a.npy", 70, 4)
    rows = drawn_rows(500, 70, 4)
    for number in range(6):
        assert np.array_equal(found[f"column {number}"], array[rows, number])
    assert said == ["70 of 500 rows were drawn, evenly over the file"]


def test_rows_of_a_parquet_file_are_those_of_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subject, "BATCH", 64)
    path = tmp_path / "a.parquet"
    columns = {
        "x": np.arange(1_000.0),
        "text": [f"t{n % 7}" for n in range(1_000)],
        "n": [n if n % 3 else None for n in range(1_000)],
    }
    parquet.write_table(pa.table(columns), path, row_group_size=150)
    whole = read_raw("parquet", path)
    found, _ = read_columns("parquet", path, 90, 1)
    rows = drawn_rows(1_000, 90, 1)
    for name, values in whole.items():
        assert np.array_equal(found[name].astype(str), values[rows].astype(str))


def test_a_large_file_is_drawn_from_by_itself_and_says_how_to_take_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subject, "LARGE", 8_000)
    monkeypatch.setattr(subject, "DRAWN", 4_000)
    values = np.random.default_rng(1).normal(size=(2_000, 4))
    np.save(tmp_path / "a.npy", np.hstack([values, values[:, :1] > 0]))
    source = f"{tmp_path / 'a.npy'}?target=column 4&task=classification"
    data = load_data_set(source)
    assert sum(map(len, data.parts.values())) == 100  # by hand: 4,000 bytes of rows of 5 x 8
    assert data.notes[0].startswith(
        "100 of 2,000 rows were drawn, evenly over the file (0.0 GiB as numbers); "
    )
    assert sum(map(len, load_data_set(f"{source}&max_samples=700").parts.values())) == 700
    assert sum(map(len, load_data_set(f"{source}&max_samples=9e9").parts.values())) == 2_000


def test_what_is_no_number_of_rows_is_one_sentence(tmp_path: Path) -> None:
    for wish, said in (
        ("a.csv?max_samples=0.5", "whole number"),
        ("sklearn:wine?max_samples=9", "no file of rows"),
    ):
        with pytest.raises(DataError, match=said):
            data_request(wish)
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY\x01\x00 no heading")
    with pytest.raises(DataError, match="not a whole NPY file"):
        load_data_set(f"{tmp_path / 'a.npy'}?target=column 0&max_samples=9")
