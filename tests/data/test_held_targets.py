"""Targets as others write classes are classes where the task is named, and nothing else is taken for them."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.metrics import jaccard_score
from torch.utils.data import TensorDataset

from narrower.data.datasets import load_data_set
from narrower.data.given_data import given_data_set
from narrower.data.held_targets import held_targets
from narrower.data.request import DataRequest
from narrower.data.sources import Table
from narrower.errors import DataError
from narrower.tasks.classification.task import CLASSIFICATION
from narrower.tasks.segmentation.task import SEGMENTATION
from narrower.tasks.task import Task

SAMPLES = 60
X = np.random.default_rng(0).normal(size=(SAMPLES, 3, 4)).astype("float32")
TRUTH = (X[:, 0, 0] > 0).astype(np.int64)


def taken(targets: object, task: str | None, inputs: NDArray[Any] = X) -> Table:
    made = given_data_set("mine", "mine", (inputs, targets), DataRequest("mine", task=task))
    assert isinstance(made, Table)
    return made


@pytest.mark.parametrize(
    "written",
    [TRUTH.astype("float32"), TRUTH.astype(bool), TRUTH[:, None], TRUTH[:, None].astype("float64")],
    ids=["real", "true or false", "a column", "a column of real ones"],
)
def test_targets_of_one_logit_are_classes_where_that_is_said(written: NDArray[Any]) -> None:
    table = taken(written, "classification")
    assert table.targets.dtype == np.int64
    assert table.targets.tolist() == TRUTH.tolist()
    assert table.output_names == ("0", "1")


def test_a_data_set_of_pytorch_with_real_targets_is_a_classification_where_that_is_said() -> None:
    samples = TensorDataset(torch.from_numpy(X), torch.from_numpy(TRUTH).float()[:, None])
    made = given_data_set("mine", "mine", samples, DataRequest("mine", task="classification"))
    assert isinstance(made, Table)
    assert made.targets.tolist() == TRUTH.tolist()


def test_real_numbers_stay_a_regression_where_nothing_is_said() -> None:
    assert taken(TRUTH.astype("float32"), None).targets.dtype == np.float32


@pytest.mark.parametrize("wrong", [0.5, float("nan"), float("inf")])
def test_numbers_that_are_no_classes_are_refused(wrong: float) -> None:
    targets = TRUTH.astype("float32")
    targets[7] = wrong
    with pytest.raises(DataError, match="real numbers are the targets of a regression"):
        taken(targets, "classification")


def pixels(no_class: int) -> NDArray[Any]:
    drawn = np.random.default_rng(1).integers(0, 3, size=(SAMPLES, 4, 4))
    drawn[:, :1] = no_class
    return drawn


@pytest.mark.parametrize("kind", ["uint8", "int64", "float32"])
def test_255_among_few_classes_counts_nowhere_and_is_said(kind: str) -> None:
    pictures = np.repeat(X[:, :, None], 4, axis=2)
    table = taken(pixels(255).astype(kind), "segmentation", pictures)
    assert table.targets.tolist() == pixels(-100).tolist()
    assert table.output_names == ("0", "1", "2")
    assert table.notes == ("class 255 is taken for pixels that do not count, as -100 is",)


def test_scores_of_such_pixels_are_those_of_scikit_learn_without_them() -> None:
    truth, _ = held_targets(pixels(255), SEGMENTATION)
    scores = torch.randn(SAMPLES, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    metric = SEGMENTATION.metrics[0]
    found = metric.value(metric.sums(scores, torch.from_numpy(truth)), SAMPLES)
    counts = pixels(255) != 255
    expected = jaccard_score(pixels(255)[counts], scores.argmax(1).numpy()[counts], average="macro")
    assert found == pytest.approx(expected)


@pytest.mark.parametrize(
    ("classes", "task"),
    [(range(256), SEGMENTATION), ((0, 254, 255), SEGMENTATION), ((0, 255), CLASSIFICATION)],
)
def test_255_is_a_class_where_others_lie_near_it_or_pixels_are_not_meant(
    classes: Iterable[int], task: Task
) -> None:
    targets = np.resize(np.array(list(classes)), (SAMPLES, 4, 4) if task == SEGMENTATION else SAMPLES)
    found, said = held_targets(targets, task)
    assert found is targets
    assert said == ()


def test_labels_of_a_file_of_arrays_may_be_whole_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    labels = np.stack([TRUTH, 1 - TRUTH, X[:, 1, 1] > 0], axis=1)
    np.savez("labels.npz", x=X, y=labels)
    data = load_data_set("labels.npz?target=y&task=multi-label")
    every = torch.cat([part.targets for part in data.parts.values()])
    assert every.dtype == torch.float32
    assert every.sum(dim=0).tolist() == labels.sum(axis=0).tolist()


def test_a_file_of_arrays_is_read_as_what_a_function_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("scenes.npz", picture=np.repeat(X[:, :, None], 4, axis=2), mask=pixels(255).astype("uint8"))
    data = load_data_set("scenes.npz?target=mask&task=segmentation")
    assert data.output_names == ("0", "1", "2")
    assert set(data.train.targets.unique().tolist()) == {-100, 0, 1, 2}
    assert any("class 255" in note for note in data.notes)
