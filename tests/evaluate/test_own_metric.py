"""A metric of the user's own cannot change what is scored after it."""

from pathlib import Path

import pytest
import torch
from torch import nn

from narrower.data.parts import Part
from narrower.evaluate.evaluator import Evaluator
from narrower.evaluate.own_metric import own_metric
from narrower.graph.lower import lower
from narrower.graph.trace import trace
from narrower.plan.plan import Plan

METRICS = """
seen = []

def spoils(outputs, targets):
    seen.append((outputs.clone(), targets.clone()))
    outputs.zero_()
    targets.fill_(1)
    targets.numpy()[:] = 2
    return 0.5
"""


def test_outputs_and_targets_that_a_metric_overwrites_are_copies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "spoiling.py").write_text(METRICS, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    generator = torch.Generator().manual_seed(0)
    part = Part(torch.randn(50, 4, generator=generator), torch.randint(3, (50,), generator=generator))
    before = part.targets.clone()
    program = lower(trace(nn.Linear(4, 3), part.inputs[:3]))
    metric = own_metric("spoiling:spoils")
    plain = Evaluator(program, part).evaluate([Plan()], loss=True)
    spoilt = Evaluator(program, part, own_metrics={"first": metric, "second": metric})
    (quality,) = spoilt.evaluate([Plan()], loss=True)
    assert quality.sums == plain[0].sums
    assert torch.equal(part.targets, before)
    from spoiling import seen

    expected = Evaluator(program, part).outputs(Plan(), part.inputs)
    for outputs, targets in seen:  # the second metric, and a second plan, see what the first saw
        assert torch.equal(outputs, expected)
        assert torch.equal(targets, before)
    assert spoilt.evaluate([Plan()], loss=True) == [quality]
