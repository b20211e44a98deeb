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
