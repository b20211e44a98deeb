"""A model that writes into its arguments or buffers is scored as if every batch were its first."""

import copy

import pytest
import torch
from torch import Tensor, nn

from narrower.data.datasets import DataSet, Part
from narrower.evaluate.calibration import Calibration
from narrower.evaluate.evaluator import Evaluator
from narrower.graph.called_modules import trace_or_call
from narrower.graph.lower import lower
from narrower.models.fit import check_fit
from narrower.models.quality import model_quality
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.plan import LayerPlan, Plan
from narrower.transform.quantized import quantized


class Writing(nn.Module):
    """Begins with an operator in place, and counts its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.head = nn.Linear(6, 8, bias=False), nn.Linear(8, 5, bias=False)
        self.register_buffer("calls", torch.zeros(8))

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        x.mul_(2)
        output: Tensor = self.head(torch.relu_(self.first(x) + self.calls))
        return output


class WritingFickle(Writing):
    """The same; which operators run depends on the data."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) if x.sum().item() > 0 else super().forward(x.neg_())


@pytest.mark.parametrize("kind", [Writing, WritingFickle])
def test_no_batch_and_no_plan_sees_what_another_wrote(kind: type[Writing]) -> None:
    torch.manual_seed(0)
    model, inputs = kind().eval(), torch.randn(50, 6)
    part = Part(inputs.clone(), torch.arange(50) % 5)
    program = lower(trace_or_call(model, part.inputs[:3]))
    assert (program.untraced is not None) == (kind is WritingFickle)
    weights = program.content_hash
    Calibration(program, part.inputs)
    evaluator = Evaluator(program, part, batch_size=16)
    plans = [Plan.of({"first": LayerPlan(weight=FixedPoint(width, 2))}) for width in (2, 4, 8)]
    for plan, quality in zip(plans, evaluator.evaluate(plans), strict=True):
        batches = [quantized(model, plan)(batch.clone()) for batch in torch.split(inputs, 16)]
        expected = torch.cat(batches)
        assert torch.equal(evaluator.outputs(plan, part.inputs), expected)
        assert quality.sums["accuracy"] == (int((expected.argmax(dim=1) == part.targets).sum()),)
    assert torch.equal(part.inputs, inputs)
    assert program.content_hash == weights


def test_looking_at_a_model_leaves_the_samples_as_they_were() -> None:
    torch.manual_seed(0)
    inputs, targets = torch.randn(30, 6), torch.arange(30) % 5
    part = Part(inputs.clone(), targets)
    data = DataSet("own", part, part, part, tuple("abcde"))
    model = Writing().eval()
    check_fit(copy.deepcopy(model), data)
    first, second = (model_quality(copy.deepcopy(model), part) for _ in range(2))
    assert first == second
    assert torch.equal(part.inputs, inputs)
