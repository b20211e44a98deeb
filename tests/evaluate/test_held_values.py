"""Values are held where another plan may need them, and plans that come later find what they need."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from narrower.data.parts import Part
from narrower.evaluate.compile_steps import compile_steps
from narrower.evaluate.definition import defined_outputs
from narrower.evaluate.graph_engine import GraphEngine
from narrower.graph.lower import lower
from narrower.graph.program import Program
from narrower.graph.trace import trace
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.plan import LayerPlan, Plan


class Branches(nn.Module):
    """A value that is read twice without a choice between, and one that two layers round."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.left, self.right = nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 8)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.first(x))
        y = torch.tanh(x + self.left(x) + self.right(x))
        return self.head(x * (y.sigmoid() + y.exp()))


def _program() -> tuple[Program, Tensor]:
    torch.manual_seed(0)
    inputs = torch.randn(20, 6)
    return lower(trace(Branches().eval(), inputs, "branches")), inputs


def test_what_is_read_twice_on_the_way_to_a_held_value_is_not_held() -> None:
    steps = compile_steps(_program()[0])
    kept = {steps.steps[index].function for index in steps.kept}
    assert torch.ops.aten.tanh.default not in kept
    assert torch.ops.aten.relu.default in kept  # two layers and an addition read it
    assert torch.ops.aten.mul.Tensor in kept  # the head rounds it


def test_an_addition_overwrites_whichever_argument_is_new() -> None:
    steps = compile_steps(_program()[0])
    relu = next(i for i, step in enumerate(steps.steps) if step.function is torch.ops.aten.relu.default)
    (addition,) = (
        step for step in steps.steps if relu in step.inputs and step.function is torch.ops.aten.add.Tensor
    )
    held, new = torch.ones(2), torch.full((2,), 3.0)
    assert addition.overwrite is not None
    assert addition.overwrite(held, new) is new
    assert (held.tolist(), new.tolist()) == ([1.0, 1.0], [4.0, 4.0])


def test_a_format_that_comes_later_finds_unrounded_data() -> None:
    """As long as all plans round a value to one format, only what it is rounded to is held."""
    program, inputs = _program()
    engine = GraphEngine(compile_steps(program), Part(inputs, torch.arange(20) % 3), 20, 2**20)
    weight = FixedPoint(5, 4)
    layers = [*program.network.product_layers]
    found: dict[int, Tensor] = {}

    def keep(position: int, _first: int, outputs: Tensor, _targets: Tensor) -> None:
        found[position] = outputs

    for widths in ((8,), (8,), (8, 4), (3,), (4, 8)):
        plans = [
            Plan.of(dict.fromkeys(layers, LayerPlan(FixedPoint(width, width // 2), weight, weight)))
            for width in widths
        ]
        engine._visit(plans, keep)
        for position, plan in enumerate(plans):
            assert torch.equal(found[position], defined_outputs(program, plan, inputs))


def test_two_formats_of_every_weight_have_room_where_half_of_the_memory_is_enough() -> None:
    model = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 64)).eval()
    inputs = torch.randn(4, 64)
    steps = compile_steps(lower(trace(model, inputs)))
    weights = sum(tensor.nbytes for tensor in model.state_dict().values())
    part = Part(inputs, torch.arange(4))
    formats = {"0": (FixedPoint(8, 7), FixedPoint(4, 3)), "2": (FixedPoint(8, 7), FixedPoint(4, 3))}
    for cache_bytes, is_enough in ((8 * weights, True), (2 * weights, False)):
        engine = GraphEngine(steps, part, 4, cache_bytes)
        for number in (0, 1):
            plan = Plan.of({name: LayerPlan(weight=own[number]) for name, own in formats.items()})
            engine.score([plan], loss=False, own={})
        held = [
            engine._weights.get((index, number_format)) is not None
            for index, step in enumerate(steps.steps)
            if step.slot is not None and steps.slots[step.slot][1] == "weight"
            for number_format in formats[steps.slots[step.slot][0]]
        ]
        assert len(held) == 4
        assert all(held) == is_enough
