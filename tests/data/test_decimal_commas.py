"""Numbers of CSV files that are written with commas, and with signs between thousands."""

from pathlib import Path

import numpy as np
import pytest

from narrower.data.datasets import load_data_set
from narrower.data.drawn_rows import read_columns
from narrower.errors import DataError

CHANCE = np.random.default_rng(3)
ROWS = 300
VALUES = CHANCE.normal(4_000, 9_000, ROWS).round(2)


def german(value: float) -> str:
    """As a spreadsheet with German settings writes it, thousands parted."""
    return f"{value:,.2f}".translate(str.maketrans(",.", ".,"))


def write(columns: dict[str, list[str]], separator: str = ";") -> Path:
    lines = [separator.join(columns), *(separator.join(row) for row in zip(*columns.values(), strict=True))]
    Path("table.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return Path("table.csv")


@pytest.mark.parametrize("separator", [";", "\t"])
def test_numbers_with_decimal_commas_are_those_of_the_same_file_with_points(separator: str) -> None:
    kinds = ["yes" if value > 4_000 else "no" for value in VALUES]
    data = []
    for texts in ([german(value) for value in VALUES], [f"{value:.2f}" for value in VALUES]):
        texts[7] = "NA"
        write({"income": texts, "label": kinds}, separator)
        data.append(load_data_set("table.csv"))
    assert data[0].train.inputs.equal(data[1].train.inputs)
    assert data[0].test.inputs.equal(data[1].test.inputs)
    assert "numbers with a decimal comma: income" in data[0].notes
    assert not any("comma" in note for note in data[1].notes)


READ = [  # texts, what else the file holds, the numbers, and what is said
    (["1,5", "20", "-3,25"], None, [1.5, 20, -3.25], "decimal comma: x"),
    (["1.234,5", "12", ",5"], None, [1234.5, 12, 0.5], "decimal comma: x"),
    (["1 234,5", "1\u202f000", "2'000,25"], None, [1234.5, 1000, 2000.25], "decimal comma: x"),
    (["0,125", "2,250"], None, [0.125, 2.25], "decimal comma: x"),
    (["1,234", "2,500"], None, [1.234, 2.5], "1,234 is read as 1.234; write 1234 where"),
    (["1,234", "999"], "0,5", [1.234, 999], "decimal comma: y, x"),
    (["1,234", "999"], "0.5", [1234, 999], "commas between thousands: x"),
    (["1,234,567", "999"], None, [1234567, 999], "commas between thousands: x"),
    (["1,234.5", "999"], None, [1234.5, 999], "commas between thousands: x"),
    (["1.234.567", "999"], None, [1234567, 999], "points between thousands: x"),
    (["1.234", "999"], "0,5", [1234, 999], "points between thousands: x"),
    (["1.234", "999"], None, [1.234, 999], None),
    (["0.125", "0.250"], "0,5", [0.125, 0.25], "decimal comma: y"),
]


@pytest.mark.parametrize(("texts", "beside", "numbers", "said"), READ)
def test_a_number_is_what_its_column_and_the_file_say(
    texts: list[str], beside: str | None, numbers: list[float], said: str | None
) -> None:
    other = {} if beside is None else {"y": [beside] * len(texts)}
    columns, notes = read_columns("csv", write({"x": texts, "z": ["a"] * len(texts), **other}), None, 0)
    assert columns["x"].astype(float).tolist() == numbers
    assert (said in " / ".join(notes)) if said else not notes
    assert columns["z"].tolist() == ["a"] * len(texts)


def test_what_may_be_either_stays_text_and_is_said() -> None:
    columns, (note,) = read_columns("csv", write({"x": ["1,234", "999"], "z": ["a", "b"]}), None, 0)
    assert columns["x"].tolist() == ["1,234", "999"]
    assert "the comma of 1,234 beside 999" in note
    assert "write 1.234 or 1234" in note


@pytest.mark.parametrize("texts", [["a,b", "1,5"], ["1,2,3", "4,5"], ["1,5", "2.5"], ["Köln, Süd", "3,5"]])
def test_other_texts_with_commas_stay_what_they_are(texts: list[str]) -> None:
    columns, notes = read_columns("csv", write({"x": texts, "z": ["a", "b"]}), None, 0)
    assert (columns["x"].tolist(), notes) == (texts, [])


def test_a_first_line_of_numbers_with_commas_is_no_heading() -> None:
    with pytest.raises(DataError, match="a heading"):
        read_columns("csv", write({"1,5": ["2,5"], "3,25": ["1,0"]}), None, 0)


def test_commas_in_a_heading_part_no_columns_of_a_file_with_semicolons() -> None:
    columns, notes = read_columns("csv", write({"netto, EUR, 2024": ["2,5"], "Menge": ["3"]}), None, 0)
    assert {name: values.tolist() for name, values in columns.items()} == {
        "netto, EUR, 2024": ["2.5"],
        "Menge": ["3"],
    }
    assert notes == ["numbers with a decimal comma: netto, EUR, 2024"]
