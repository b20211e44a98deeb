"""Numbers with signs of percent or money are numbers; texts that only look like it stay text."""

from pathlib import Path

import pytest

from narrower.data.datasets import load_data_set
from narrower.data.drawn_rows import read_columns
from narrower.errors import DataError

READ = [
    (["4.7%", "12 %", "-3%"], [4.7, 12, -3]),
    (["$1.50", "$ 20", "-$3"], [1.5, 20, -3]),
    (["€6,285", "€12", "€1,000,000"], [6285, 12, 1e6]),
    (["6,285 €", "12 €", "900.5€"], [6285, 12, 900.5]),
    (["1,234.5", "12", "7"], [1234.5, 12, 7]),
]


def table(texts: list[str]) -> Path:
    rows = [f'"{text}",{number % 2}' for number, text in enumerate(texts)]
    Path("table.csv").write_text("\n".join(["x,y", *rows]) + "\n", encoding="utf-8")
    return Path("table.csv")


@pytest.mark.parametrize(("texts", "numbers"), READ)
def test_the_sign_of_a_unit_is_no_part_of_a_number(texts: list[str], numbers: list[float]) -> None:
    columns, notes = read_columns("csv", table([*texts, ""]), None, 0)
    assert columns["x"][:-1].astype(float).tolist() == numbers
    assert columns["x"][-1] == ""
    assert "x" in notes[0]
    assert all("without it" in note or "between thousands" in note for note in notes)


@pytest.mark.parametrize(
    "texts", [["4%", "5"], ["$4", "€5"], ["a%", "b%"], ["1,2", "2,3"], ["12,34,56", "1"], ["100% wool", "5%"]]
)
def test_other_texts_stay_text(texts: list[str]) -> None:
    columns, _ = read_columns("csv", table(texts), None, 0)
    with pytest.raises(ValueError, match="could not convert"):
        columns["x"].astype(float)


def test_german_money_in_a_file_with_semicolons() -> None:
    Path("table.csv").write_text("x;y\n1.234,50 €;a\n7,5 €;b\n", encoding="utf-8")
    columns, notes = read_columns("csv", Path("table.csv"), None, 0)
    assert columns["x"].astype(float).tolist() == [1234.5, 7.5]
    assert len(notes) == 2


def test_a_text_that_is_another_in_nearly_each_row_is_no_target() -> None:
    rows = [f"{number % 7},name {number - number % 10 // 8}" for number in range(60)]  # some are there twice
    Path("names.csv").write_text("\n".join(["x,y", *rows]) + "\n", encoding="utf-8")
    with pytest.raises(DataError, match="holds 54 values in 60 rows, such as 'name 0': no classes"):
        load_data_set("names.csv?target=y")


def test_a_column_that_numbers_the_rows_is_no_feature_in_any_order() -> None:
    order = [number * 37 % 101 for number in range(101)]  # each of 0 to 100 once
    rows = [f"{1000 + number},{number % 7},{number % 2}" for number in order]
    Path("rows.csv").write_text("\n".join(["id,x,y", *rows, *rows[:5]]) + "\n", encoding="utf-8")
    data = load_data_set("rows.csv?target=y")
    assert data.feature_names == ("x",)
    assert any("id (numbers the rows" in note for note in data.notes)
    assert load_data_set("rows.csv?target=y&features=id,x").feature_names == ("id", "x")


def test_a_name_of_a_column_is_shown_as_it_is() -> None:
    Path("price.csv").write_text("x,Preis €\n" + "1.5,2.5\n2.5,3.5\n" * 30, encoding="utf-8")
    data = load_data_set("price.csv?target=Preis €")
    assert data.name == "price.csv?target=Preis €"
    assert load_data_set(data.name).output_names == ("Preis €",)
    assert load_data_set("price.csv?target=Preis%20%E2%82%AC").name == data.name
