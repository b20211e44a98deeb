"""Whether an order gets most samples right, against trying all orders."""

from itertools import permutations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from narrower.tasks.classification.better_order import fits_as_it_is


@pytest.mark.parametrize(("classes", "outputs"), [(2, 2), (4, 4), (3, 5), (5, 5)])
def test_an_order_fits_where_no_other_gets_more_samples_right(classes: int, outputs: int) -> None:
    chance = np.random.default_rng(classes)
    answers = []
    for _ in range(60):
        targets = torch.from_numpy(chance.integers(0, classes, 40))
        kept = chance.random(40) < chance.random() ** 2
        given = np.where(kept, targets.numpy(), chance.integers(0, outputs, 40))
        scores = F.one_hot(torch.from_numpy(given), outputs).double()
        right = {
            order: sum(order[target] == said for target, said in zip(targets.tolist(), given, strict=True))
            for order in permutations(range(outputs), classes)
        }
        fits = bool(right[tuple(range(classes))] == max(right.values()))
        assert fits_as_it_is(scores, targets, classes) == fits
        answers.append(fits)
    assert {True, False} == set(answers)
