"""A test part without one of two classes has no area under a curve: it is left out, and the rest is there."""

from pathlib import Path

import pytest
import torch
from torch import nn

import narrower
from narrower.data.datasets import DataSet, Part


@pytest.mark.parametrize("metric", ["auc", "average_precision", "background_rejection"])
def test_what_the_test_part_cannot_say_is_not_said(metric: str, tmp_path: Path) -> None:
    chance = torch.Generator().manual_seed(1)
    classes = torch.arange(240) % 2
    classes[180:] = 0
    inputs = torch.randn(240, 3, generator=chance) + classes[:, None]
    parts = [Part(inputs[some], classes[some]) for some in (slice(0, 90), slice(90, 180), slice(180, 240))]
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 2)).eval()
    data = DataSet("halves", *parts, ("usual", "odd"))
    found = narrower.search(
        model, data, {"0": {"weight": [2, 8]}}, [metric, "bitops"], directory=tmp_path / "r"
    )
    for member in found.record.members:
        low, high = member.intervals[metric]
        assert low <= member.metrics[metric] <= high
        assert member.test_value is not None
        assert metric not in member.on_test
    assert f"test_{metric}" not in found.record.float32
