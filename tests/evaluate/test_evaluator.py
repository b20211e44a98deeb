"""The engine gives what building and running each plan alone gives, bit for bit."""

import copy
import random

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from narrower.evaluate.evaluator import Evaluator
from narrower.evaluate.naive import naive_outputs
from narrower.formats.fixed import FixedPoint
from narrower.formats.float32 import FLOAT32
from narrower.formats.number_format import NumberFormat
from narrower.graph.lower import lower
from narrower.graph.network import Network
from narrower.graph.program import Program
from narrower.graph.trace import trace
from narrower.plan import LayerPlan, Plan
from narrower.quantizers.quantize import quantize
from narrower.tasks.datasets import DataSet, Part
from tests import zoo

FORMATS: tuple[NumberFormat, ...] = (
    FLOAT32,
    FixedPoint(2, 1),
    FixedPoint(4, 2),
    FixedPoint(8, 4),
    FixedPoint(8, 6),
)


def random_plans(network: Network, count: int, seed: int) -> list[Plan]:
    chance = random.Random(seed)
    return [
        Plan.of({layer: LayerPlan(*chance.choices(FORMATS, k=3)) for layer in network.product_layers})
        for _ in range(count)
    ]


@pytest.mark.parametrize("batch_size", [7, 40])
@pytest.mark.parametrize("name", sorted(zoo.MODELS))
def test_outputs_equal_the_naive_ones_bit_for_bit(name: str, batch_size: int) -> None:
    model, inputs = zoo.build(name)
    program = lower(trace(model, inputs[:3], name))
    part = Part(inputs, torch.arange(len(inputs)) % 5)
    evaluator = Evaluator(program, part, batch_size=batch_size)
    plans = random_plans(program.network, 25, seed=1)
    qualities = evaluator.evaluate(plans, loss=True)
    for plan, quality in zip(plans, qualities, strict=True):
        batches = [naive_outputs(program, plan, batch) for batch in torch.split(inputs, batch_size)]
        expected = torch.cat(batches)
        assert torch.equal(evaluator.outputs(plan, inputs), expected)
        assert quality.correct == int((expected.argmax(dim=1) == part.targets).sum())
        loss = F.cross_entropy(expected.double(), part.targets)
        assert quality.loss == pytest.approx(float(loss), rel=1e-5)


def test_neither_order_nor_company_changes_a_result(jsc_toy_lowered: Program, jets: DataSet) -> None:
    part = jets.validation.first(500)
    plans = random_plans(jsc_toy_lowered.network, 40, seed=2)
    together = Evaluator(jsc_toy_lowered, part).evaluate(plans)
    alone = Evaluator(jsc_toy_lowered, part)
    assert [alone.evaluate([plan])[0] for plan in reversed(plans)][::-1] == together


class FakeQuantizedLinear(nn.Module):
    """The peer's way, written apart: a layer that rounds its operands by PyTorch's own fake quantization."""

    def __init__(self, linear: nn.Linear, plan: LayerPlan) -> None:
        super().__init__()
        self.linear, self.plan = linear, plan

    def forward(self, x: Tensor) -> Tensor:
        weight = self.rounded(self.linear.weight, self.plan.weight)
        bias = self.rounded(self.linear.bias, self.plan.bias)
        return F.linear(self.rounded(x, self.plan.data), weight, bias)

    @staticmethod
    def rounded(x: Tensor, number_format: NumberFormat) -> Tensor:
        if not isinstance(number_format, FixedPoint):
            return x
        low, high = number_format.integer_range
        return torch.fake_quantize_per_tensor_affine(x, number_format.step, 0, low, high)


def test_accuracy_equals_that_of_a_fake_quantized_module(
    jsc_toy: nn.Module, jsc_toy_lowered: Program, jets: DataSet
) -> None:
    """But for the rare sample where the last bit of batch norm tips a quantizer."""
    part = jets.validation.first(2000)
    plans = random_plans(jsc_toy_lowered.network, 30, seed=3)
    evaluator = Evaluator(jsc_toy_lowered, part)
    for plan, quality in zip(plans, evaluator.evaluate(plans), strict=True):
        module = copy.deepcopy(jsc_toy)
        for name, layer in plan.layers:
            module.set_submodule(name, FakeQuantizedLinear(module.get_submodule(name), layer))
        with torch.no_grad():
            correct = int((module(part.inputs).argmax(dim=1) == part.targets).sum())
        assert abs(correct - quality.correct) <= 2


def test_a_plan_that_fails_does_not_touch_the_others(jsc_toy_lowered: Program, jets: DataSet) -> None:
    part = jets.validation.first(300)

    class Broken:
        bits = 3
        text = "broken"

    good = random_plans(jsc_toy_lowered.network, 6, seed=4)
    bad = Plan.of({"seq_blocks.5": LayerPlan(weight=Broken())})
    expected = Evaluator(jsc_toy_lowered, part).evaluate(good)
    *qualities, failure = Evaluator(jsc_toy_lowered, part).evaluate([*good, bad])
    assert qualities == expected
    assert failure.failure is not None
    assert "Broken" in failure.failure


def test_outputs_that_are_not_numbers_are_a_failure(jsc_toy: nn.Module, jets: DataSet) -> None:
    broken = copy.deepcopy(jsc_toy)
    with torch.no_grad():
        broken.seq_blocks[8].weight[0, 0] = float("inf")
    program = lower(trace(broken, jets.train.inputs[:3], "broken"))
    (quality,) = Evaluator(program, jets.validation.first(100)).evaluate([Plan()])
    assert quality.failure is not None
    assert "NaN" in quality.failure


def test_the_quantizer_of_the_engine_is_the_public_one() -> None:
    x = torch.randn(1000)
    for number_format in FORMATS:
        assert torch.equal(FakeQuantizedLinear.rounded(x, number_format), quantize(x, number_format))
