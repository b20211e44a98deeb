"""Tables, arrays and pictures from files: what becomes of their columns, and what is said of mistakes."""

import csv
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image
from pyarrow import parquet

from narrower.data.datasets import load_data_set
from narrower.data.parting import parted
from narrower.data.request import data_request
from narrower.errors import DataError, UnknownNameError
from narrower.tasks.task import Ending

CHANCE = np.random.default_rng(5)
ROWS = 400
COLUMNS: dict[str, list[Any]] = {
    "colour": CHANCE.choice(["red", "green", "blue"], ROWS).tolist(),
    "x": CHANCE.normal(5, 2, ROWS).round(3).tolist(),
    "flag": CHANCE.choice(["true", "false"], ROWS).tolist(),
    "shop": CHANCE.integers(0, 40, ROWS).tolist(),
    "day": [f"2024-01-{1 + i % 28:02d}" for i in range(ROWS)],
    "bought": CHANCE.choice(["yes", "no"], ROWS, p=[0.2, 0.8]).tolist(),
    "price": CHANCE.normal(100, 25, ROWS).round(2).tolist(),
}


def write(path: Path, **changes: list[Any]) -> str:
    columns = {**COLUMNS, **changes}
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return str(path)


@pytest.fixture
def table(tmp_path: Path) -> str:
    return write(tmp_path / "table.csv")


def test_a_csv_file_becomes_standardised_features_and_classes_by_name(table: str) -> None:
    data = load_data_set(f"{table}?target=bought&features=x,colour,flag")
    assert data.output_names == ("no", "yes")
    assert data.feature_names == ("x", "colour=blue", "colour=green", "colour=red", "flag")
    assert data.train.inputs.mean(0).abs().max() < 1e-6
    shares = [float(part.targets.float().mean()) for part in data.parts.values()]
    assert max(shares) - min(shares) < 0.02  # stratified: each part has a fifth of "yes"
    assert any("colour (3)" in note for note in data.notes)
    # By hand: undoing the standardisation gives the file's own values, each row once.
    deviation = np.std(COLUMNS["x"])
    found = torch.cat([part.inputs[:, 0] for part in data.parts.values()]).double().numpy()
    assert np.corrcoef(np.sort(found), np.sort(COLUMNS["x"]))[0, 1] > 1 - 1e-9
    assert np.ptp(found) == pytest.approx(np.ptp(COLUMNS["x"]) / deviation, rel=0.05)


def test_all_formats_of_a_table_give_the_same_samples(table: str, tmp_path: Path) -> None:
    numbers = {"x": np.array(COLUMNS["x"]), "price": np.array(COLUMNS["price"])}
    np.savez(tmp_path / "t.npz", **numbers)
    structured = np.rec.fromarrays(list(numbers.values()), names=list(numbers))
    np.save(tmp_path / "t.npy", np.asarray(structured))
    with h5py.File(tmp_path / "t.h5", "w") as file:
        for name, values in numbers.items():
            file[name] = values
    parquet.write_table(pa.table(COLUMNS), tmp_path / "t.parquet")
    lines = ["@relation t", "% a comment", *(f"@attribute {n} string" for n in COLUMNS), "@data"]
    rows = [",".join(map(str, row)) for row in zip(*COLUMNS.values(), strict=True)]
    (tmp_path / "t.arff").write_text("\n".join([*lines, *rows]))
    (tmp_path / "t.tsv").write_text(Path(table).read_text().replace(",", "\t"))
    wanted = load_data_set(f"{table}?target=price&features=x")
    for ending in ("npz", "npy", "h5", "parquet", "arff", "tsv"):
        found = load_data_set(f"{tmp_path}/t.{ending}?target=price&features=x")
        assert torch.equal(found.train.inputs, wanted.train.inputs), ending
        assert torch.equal(found.test.targets, wanted.test.targets), ending


def test_targets_of_a_regression_are_standardised_and_errors_are_in_their_own_unit(table: str) -> None:
    data = load_data_set(f"{table}?target=price&features=x")
    assert abs(float(data.train.targets.mean())) < 1e-6
    (scale,) = data.task.scales  # type: ignore[attr-defined]
    off = data.test.targets + 1 / scale  # by one unit of the file
    values = {
        m.name: m.value(m.sums(off[:, None], data.test.targets), len(data.test)) for m in data.task.metrics
    }
    assert values["mse"] == pytest.approx(1, rel=1e-4)
    assert values["mae"] == pytest.approx(1, rel=1e-4)
    assert values["rmse"] == pytest.approx(1, rel=1e-4)
    assert values["loss"] == pytest.approx(1 / scale**2, rel=1e-4)


def test_rows_of_one_group_lie_in_one_part(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", x=[float(shop) for shop in COLUMNS["shop"]])
    data = load_data_set(f"{path}?target=bought&features=x&group=shop")
    shops = [set(part.inputs[:, 0].tolist()) for part in data.parts.values()]
    assert sum(len(of_part) for of_part in shops) == 40


def test_with_time_the_test_part_is_the_latest(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", x=[float(day[-2:]) for day in COLUMNS["day"]])
    data = load_data_set(f"{path}?target=bought&features=x&time=day&split=0.5,0.25,0.25")
    train, validation, test = (part.inputs[:, 0] for part in data.parts.values())
    assert train.max() < validation.min()
    assert validation.max() < test.min()


@pytest.mark.parametrize("count", [10, 57, 1000])
def test_parts_are_disjoint_whole_and_of_the_wished_size(count: int) -> None:
    for options in ({}, {"classes": np.arange(count) % 3}, {"times": CHANCE.normal(size=count)}):
        rows = parted(count, 1, (0.6, 0.2, 0.2), **options)
        assert sorted(np.concatenate(rows).tolist()) == list(range(count))
        assert [
            abs(len(part) - count * share) <= 3 for part, share in zip(rows, (0.6, 0.2, 0.2), strict=True)
        ]


def test_what_is_missing_is_filled_dropped_or_refused_and_said(tmp_path: Path) -> None:
    holes = [x if i % 10 else "NA" for i, x in enumerate(COLUMNS["x"])]
    path = write(tmp_path / "t.csv", x=holes)
    filled = load_data_set(f"{path}?target=bought&features=x")
    assert any("x 40 (the median of the training part)" in note for note in filled.notes)
    dropped = load_data_set(f"{path}?target=bought&features=x&missing=drop")
    assert sum(map(len, dropped.parts.values())) == 360
    with pytest.raises(DataError, match="values are missing: x 40"):
        load_data_set(f"{path}?target=bought&features=x&missing=refuse")


def test_what_says_nothing_is_no_feature_unless_it_is_named(tmp_path: Path) -> None:
    path = write(
        tmp_path / "t.csv", id=list(range(ROWS)), name=[f"n{i}" for i in range(ROWS)], empty=[""] * ROWS
    )
    data = load_data_set(f"{path}?target=bought")
    assert not {"id", "name", "empty", "day"} & set(data.feature_names)
    (note,) = [note for note in data.notes if "no features" in note]
    for said in ("id (counts the rows)", "name (400 different texts)", "empty (no values)", "day (times)"):
        assert said in note
    assert "id" in load_data_set(f"{path}?target=bought&features=id").feature_names


@pytest.mark.parametrize(
    ("changes", "wishes", "said"),
    [
        ({}, "target=bough", "'bough'"),
        ({}, "target=bought&features=y", "'y'"),
        (
            {"x": ["a", *COLUMNS["x"][1:]]},
            "target=bought",
            "'x' mixes numbers and text: 399 numbers, and 'a' in row 1",
        ),
        ({"bought": ["yes"] * ROWS}, "target=bought", "two classes"),
        ({"price": [1.5] * ROWS}, "target=price", "nothing to learn"),
        ({"price": ["nan", *COLUMNS["price"][1:]]}, "target=price", "missing in 1 rows, first in row 1"),
        ({"x": ["inf", *COLUMNS["x"][1:]]}, "target=bought", "infinite in row 1"),
        ({}, "target=colour&task=regression", "holds text"),
        ({}, "target=bought&split=0.9,0.2,0.1", "three shares"),
        ({}, "target=bought&group=shop&time=day", "leave one out"),
        ({}, "target=bought&features=bought", "both target and feature"),
        ({}, "target=bought&grup=shop", "group"),
        ({"shop": ["one"] * ROWS}, "target=bought&group=shop", "too few"),
    ],
)
def test_a_mistake_is_one_sentence(tmp_path: Path, changes: dict[str, Any], wishes: str, said: str) -> None:
    path = write(tmp_path / "t.csv", **changes)
    with pytest.raises((DataError, UnknownNameError)) as found:
        load_data_set(f"{path}?{wishes}")
    assert said in str(found.value)
    assert "\n" not in str(found.value)


def test_samples_that_leak_into_the_test_are_counted_and_can_be_dropped(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", x=[float(i // 2) for i in range(ROWS)])
    data = load_data_set(f"{path}?target=bought&features=x")
    known = set(data.train.inputs.flatten().tolist())
    leaks = sum(x in known for x in data.test.inputs.flatten().tolist())
    assert any(f"{leaks} of {len(data.test)} test samples" in note for note in data.notes)
    clean = load_data_set(f"{path}?target=bought&features=x&duplicates=drop")
    values = torch.cat([part.inputs for part in clean.parts.values()]).flatten().tolist()
    assert len(values) == len(set(values)) == ROWS // 2


def test_arrays_are_arguments_in_their_order_and_whole_numbers_stay(tmp_path: Path) -> None:
    ids, extra = CHANCE.integers(0, 9, (60, 7)), CHANCE.normal(3, 2, (60, 2))
    np.savez(tmp_path / "a.npz", ids=ids, extra=extra, label=np.arange(60) % 3)
    data = load_data_set(f"{tmp_path}/a.npz?features=ids,extra")
    assert [tuple(a.shape[1:]) for a in data.train.arguments] == [(7,), (2,)]
    assert data.train.inputs.dtype == torch.int64
    assert sorted(torch.cat([p.inputs for p in data.parts.values()]).tolist()) == sorted(ids.tolist())
    assert data.train.more[0].mean().abs() < 1e-6
    np.savez(tmp_path / "b.npz", x=np.full((60, 2), np.nan), label=np.arange(60) % 3)
    with pytest.raises(DataError, match="NaN"):
        load_data_set(f"{tmp_path}/b.npz")


def _pictures(root: Path, mode: str = "RGB", size: tuple[int, int] = (6, 4)) -> None:
    for kind, level in (("cat", 60), ("dog", 180)):
        (root / kind).mkdir(parents=True)
        for number in range(20):
            pixels = CHANCE.integers(level - 40, level + 40, (size[1], size[0], 3), dtype=np.uint8)
            Image.fromarray(pixels).convert(mode).save(root / kind / f"{number}.png")


def test_folders_of_pictures_are_classes(tmp_path: Path) -> None:
    _pictures(tmp_path / "colour")
    data = load_data_set(f"{tmp_path}/colour/")
    assert data.output_names == ("cat", "dog")
    assert data.train.inputs.shape == (26, 3, 4, 6)
    assert data.train.inputs.mean(dim=(0, 2, 3)).abs().max() < 1e-5
    assert (data.train.inputs.mean(dim=(1, 2, 3)) > 0).long().equal(data.train.targets)  # dogs are brighter
    _pictures(tmp_path / "grey", "L")
    assert load_data_set(f"{tmp_path}/grey/").train.inputs.shape[1:] == (1, 4, 6)


def test_pictures_of_different_sizes_need_a_size_and_damaged_ones_are_named(tmp_path: Path) -> None:
    root = tmp_path / "p"
    _pictures(root)
    Image.new("RGB", (9, 9)).save(root / "cat" / "large.png")
    with pytest.raises(DataError, match=r"large.png: its size differs.*size = \[4, 6\]"):
        load_data_set(f"{root}/")
    assert load_data_set(f"{root}/?size=8,5").train.inputs.shape[1:] == (3, 8, 5)
    (root / "dog" / "broken.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"broken\.png: not a whole picture"):
        load_data_set(f"{root}/?size=8,5")


def test_folders_of_parts_are_taken_as_they_are(tmp_path: Path) -> None:
    for part in ("train", "val", "test"):
        _pictures(tmp_path / "p" / part)
    data = load_data_set(f"{tmp_path}/p/")
    assert [len(part) for part in data.parts.values()] == [40, 40, 40]
    assert data.output_names == ("cat", "dog")


@pytest.mark.parametrize(
    ("name", "shape", "outputs"), [("wine", 13, 3), ("breast_cancer", 30, 2), ("iris", 4, 3)]
)
def test_sets_of_scikit_learn_have_their_names(name: str, shape: int, outputs: int) -> None:
    data = load_data_set(f"sklearn:{name}")
    assert data.train.inputs.shape[1] == shape
    assert len(data.output_names) == outputs


@pytest.mark.parametrize("ending", ["csv", "npz", "npy", "h5", "parquet", "arff"])
def test_files_that_are_none_are_refused(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"bad.{ending}"
    for content in (b"", b"\x00\x01\x02 nothing of the kind" * 9):
        path.write_bytes(content)
        with pytest.raises(DataError, match="bad"):
            load_data_set(f"{path}?target=x")
    with pytest.raises(DataError, match="no such file"):
        load_data_set(f"{tmp_path}/absent.{ending}?target=x")


def test_the_loss_is_chosen_by_name(table: str) -> None:
    assert (
        load_data_set(f"{table}?target=price&features=x&loss=huber").task.loss(Ending()).name == "Huber loss"
    )
    with pytest.raises(DataError, match="allowed for a regression: mse, mae, huber"):
        load_data_set(f"{table}?target=price&features=x&loss=hubert")
    with pytest.raises(DataError, match="one loss alone"):
        load_data_set("sklearn:wine?loss=huber")


def test_a_request_is_read_as_it_is_written() -> None:
    request = data_request("a b.csv?target=p%2Cq,r&split=0.8,0.1,0.1&group=x%26y")
    assert request.target == ("p,q", "r")
    assert request.group == "x&y"
    assert data_request(request.text) == request
