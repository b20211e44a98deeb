"""Samples that come with the package or with scikit-learn, before they are split."""

from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrower.tasks.task import Task


@dataclass(frozen=True, slots=True)
class Table:
    """Raw samples: inputs [N, ...] (float32, or int64 where whole numbers are meant), targets [N, ...].

    ``feature_names`` is empty for images.
    """

    inputs: NDArray[Any]
    targets: NDArray[Any]  # int64 where they are classes, float32 where they are real numbers
    output_names: tuple[str, ...]
    feature_names: tuple[str, ...] = ()
    task: Task | None = None  # that of the targets where nothing is said
    more: tuple[NDArray[Any], ...] = ()  # further arguments of the model
    argument_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


TOY_SAMPLES = 10_240  # of each part


def jets(_path: Path | None = None) -> Table:
    """The jets that ship with the package (docs/datasets.md)."""
    with (
        resources.files("narrower.data").joinpath("files/jets.npz").open("rb") as file,
        np.load(file, allow_pickle=False) as archive,
    ):
        return Table(
            np.ascontiguousarray(archive["features"]),
            archive["labels"].astype(np.int64),
            tuple(archive["class_names"].tolist()),
            tuple(archive["feature_names"].tolist()),
        )


def toy_tiny(_path: Path | None = None) -> tuple[Table, Table, Table]:
    """Four numbers from -1 to 1 as [N, 1, 2, 2]; the class says whether their sum is above zero.

    The samples of MASE's toy_tiny: three parts of 10,240, from the seeds 0, 1 and 2.
    """
    parts = []
    for seed in range(3):
        stream = np.random.RandomState(seed)
        values = 2 * (stream.rand(TOY_SAMPLES, 4) - 0.5)
        targets = (values.sum(axis=1) > 0).astype(np.int64)
        inputs = values.reshape(-1, 1, 2, 2).astype(np.float32)
        parts.append(Table(inputs, targets, ("at most zero", "above zero")))
    return parts[0], parts[1], parts[2]


def digits(_path: Path | None = None) -> Table:
    """Scikit-learn's digits as [N, 1, 8, 8] in 0 to 16."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return Table(
        bunch.images[:, None].astype(np.float32), bunch.target.astype(np.int64), tuple(map(str, range(10)))
    )


def diabetes(_path: Path | None = None) -> Table:
    """Scikit-learn's diabetes: how far the disease went in a year, in hundreds, from ten measurements."""
    from sklearn.datasets import load_diabetes

    bunch = load_diabetes(scaled=False)
    return Table(
        bunch.data.astype(np.float32),
        (bunch.target / 100).astype(np.float32),
        ("progression",),
        tuple(bunch.feature_names),
    )


def digits32(_path: Path | None = None) -> Table:
    """The digits scaled bilinearly to [N, 3, 32, 32]: three equal channels."""
    import torch

    small = digits()
    large = torch.nn.functional.interpolate(torch.from_numpy(small.inputs), size=(32, 32), mode="bilinear")
    return Table(large.expand(-1, 3, -1, -1).contiguous().numpy(), small.targets, small.output_names)
