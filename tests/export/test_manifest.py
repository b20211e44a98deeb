"""What a comparison counts."""

import numpy as np

from narrower.data.datasets import DataSet
from narrower.export.check import compare
from narrower.export.gate_samples import gate_samples


def test_a_comparison_counts_elements_classes_and_the_largest_gap() -> None:
    ours = np.float32([[1, 2], [3, 1], [0, 0]])
    theirs = np.float32([[1, 2], [3, 3.5], [0, 0.125]])
    check = compare(theirs, ours, "a runtime", "as it is")
    assert (check.samples, check.elements) == (3, 6)
    assert check.differing_elements == 2
    assert check.differing_classes == 2  # the third: equal scores had the first class
    assert check.largest_difference == 2.5
    assert not check.passed("exact")
    assert not check.passed("class")


def test_nan_differs_from_everything_and_minus_zero_from_nothing() -> None:
    check = compare(np.float32([[np.nan, -0.0]]), np.float32([[1.0, 0.0]]), "a runtime", "")
    assert check.differing_elements == 1
    assert np.isfinite(check.largest_difference)


def test_more_samples_than_there_are_come_with_noise(jets: DataSet) -> None:
    total = len(jets.train) + len(jets.validation) + len(jets.test)
    (inputs,), own = gate_samples(jets, total + 10)
    assert own == total
    assert (inputs[:5] == jets.test.inputs[:5]).all()
    assert inputs.shape == (total + 10, 16)
    assert (inputs[total:] != inputs[:10]).any(dim=1).all()
    (again,), _ = gate_samples(jets, total + 10)
    assert (again == inputs).all()
