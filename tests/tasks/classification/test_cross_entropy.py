"""The cross entropy of columns is that of PyTorch, in double precision."""

import pytest
import torch
from torch.nn import functional as F

from narrower.tasks.classification.cross_entropy import cross_entropies


@pytest.mark.parametrize("size", [1.0, 1e3, 1e6])
def test_large_scores_lose_no_digits(size: float) -> None:
    chance = torch.Generator().manual_seed(0)
    scores = (size + torch.randn(500, 5, generator=chance) * 4).round()
    targets = torch.arange(500) % 5
    expected = float(F.cross_entropy(scores.double(), targets, reduction="sum"))
    assert float(cross_entropies(scores, targets).sum()) == pytest.approx(expected, rel=1e-6)


def test_each_loss_is_a_whole_number_of_steps_next_to_that_of_pytorch() -> None:
    scores = torch.randn(400, 7, generator=torch.Generator().manual_seed(1)) * 3
    targets = torch.arange(400) % 7
    steps = cross_entropies(scores, targets) * 2**20
    assert steps.equal(steps.round())
    assert not (steps / 2).equal((steps / 2).round())  # of 2**-19 they are not
    expected = F.cross_entropy(scores.double(), targets, reduction="none") * 2**20
    assert (steps - expected).abs().max() < 4  # half a step, and what float32 loses of up to 16
