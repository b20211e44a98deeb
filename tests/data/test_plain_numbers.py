"""Inputs that are not to be standardised stay what they are, wherever they come from."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import narrower
from narrower.data.datasets import load_data_set
from narrower.data.parts import DataSet
from narrower.errors import DataError

CHANCE = np.random.default_rng(0)
FEATURES = CHANCE.normal(50, 10, (200, 3)).astype(np.float32)
CLASSES = (FEATURES[:, 0] > 50).astype(np.int64)
PRICES = (1000 * FEATURES[:, 0] + 300_000).astype(np.float32)
OWN = """
import numpy as np
def pair():
    inputs = np.random.default_rng(0).normal(50, 10, (200, 3)).astype(np.float32)
    return inputs, (inputs[:, 0] > 50).astype(np.int64)
def three():
    inputs, classes = pair()
    return tuple((inputs[i::3], classes[i::3]) for i in range(3))
"""


def rows(data: DataSet) -> set[tuple[float, ...]]:
    return {tuple(row) for part in data.parts.values() for row in part.inputs.flatten(1).tolist()}


def as_rows(features: np.ndarray) -> set[tuple[float, ...]]:
    return {tuple(row) for row in features.reshape(len(features), -1).tolist()}


def test_a_table_and_its_targets_stay(tmp_path: Path) -> None:
    path = tmp_path / "houses.csv"
    lines = [
        ",".join(map(repr, [*map(float, row), float(price)]))
        for row, price in zip(FEATURES, PRICES, strict=True)
    ]
    path.write_text("a,b,c,price\n" + "\n".join(lines) + "\n", encoding="utf-8")
    plain = load_data_set(f"{path}?target=price&standardise=no")
    assert rows(plain) == as_rows(FEATURES)
    assert {float(t) for part in plain.parts.values() for t in part.targets.flatten()} == set(PRICES.tolist())
    assert abs(load_data_set(f"{path}?target=price").train.inputs.mean()) < 1e-6


def test_arrays_stay(tmp_path: Path) -> None:
    np.savez(tmp_path / "held.npz", x=FEATURES, y=CLASSES)
    assert rows(load_data_set(f"{tmp_path / 'held.npz'}?target=y&standardise=no")) == as_rows(FEATURES)


@pytest.mark.parametrize("function", ["pair", "three"])
def test_what_a_function_gives_stays(function: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "plain_numbers_data.py").write_text(OWN, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    plain = load_data_set(f"plain_numbers_data:{function}?standardise=no")
    assert rows(plain) == as_rows(FEATURES)
    assert abs(load_data_set(f"plain_numbers_data:{function}").train.inputs.mean()) < 1e-6


def test_levels_of_pictures_stay(tmp_path: Path) -> None:
    pixels = CHANCE.integers(0, 256, (30, 4, 4), dtype=np.uint8)
    for number, picture in enumerate(pixels):
        place = tmp_path / "pictures" / "ab"[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(place / f"{number}.png")
    plain = load_data_set(f"{tmp_path / 'pictures'}/?standardise=no")
    assert rows(plain) == as_rows(pixels.astype(np.float32))


@pytest.mark.parametrize("name", ["jets?standardise=no", "houses.csv?target=price&standardise=never"])
def test_what_means_nothing_is_refused(name: str) -> None:
    with pytest.raises(DataError, match="standardise"):
        load_data_set(name)


def test_a_model_is_searched_on_the_arrays_that_are_given() -> None:
    model = nn.Linear(3, 1)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1000.0, 0.0, 0.0]]))
        model.bias.fill_(300_000.0)
    space = {"0": {"weight": [8], "data": [8]}}
    found = narrower.search(nn.Sequential(model), (FEATURES, PRICES), space, ["mse", "bitops"])
    assert found.record.float32["mse"] == 0.0
    classifier = nn.Sequential(nn.Linear(3, 2))
    with torch.no_grad():
        classifier[0].weight.copy_(torch.tensor([[-1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]))
        classifier[0].bias.copy_(torch.tensor([50.0, -50.0]))
    study = narrower.search(classifier, (FEATURES, CLASSES), space, ["accuracy", "bitops"])
    assert study.record.float32["accuracy"] == 1.0
