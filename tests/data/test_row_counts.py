"""Targets that only tell rows apart are refused, and a class is called by its name."""

from pathlib import Path

import numpy as np
import pytest

from narrower.data.datasets import load_data_set
from narrower.errors import DataError

ROWS = 60
CHANCE = np.random.default_rng(1)
X = CHANCE.normal(size=ROWS).round(4)


def write(values: list[object]) -> str:
    rows = [f"{x},{value}" for x, value in zip(X, values, strict=True)]
    Path("t.csv").write_text("\n".join(["x,it", *rows]) + "\n", encoding="utf-8")
    return "t.csv?target=it"


COUNTS = [
    list(range(ROWS)),
    list(range(1, ROWS + 1)),
    [f"{n}.0" for n in range(ROWS)],
    list(reversed(range(ROWS))),
    CHANCE.permutation(ROWS).tolist(),
]


@pytest.mark.parametrize("values", COUNTS)
@pytest.mark.parametrize("task", ["", "&task=classification", "&missing=drop"])
def test_numbers_of_rows_are_no_target(values: list[object], task: str) -> None:
    with pytest.raises(DataError, match=r"target 'it' counts the rows, .* once: no classes"):
        load_data_set(write(values) + task)


@pytest.mark.parametrize("values", COUNTS)
def test_a_regression_that_is_asked_for_has_them(values: list[object]) -> None:
    assert load_data_set(write(values) + "&task=regression").task.words.name == "regression"


def test_arrays_are_looked_at_as_tables_are() -> None:
    np.savez("a.npz", x=CHANCE.normal(size=(ROWS, 3)), y=np.arange(ROWS))
    with pytest.raises(DataError, match="target 'y' counts the rows, 0 to 59"):
        load_data_set("a.npz?target=y")


def test_a_class_for_each_row_is_none() -> None:
    with pytest.raises(DataError, match="another value in each row, such as 'r0'"):
        load_data_set(write([f"r{n}" for n in range(ROWS)]))
    with pytest.raises(DataError, match="another value in each row, such as 0:"):
        load_data_set(write([n * n for n in range(ROWS)]) + "&task=classification")


@pytest.mark.parametrize("values", [[n * n for n in range(ROWS)], [n // 2 for n in range(ROWS)]])
def test_other_whole_numbers_stay_a_regression(values: list[object]) -> None:
    assert load_data_set(write(values)).task.words.name == "regression"


@pytest.mark.parametrize("name", ["low", "7"])
def test_a_single_class_is_called_by_its_name(name: str) -> None:
    with pytest.raises(DataError, match=f"samples are of class '{name}'"):
        load_data_set(write([name] * ROWS) + "&task=classification")
