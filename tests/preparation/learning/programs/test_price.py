"""The cost in the loss is the cost of the plan that is deployed."""

from collections.abc import Sequence

import pytest
import torch
from torch import nn

from narrower.cost.network_cost import NetworkCost
from narrower.evaluate.definition import Definition
from narrower.export.luts import ebops
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.formats.float32 import FLOAT32
from narrower.plan.plan import LayerPlan, Plan
from narrower.preparation.learning.effective_bits import effective_bit_operations
from narrower.preparation.learning.price import price_of
from narrower.preparation.learning.programs.freeze import freeze
from narrower.preparation.learning.programs.learned_program import LearnedProgram
from narrower.preparation.learning.programs.operands import operands_of
from narrower.preparation.learning.programs.relaxed_cost import RelaxedCost
from narrower.preparation.learning.programs.start import start
from narrower.preparation.learning.settings import LEARNED_COSTS, LearnSettings
from tests.preparation.learning.programs.networks import Attending, Convolutional, images, lowered

NOTHING = Plan()


def exact(
    kind: type[nn.Module],
    granularity: str,
    operands: Sequence[str] = ("data", "weight"),
    kept: Plan = NOTHING,
) -> tuple[LearnedProgram, tuple[torch.Tensor, ...]]:
    """A network whose weights need all the bits that they have, each group at least once."""
    _, program = lowered(kind)
    operands = operands_of(program, granularity, operands, kept)  # type: ignore[arg-type]
    learned = LearnedProgram(program, operands)
    arguments = images(60).train.arguments
    start(learned, LearnSettings(), arguments)
    chance = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for each in learned.coefficients:
            bits = torch.randint(0, 6, each.about.widths, generator=chance)
            steps = (2**bits - 1).expand(each.about.shape)
            each.bits.copy_(bits)
            each.integer_bits.copy_(bits - 3)
            each.values.copy_(steps * 2.0**-3)
        for data in learned.data:
            data.fractions.copy_(torch.randint(2, 5, data.about.widths, generator=chance))
            data.integer_bits.fill_(-64)
            data.signs.zero_()
        learned.outputs(*arguments, see=lambda number, values: learned.data[number].see(values))
    return learned, arguments


@pytest.mark.parametrize("granularity", ["tensor", "channel", "weight"])
@pytest.mark.parametrize("kind", [Convolutional, Attending])
def test_a_relaxed_cost_is_that_of_the_plan(kind: type[nn.Module], granularity: str) -> None:
    learned, arguments = exact(kind, granularity)
    frozen = freeze(learned, arguments, 32)
    network = learned.program.network
    costs = {**NetworkCost(network).of(frozen.plan)}
    costs["ebops"] = effective_bit_operations(frozen.program(learned.program), frozen.plan)
    for name in LEARNED_COSTS:
        found = float(RelaxedCost(learned, price_of(name, network)).now().detach())
        assert found == pytest.approx(costs[name], rel=1e-5), name
        assert costs[name] > 0


@pytest.mark.parametrize("kind", [Convolutional, Attending])
@pytest.mark.parametrize("operand", ["data", "weight"])
def test_what_is_not_learned_keeps_its_format_and_counts_by_it(kind: type[nn.Module], operand: str) -> None:
    network = lowered(kind)[1].network
    four, six = FixedPoint(4, 3), FixedPoint(6, 3)
    own = LayerPlan(six) if operand == "weight" else LayerPlan(FLOAT32, four, six)
    layers = [
        n for n, (o, *_) in network.multiplying_layers.items() if operand == "weight" or network.weight_of(o)
    ]
    kept = Plan.of(dict.fromkeys(layers, own))
    learned, arguments = exact(kind, "channel", (operand,), kept)
    frozen = freeze(learned, arguments, 32)
    for layer in layers:
        mine = frozen.plan.layer(layer)
        assert (mine.data == six) if operand == "weight" else ((mine.weight, mine.bias) == (four, six))
    with torch.no_grad():
        deployed = Definition(frozen.program(learned.program)).outputs(frozen.plan, *arguments)
        torch.testing.assert_close(learned.outputs(*arguments), deployed)
    costs = {**NetworkCost(network).of(frozen.plan)}
    costs["ebops"] = effective_bit_operations(frozen.program(learned.program), frozen.plan)
    for name in LEARNED_COSTS if operand == "weight" else ("ebops", "bitops", "energy"):
        relaxed = RelaxedCost(learned, price_of(name, network)).now()
        assert float(relaxed.detach()) == pytest.approx(costs[name], rel=1e-5), name
        learned.gradient.zero_()
        relaxed.backward()  # type: ignore[no-untyped-call]
        assert float(learned.bits_gradient.abs().sum()) > 0


def test_a_gradient_of_a_cost_is_what_one_bit_more_or_less_changes() -> None:
    learned, _ = exact(Convolutional, "channel")
    network = learned.program.network
    for name in LEARNED_COSTS:
        cost = RelaxedCost(learned, price_of(name, network))
        learned.gradient.zero_()
        cost.now().backward()  # type: ignore[no-untyped-call]
        for each in learned.coefficients:
            bits = each.bits.detach().flatten()
            (some,) = torch.nonzero(bits > 1)[0].tolist()
            before = float(cost.now().detach())
            each.bits.data.view(-1)[some] -= 1
            change = before - float(cost.now().detach())
            each.bits.data.view(-1)[some] += 1
            assert each.bits.grad is not None
            wanted = pytest.approx(change, rel=1e-3, abs=1e-3)
            assert float(each.bits.grad.flatten()[some]) == wanted, (name, each.about)


def test_effective_bits_of_a_chain_are_those_of_logic() -> None:
    from narrower.graph.lower import lower
    from narrower.graph.trace import trace

    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3)).eval()
    program = lower(trace(model, torch.zeros(3, 4)))
    plan = Plan.of(
        {
            "0": LayerPlan(FixedPoint(6, 3), FixedPoint(4, 3)),
            "2": LayerPlan(FixedPoint(8, 4), FixedPoint(3, 2)),
        }
    )
    total = 0
    for layer, bits, width, frac in (("0", 6, 4, 3), ("2", 8, 3, 2)):
        weight = model.get_submodule(layer).weight.detach()  # type: ignore[union-attr]
        for value in (weight * 2**frac).round().clamp(-(2 ** (width - 1)), 2 ** (width - 1) - 1).flatten():
            magnitude = abs(int(value))
            while magnitude and magnitude % 2 == 0:
                magnitude //= 2
            total += bits * magnitude.bit_length()
    assert effective_bit_operations(program, plan) == ebops(program, plan) == total
