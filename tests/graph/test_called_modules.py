"""A model that cannot be traced is searched all the same, module by module, and that is said."""

import copy

import pytest
import torch
from torch import Tensor, nn

import narrower
from narrower.cost.network_cost import NetworkCost
from narrower.data.datasets import Part
from narrower.errors import ExportError, ModelError
from narrower.evaluate.calibration import Calibration
from narrower.evaluate.evaluator import Evaluator
from narrower.export.onnx_model import to_onnx
from narrower.graph.called_modules import trace_or_call
from narrower.graph.find_channels import find_channels
from narrower.graph.lower import lower
from narrower.graph.trace import trace
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.plan import LayerPlan, Plan
from narrower.transform.quantizers.quantize import quantize


class Fickle(nn.Module):
    """Which layers run depends on the data: no graph can say that."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(16)
        self.first = nn.Linear(16, 8)
        self.more = nn.Linear(8, 8)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.first(self.norm(x)))
        if x.sum().item() > 0:
            x = torch.relu(self.more(x))
        return self.head(x)


class Straight(Fickle):
    """The same without the question."""

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.relu(self.more(torch.relu(self.first(self.norm(x))))))


class MultipliesItself(Fickle):
    """Products that no module owns."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x @ x.new_ones(16, 16))


def fickle(kind: type[Fickle] = Fickle) -> tuple[Fickle, Tensor]:
    torch.manual_seed(0)
    return kind().eval(), torch.randn(50, 16)


def test_plans_are_scored_as_calling_the_model_with_rounded_operands_does() -> None:
    model, inputs = fickle()
    program = lower(trace_or_call(model, inputs[:3]))
    part = Part(inputs, torch.arange(50) % 5)
    data, weight, bias = FixedPoint(6, 3), FixedPoint(3, 2), FixedPoint(4, 2)
    plans = [Plan(), Plan.of({"more": LayerPlan(data, weight, bias), "head": LayerPlan(weight=weight)})]
    evaluator = Evaluator(program, part, batch_size=16)
    rounded = copy.deepcopy(model)
    rounded.more.weight.data = quantize(model.more.weight.data, weight)
    rounded.more.bias.data = quantize(model.more.bias.data, bias)
    rounded.head.weight.data = quantize(model.head.weight.data, weight)
    rounded.more.register_forward_pre_hook(lambda _, x: (quantize(x[0], data),))
    for plan, reference in zip(plans, (model, rounded), strict=True):
        expected = torch.cat([reference(batch) for batch in torch.split(inputs, 16)]).detach()
        assert torch.equal(evaluator.outputs(plan, inputs), expected)
        (quality,) = evaluator.evaluate([plan], loss=True)
        assert quality.sums["accuracy"] == (int((expected.argmax(dim=1) == part.targets).sum()),)


def test_costs_and_fractions_are_those_of_the_traced_twin() -> None:
    straight, inputs = fickle(Straight)
    called, traced = (trace_or_call(model, inputs[:3]) for model in (fickle()[0].train(False), straight))
    assert called.untraced is not None
    assert traced.untraced is None
    plan = Plan.of({"more": LayerPlan(FixedPoint(4, 2), FixedPoint(3, 2), FixedPoint(8, 4))})
    ours, theirs = (NetworkCost(program.network) for program in (called, traced))
    for metric in ("macs", "bitops", "model_size", "average_bitwidth"):
        assert ours.of(plan)[metric] == theirs.of(plan)[metric]
    assert [operator.kind for operator in ours.uncounted] == ["code outside of modules"]
    for layer in ("first", "more", "head"):
        for operand in ("data", "weight", "bias"):
            fractions = [
                Calibration(lower(program), inputs).fraction(layer, operand, 6)
                for program in (called, traced)
            ]
            assert fractions[0] == fractions[1]


def test_what_needs_a_graph_is_refused_with_the_reason() -> None:
    model, inputs = fickle()
    program = trace_or_call(model, inputs[:3])
    with pytest.raises(ModelError, match=r"cannot be traced by torch\.export: .*; its channels"):
        find_channels(model, program)
    with pytest.raises(ExportError, match=r"cannot be traced by torch\.export: .*; without a graph"):
        to_onnx(lower(program), Plan())


def test_products_outside_of_modules_have_no_known_cost() -> None:
    model, inputs = fickle(MultipliesItself)
    with pytest.raises(ModelError, match="multiplies outside of its linear and convolution modules"):
        trace_or_call(model, inputs[:3])
    with pytest.raises(ModelError, match=r"cannot be traced"):
        trace(model, inputs[:3])


def test_a_search_of_such_a_model_says_so_once() -> None:
    model, _ = fickle()
    with pytest.warns(UserWarning, match="code outside of modules"):
        found = narrower.search(
            model,
            "jets",
            {"more": {"weight": [2, 4, 8]}, "head": {"weight": [2, 4]}},
            ["accuracy", "average_bitwidth"],
            samples=200,
        )
    said = [warning for warning in found.record.warnings if "module by module" in warning]
    assert len(said) == 1
    assert "Fickle cannot be traced by torch.export" in said[0]
    assert found.record.summary.trials == 6


def test_pytorch_says_nothing_of_its_own_about_a_model_that_cannot_be_traced(
    capfd: pytest.CaptureFixture[str],
) -> None:
    model, inputs = fickle()
    assert trace_or_call(model, inputs[:3]).untraced is not None
    assert capfd.readouterr() == ("", "")
