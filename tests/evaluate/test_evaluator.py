"""The engine gives what building and running each plan alone gives, bit for bit."""

import copy
import itertools
import random

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from narrower.data.datasets import DataSet, Part
from narrower.evaluate.chain import find_chain
from narrower.evaluate.compile_steps import compile_steps
from narrower.evaluate.definition import defined_outputs
from narrower.evaluate.evaluator import Evaluator
from narrower.graph.lower import lower
from narrower.graph.network import Network
from narrower.graph.program import Program
from narrower.graph.trace import trace
from narrower.plan.formats.fixed import OVERFLOWS, ROUNDINGS, FixedPoint
from narrower.plan.formats.float32 import FLOAT32
from narrower.plan.formats.number_format import NumberFormat
from narrower.plan.plan import LayerPlan, Plan
from narrower.tasks.quality import Quality
from narrower.transform.quantizers.quantize import quantize
from tests import zoo

PLAIN: tuple[NumberFormat, ...] = (
    FLOAT32,
    FixedPoint(2, 1),
    FixedPoint(4, 2),
    FixedPoint(8, 4),
    FixedPoint(8, 6),
)
FORMATS = (
    *PLAIN,
    FixedPoint(5, 3, rounding="half_up"),
    FixedPoint(6, 4, rounding="floor", overflow="wrap"),
    FixedPoint(3, 1, signed=False, overflow="saturate_symmetric"),
)


def random_plans(
    network: Network, count: int, seed: int, formats: tuple[NumberFormat, ...] = FORMATS
) -> list[Plan]:
    chance = random.Random(seed)
    return [
        Plan.of({layer: LayerPlan(*chance.choices(formats, k=3)) for layer in network.product_layers})
        for _ in range(count)
    ]


@pytest.mark.parametrize("batch_size", [7, 40])
@pytest.mark.parametrize("name", sorted(zoo.MODELS))
def test_outputs_equal_the_defined_ones_bit_for_bit(name: str, batch_size: int) -> None:
    model, inputs = zoo.build(name)
    program = lower(trace(model, inputs[:3], name))
    part = Part(inputs, torch.arange(len(inputs)) % 5)
    evaluator = Evaluator(program, part, batch_size=batch_size)
    plans = random_plans(program.network, 25, seed=1)
    qualities = evaluator.evaluate(plans, loss=True)
    for plan, quality in zip(plans, qualities, strict=True):
        batches = [defined_outputs(program, plan, batch) for batch in torch.split(inputs, batch_size)]
        expected = torch.cat(batches)
        assert torch.equal(evaluator.outputs(plan, inputs), expected)
        assert quality.sums["accuracy"] == (int((expected.argmax(dim=1) == part.targets).sum()),)
        loss = F.cross_entropy(expected.double(), part.targets)
        assert quality.metrics["loss"] == pytest.approx(float(loss), rel=1e-5)


@pytest.mark.parametrize("cache_bytes", [0, 2**13, 2**16, 2**30])
@pytest.mark.parametrize("name", sorted(zoo.MODELS))
def test_neither_memory_nor_order_nor_company_changes_a_result(name: str, cache_bytes: int) -> None:
    model, inputs = zoo.build(name)
    program = lower(trace(model, inputs[:3], name))
    part = Part(inputs, torch.arange(len(inputs)) % 5)
    plans = random_plans(program.network, 20, seed=2)
    # few formats in few layers: what the plans have in common is computed once
    chance, layer = random.Random(5), [*program.network.product_layers][-1]
    plans += [
        Plan.of({**dict(plans[0].layers), layer: LayerPlan(weight=f, data=g)})
        for f in FORMATS
        for g in FORMATS
    ]
    expected = [
        int(
            (
                torch.cat([defined_outputs(program, p, b) for b in torch.split(inputs, 16)]).argmax(1)
                == part.targets
            ).sum()
        )
        for p in plans
    ]
    evaluator = Evaluator(program, part, batch_size=16, cache_bytes=cache_bytes)
    order = chance.sample(range(len(plans)), len(plans))
    found: dict[int, Quality] = {}
    while order:
        some = [order.pop() for _ in range(min(len(order), chance.choice([1, 2, 7])))]
        found |= dict(zip(some, evaluator.evaluate([plans[i] for i in some], loss=True), strict=True))
    together = Evaluator(program, part, batch_size=16).evaluate(plans, loss=True)
    assert [found[i] for i in range(len(plans))] == together
    assert [quality.sums["accuracy"][0] for quality in together] == expected
    assert evaluator.contributions(plans).sum(dim=1).tolist() == expected


def random_chain(chance: random.Random) -> tuple[nn.Module, Tensor, Tensor]:
    """A chain of linear layers with what may stand between them, samples, and unevenly spread classes."""
    torch.manual_seed(chance.randrange(2**31))
    classes = chance.choice([2, 3, 5, 11])
    widths = [chance.choice([1, 3, 16, 33]) for _ in range(chance.choice([1, 2, 4]))] + [classes]
    layers: list[nn.Module] = [nn.BatchNorm1d(widths[0])] if chance.random() < 0.5 else []
    for inputs, outputs in itertools.pairwise(widths):
        layers.append(nn.Linear(inputs, outputs, bias=chance.random() < 0.7))
        layers += [nn.BatchNorm1d(outputs)] * (chance.random() < 0.4) + [nn.ReLU()] * (chance.random() < 0.6)
    model = nn.Sequential(*layers, nn.Linear(classes, classes))
    samples = 3 * torch.randn(chance.choice([40, 700, 1500]), widths[0])
    with torch.no_grad():
        model.train()(samples)
    weights = torch.rand(classes) + 0.2
    return model.eval(), samples, torch.multinomial(weights, len(samples), replacement=True)


@pytest.mark.parametrize("seed", range(12))
def test_chains_of_fixed_point_layers_equal_the_definition(seed: int) -> None:
    chance = random.Random(seed)
    model, samples, targets = random_chain(chance)
    program = lower(trace(model, samples[:3], "chain"))
    layers = [*program.network.product_layers]

    def operand() -> NumberFormat:
        width = chance.choice([1, 2, 3, 4, 8, 11, 16])  # sums of the widest are not exact
        signed, rounding = chance.random() < 0.8, chance.choice(ROUNDINGS.words)
        overflow = chance.choice(OVERFLOWS.words if width > 1 else ("saturate", "wrap"))
        return FixedPoint(width, chance.randint(-2, width + 2), signed, rounding, overflow)

    choices = {
        layer: [LayerPlan(operand(), operand(), chance.choice([operand(), FLOAT32])) for _ in range(4)]
        for layer in layers
    }
    plans = [Plan.of({layer: chance.choice(choices[layer]) for layer in layers}) for _ in range(60)]
    evaluator = Evaluator(program, Part(samples, targets), batch_size=512)
    qualities = evaluator.evaluate(plans, loss=True)
    hits = evaluator.contributions(plans)
    for plan, quality, own_hits in zip(plans, qualities, hits, strict=True):
        outputs = torch.cat([defined_outputs(program, plan, batch) for batch in torch.split(samples, 512)])
        expected = outputs.argmax(dim=1) == targets
        assert torch.equal(own_hits, expected)
        assert quality.sums["accuracy"] == (int(expected.sum()),)
        assert quality.metrics["loss"] == pytest.approx(
            float(F.cross_entropy(outputs.double(), targets)), rel=1e-5, abs=1e-6
        )
    alone = Evaluator(program, Part(samples, targets), batch_size=512)
    assert [alone.evaluate([plan], loss=True)[0] for plan in plans[:20]] == qualities[:20]


def test_the_way_for_chains_is_taken_where_sums_are_exact(jsc_toy_lowered: Program) -> None:
    chain = find_chain(compile_steps(jsc_toy_lowered))
    assert chain is not None
    layers = jsc_toy_lowered.network.product_layers

    def plan(width: int) -> Plan:
        operand = FixedPoint(width, width // 2)
        return Plan.of({layer: LayerPlan(operand, operand, operand) for layer in layers})

    assert chain.options(plan(8)) is not None
    assert chain.options(plan(16)) is None  # 64 products of 2**30
    assert chain.options(Plan()) is None


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.left, self.right, self.head = nn.Linear(4, 6), nn.Linear(3, 6), nn.Linear(6, 5)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        output: Tensor = self.head(torch.relu(self.left(x) + self.right(y)))
        return output


def test_a_model_may_take_several_inputs() -> None:
    torch.manual_seed(0)
    model, x, y = TwoInputs().eval(), torch.randn(50, 4), torch.randn(50, 3)
    program = lower(trace(model, (x[:3], y[:3]), "two inputs"))
    part = Part(x, torch.arange(50) % 5, (y,))
    plans = random_plans(program.network, 15, seed=6)
    for plan, quality in zip(plans, Evaluator(program, part, batch_size=16).evaluate(plans), strict=True):
        batches = zip(torch.split(x, 16), torch.split(y, 16), strict=True)
        outputs = torch.cat([defined_outputs(program, plan, *batch) for batch in batches])
        assert quality.sums["accuracy"] == (int((outputs.argmax(dim=1) == part.targets).sum()),)


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
    plans = random_plans(jsc_toy_lowered.network, 30, seed=3, formats=PLAIN)
    evaluator = Evaluator(jsc_toy_lowered, part)
    for plan, quality in zip(plans, evaluator.evaluate(plans), strict=True):
        module = copy.deepcopy(jsc_toy)
        for name, layer in plan.layers:
            module.set_submodule(name, FakeQuantizedLinear(module.get_submodule(name), layer))
        with torch.no_grad():
            correct = int((module(part.inputs).argmax(dim=1) == part.targets).sum())
        assert abs(correct - quality.sums["accuracy"][0]) <= 2


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
    for number_format in PLAIN:
        assert torch.equal(FakeQuantizedLinear.rounded(x, number_format), quantize(x, number_format))


def test_a_single_logit_tells_two_classes_apart_by_its_sign() -> None:
    model = nn.Linear(3, 1).eval()
    with torch.no_grad():
        model.weight.fill_(1.0)
        model.bias.fill_(1 / 16)
    inputs = torch.randint(-4, 5, (70, 3), generator=torch.Generator().manual_seed(0)) / 8
    is_told_right = torch.arange(70) % 3 > 0
    classes = torch.where(is_told_right, inputs.sum(1) >= 0, inputs.sum(1) < 0).to(torch.int64)
    program = lower(trace(model, torch.randn(3, 3)))
    plan = Plan.of({layer: LayerPlan(*[FixedPoint(8, 4)] * 3) for layer in program.network.product_layers})
    evaluator = Evaluator(program, Part(inputs, classes), batch_size=64)
    assert evaluator.evaluate([plan])[0].sums["accuracy"] == (46,)
    assert torch.equal(evaluator.contributions([plan])[0].bool(), is_told_right)
