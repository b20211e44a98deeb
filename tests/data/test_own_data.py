"""Data of the user's own: whole numbers stay so, and what is no classification is refused at once."""

import re
import time
from pathlib import Path

import pytest
import torch
from torch import nn

from narrower.data.datasets import DataSet, Part, load_data_set
from narrower.errors import DataError
from narrower.models.fit import check_fit

HEAD = """
import numpy as np, torch
from narrower.data.parts import DataSet, Part
chance = np.random.default_rng(0)
x, y = chance.normal(size=(90, 4)), np.arange(90) % 3
def part(x=x, y=y): return Part(torch.as_tensor(x).float(), torch.as_tensor(y))
def whole(**parts):
    given = {"train": part(), "validation": part(), "test": part()} | parts
    return DataSet("own", **given, output_names=("a", "b", "c"))
"""


def made(monkeypatch: pytest.MonkeyPatch, returned: str) -> DataSet:
    """What becomes of a function that returns an expression."""
    name = f"own_{abs(hash(returned))}"
    Path(f"{name}.py").write_text(f"{HEAD}\ndef data():\n    return {returned}\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(Path.cwd()))
    return load_data_set(f"{name}:data")


REFUSED = [
    ("(x[:70], y[:70]), (x[70:], y[70:])", "two pairs, as of (train, test), where three, or one, are taken"),
    ("(part(), part())", "two pairs, as of (train, test)"),
    ("{'train': (x, y), 'test': (x, y)}", "a dict with the keys ['train', 'test']"),
    ("(x, y, x, y)", "tuple of 4"),
    ("x", "returned ndarray"),
    ("(x[:0], y[:0])", "no samples: the inputs have shape (0, 4)"),
    ("((x, y), (x[:0], y[:0]), (x, y))", "part 'validation': there are no samples"),
    ("whole(test=part(x[:0], y[:0]))", "part 'test': there are no samples"),
    ("(x[:, :0], y)", "no samples: the inputs have shape (90, 0)"),
    ("(x[:, 0], y)", "the inputs have shape (90,)"),
    ("(x, y[:, None])", "the classes have shape (90, 1)"),
    ("(x, np.eye(3)[y])", "classes.argmax(axis=1)"),
    ("whole(train=part(y=np.eye(3, dtype=int)[y]))", "classes.argmax(axis=1)"),
    ("(x, y[:80])", "90 samples, but 80 classes"),
    ("(x, np.where(y == 2, 10_000_000, y))", "found class 10,000,000 among 3 different ones"),
    ("((x, y), (x, y), (x, y * 5_000_000))", "part 'test': found class 10,000,000"),
    ("whole(train=part(y=y * 5_000_000))", "found class 10,000,000"),
    ("(x, y - 1)", "found class -1"),
    ("whole(validation=part(y=y - 1))", "found class -1"),
    ("whole(validation=part(y=y + 1))", "class 3 has no name; output_names has 3"),
    ("(x, y * 0 + 2)", "all 90 samples are of class 2"),
    ("((x, y * 0), (x, y), (x, y))", "part 'train': all 90 samples are of class 0"),
    ("whole(train=part(y=y * 0))", "part 'train': all 90 samples are of class 'a'"),
    ("(np.where(x == x[17, 1], np.nan, x), y)", "NaN or infinity, first in sample 17"),
    ("(np.where(x == x[3, 0], 1e300, x), y)", "NaN or infinity, first in sample 3"),
    ("whole(test=part(x=np.where(x == x[3, 0], np.inf, x)))", "part 'test': the inputs hold NaN or infinity"),
    ("(x.astype(str), y)", "the inputs must be numbers, found <U"),
    ("(x, np.array(['cat', 'dog', 'eel'])[y])", "such as cat"),
    ("(x, np.where(y == 1, np.nan, y))", "the targets hold NaN or infinity"),
    ("(x, y * 0.0)", "all 90 samples have the same targets"),
    ("whole(train=part(y=y + 0.5))", "1 targets for each sample, but 3 output_names"),
    ("whole(train=part(y=y + 0.5))", "1 targets for each sample"),
    ("whole(train=part(y=torch.as_tensor(y).int()))", "the classes are torch.int32; expected int64"),
    ("(x, y == 1)", "the classes are bool"),
    ("(x, [None] * 90)", "the classes are object"),
    ("([[1.0], [1.0, 2.0]], [0, 1])", "no array can be made of list"),
    ("((x, y), (x[:, :2], y), (x, y))", "differ in shape or type"),
    ("((x, y), (x.astype(int), y), (x, y))", "differ in shape or type"),
]


@pytest.mark.parametrize(("returned", "said"), REFUSED)
def test_what_is_no_classification_is_refused_in_a_sentence_at_once(
    monkeypatch: pytest.MonkeyPatch, returned: str, said: str
) -> None:
    start = time.monotonic()
    with pytest.raises(DataError, match=re.escape(said)) as refused:
        made(monkeypatch, returned)
    assert time.monotonic() - start < 2  # ten million classes took 89 seconds
    assert "\n" not in str(refused.value)
    assert "data set 'own_" in str(refused.value)


@pytest.mark.parametrize("kind", ["int64", "uint8", "int32"])
def test_whole_numbers_stay_what_they_are(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    data = made(monkeypatch, f"(np.arange(180).reshape(90, 2).astype('{kind}'), y)")
    together = torch.cat([part.inputs for part in data.parts.values()])
    assert together.dtype == torch.int64
    assert sorted(together.flatten().tolist()) == list(range(180))
    three = made(monkeypatch, f"[(np.full((3, 2), 7, '{kind}'), np.arange(3))] * 3")
    assert three.test.inputs.tolist() == [[7, 7]] * 3


def test_real_numbers_are_standardised(monkeypatch: pytest.MonkeyPatch) -> None:
    data = made(monkeypatch, "(10 * x + 5, y)")
    assert abs(float(data.train.inputs.mean())) < 1e-6
    assert float(data.train.inputs.std(dim=0, correction=0)[1]) == pytest.approx(1, abs=1e-6)


def data_set(targets: torch.Tensor, inputs: torch.Tensor | None = None) -> DataSet:
    part = Part(torch.zeros(len(targets), 4) if inputs is None else inputs, targets)
    return DataSet("own", part, part, part, ("a", "b", "c"))


@pytest.mark.parametrize(
    ("targets", "said"),
    [
        (torch.rand(6), "1 targets for each sample, but 3 output_names"),
        (torch.arange(6)[:, None], r"the classes have shape \(6, 1\)"),
        (torch.tensor([0, 1, 2, 3, 0, 1]), "class 3 has no name"),
        (torch.tensor([0, 1, 2, 0, 1, 2], dtype=torch.int32), r"expected int64: targets.long\(\)"),
    ],
)
def test_targets_that_do_not_fit_are_refused_before_anything_is_scored(
    targets: torch.Tensor, said: str
) -> None:
    with pytest.raises(DataError, match=said):
        check_fit(nn.Linear(4, 3), data_set(targets))


def test_a_model_that_takes_no_whole_numbers_is_told_that_they_are_not_standardised() -> None:
    classes = torch.tensor([0, 1, 2, 0, 1, 2])
    with pytest.raises(DataError, match=r"whole numbers .* where they are measurements, return them as"):
        check_fit(nn.Linear(4, 3), data_set(classes, torch.zeros(6, 4, dtype=torch.int64)))
    with pytest.raises(DataError, match="token ids stay what they are when returned as whole numbers"):
        check_fit(nn.Sequential(nn.Embedding(5, 3), nn.Flatten()), data_set(classes))
