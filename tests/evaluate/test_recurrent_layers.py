"""Embeddings and recurrent layers under plans: cells by hand, engines, modules, costs, ONNX, calibration."""

import itertools

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from narrower.cost.network_cost import NetworkCost
from narrower.data.parts import Part
from narrower.errors import ExportError, ModelError, UnknownNameError
from narrower.evaluate.calibration import Calibration
from narrower.evaluate.definition import defined_outputs
from narrower.evaluate.deployed import deployed
from narrower.evaluate.evaluator import Evaluator
from narrower.export.onnx_model import to_onnx
from narrower.graph.lower import lower
from narrower.graph.own_copy import own_copy
from narrower.graph.program import Program
from narrower.graph.trace import trace
from narrower.plan.formats.text import parse_format
from narrower.plan.plan import LayerPlan, Plan
from narrower.searching.build_space import build_space
from narrower.searching.space_settings import LayerChoices, OperandChoices, SpaceSettings
from narrower.training.in_rounds import InRounds
from narrower.training.many import train_all, train_in_formats
from narrower.training.recipe import Recipe
from narrower.training.rounding import rounded
from narrower.transform.quantized import quantized
from narrower.transform.quantizers.quantize import quantize, quantize_straight_through
from narrower.transform.recurrent import RoundedStates, rounding_to

WORDS, STEPS, INPUTS, UNITS = 20, 5, 6, 4
KINDS = {
    "lstm": lambda: nn.LSTM(INPUTS, UNITS, batch_first=True),
    "two layers both ways": lambda: nn.LSTM(INPUTS, UNITS, 2, bidirectional=True),
    "projected": lambda: nn.LSTM(INPUTS, UNITS, batch_first=True, proj_size=3),
    "gru": lambda: nn.GRU(INPUTS, UNITS, 2, batch_first=True),
    "gru without biases": lambda: nn.GRU(INPUTS, UNITS, bias=False, bidirectional=True),
    "rnn": lambda: nn.RNN(INPUTS, UNITS, batch_first=True),
    "relu": lambda: nn.RNN(INPUTS, UNITS, nonlinearity="relu", batch_first=True),
}


class Reader(nn.Module):
    """A table, a recurrent layer and a head on the last step."""

    def __init__(self, layer: nn.RNNBase) -> None:
        super().__init__()
        self.table, self.memory = nn.Embedding(WORDS, INPUTS), layer
        self.head = nn.Linear((layer.proj_size or UNITS) * (2 if layer.bidirectional else 1), 3)

    def forward(self, x: Tensor) -> Tensor:
        if self.memory.batch_first:
            found: Tensor = self.head(self.memory(self.table(x))[0][:, -1])
            return found
        last: Tensor = self.head(self.memory(self.table(x).transpose(0, 1))[0][-1])
        return last


def reader(kind: str) -> tuple[nn.Module, Program, Tensor]:
    torch.manual_seed(1)
    model, x = Reader(KINDS[kind]()).eval(), torch.randint(0, WORDS, (6, STEPS))
    return model, lower(trace(model, x)), x


def plan(data: str, weight: str, bias: str = "fixed(6,frac=5)", table: str = "fixed(6,frac=3)") -> Plan:
    of = parse_format
    memory = LayerPlan(of(data), of(weight), of(bias))
    return Plan.of({"memory": memory, "table": LayerPlan(weight=of(table))})


def cell(layer: nn.RNNBase, x: Tensor, state: list[Tensor], names: str, memory: LayerPlan) -> list[Tensor]:
    """One step by the formulas of PyTorch's documentation."""

    def held(name: str) -> Tensor:
        number_format = memory.bias if name.startswith("bias") else memory.weight
        return quantize(getattr(layer, f"{name}_{names}").detach(), number_format)

    x, h = quantize(x, memory.data), quantize(state[0], memory.data)
    left, right = x @ held("weight_ih").T, h @ held("weight_hh").T
    if layer.bias:
        left, right = left + held("bias_ih"), right + held("bias_hh")
    if isinstance(layer, nn.LSTM):
        i, f, g, o = (left + right).chunk(4, -1)
        c = f.sigmoid() * state[1] + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        return [quantize(h, memory.data) @ held("weight_hr").T if layer.proj_size else h, c]
    if isinstance(layer, nn.GRU):
        (xr, xz, xn), (hr, hz, hn) = left.chunk(3, -1), right.chunk(3, -1)
        z = (xz + hz).sigmoid()
        return [(1 - z) * (xn + (xr + hr).sigmoid() * hn).tanh() + z * state[0]]
    return [(left + right).relu() if layer.mode == "RNN_RELU" else (left + right).tanh()]


def by_hand(model: nn.Module, x: Tensor, chosen: Plan) -> Tensor:
    layer, memory = model.memory, chosen.layer("memory")
    assert isinstance(layer, nn.RNNBase)
    values = quantize(model.table.weight.detach(), chosen.layer("table").weight)[x]
    for number in range(layer.num_layers):
        sides = []
        for side in ("", "_reverse")[: 2 if layer.bidirectional else 1]:
            state = [torch.zeros(len(x), layer.proj_size or UNITS), torch.zeros(len(x), UNITS)]
            found = {}
            for step in range(STEPS)[:: -1 if side else 1]:
                state = cell(layer, values[:, step], state, f"l{number}{side}", memory)
                found[step] = state[0]
            sides.append(torch.stack([found[step] for step in range(STEPS)], 1))
        values = torch.cat(sides, -1)
    return model.head(values[:, -1]).detach()


@pytest.mark.filterwarnings("ignore:LSTM with projections")
@pytest.mark.parametrize("kind", KINDS)
def test_states_and_inputs_are_rounded_at_each_step(kind: str) -> None:
    model, program, x = reader(kind)
    for data, weight in (("fixed(4,frac=2)", "fixed(4,frac=3)"), ("e4m3fn", "affine(4,per=channel)")):
        chosen = plan(data, weight)
        assert torch.allclose(defined_outputs(program, chosen, x), by_hand(model, x, chosen), atol=1e-6)
    assert not torch.allclose(defined_outputs(program, chosen, x), by_hand(model, x, Plan()), atol=1e-3)


@pytest.mark.filterwarnings("ignore:LSTM with projections")
@pytest.mark.parametrize("kind", KINDS)
def test_rounded_weights_alone_are_those_of_the_operator_itself(kind: str) -> None:
    model, program, x = reader(kind)
    chosen = plan("float32", "fixed(3,frac=2)")
    before = model(x)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            own = chosen.layer(name.split(".")[0])
            parameter.copy_(quantize(parameter, own.bias if "bias" in name else own.weight))
        assert torch.allclose(defined_outputs(program, chosen, x), model(x), atol=1e-6)
    assert not torch.allclose(before, model(x), atol=1e-3)


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_the_engine_and_the_module_compute_what_is_defined_bit_for_bit(kind: str) -> None:
    _, program, x = reader(kind)
    part = Part(x, torch.zeros(len(x), dtype=torch.int64))
    evaluator = Evaluator(program, part)
    formats = (("float32", "fixed(4,frac=2)", "mxint8"), ("float32", "fixed(4,frac=3)"), ("float32", "e2m1"))
    plans = [plan(data, weight, table=table) for data, weight, table in itertools.product(*formats)]
    for chosen in [*plans, *plans[::-3]]:
        expected = defined_outputs(program, chosen, x)
        assert torch.equal(evaluator.outputs(chosen, x), expected)
        assert torch.equal(deployed(program, chosen)(x), expected)
    scored = evaluator.evaluate(plans, loss=True)
    for chosen, quality in zip(plans, scored, strict=True):
        loss = nn.functional.cross_entropy(defined_outputs(program, chosen, x), part.targets)
        assert quality.metrics["loss"] == pytest.approx(float(loss), rel=1e-5)


def test_costs_count_them_at_their_widths() -> None:
    _, program, _ = reader("lstm")
    cost = NetworkCost(program.network)
    matrices, biases, table, head = 4 * UNITS * (INPUTS + UNITS), 8 * UNITS, WORDS * INPUTS, UNITS * 3
    found = cost.of(plan("fixed(8,frac=4)", "fixed(4,frac=3)", "fixed(6,frac=5)", "fixed(3,frac=2)"))
    assert found["bitops"] == STEPS * matrices * 8 * 4 + head * 32 * 32
    assert found["model_size"] == (matrices * 4 + biases * 6 + table * 3 + (head + 3) * 32) / 8
    weights = matrices + table + head
    assert found["average_bitwidth"] == pytest.approx((matrices * 4 + table * 3 + head * 32) / weights)
    assert cost.of(Plan())["average_bitwidth"] == 32
    assert found["energy"] < cost.of(plan("float32", "fixed(4,frac=3)"))["energy"]


@pytest.mark.filterwarnings("ignore:LSTM with projections")
@pytest.mark.parametrize("kind", KINDS)
def test_onnx_holds_the_rounded_table_and_rounds_states_at_each_step(kind: str) -> None:
    _, program, x = reader(kind)
    for data, weight in (("float32", "fixed(4,frac=3)"), ("fixed(5,frac=3)", "fixed(4,frac=3)")):
        chosen = plan(data, weight)
        file = to_onnx(program, chosen)
        operators = {node.op_type for node in file.graph.node}
        assert "Gather" in operators
        assert bool(operators & {"LSTM", "GRU", "RNN"}) == (data == "float32" and kind != "projected")
        session = onnxruntime.InferenceSession(file.SerializeToString(), providers=["CPUExecutionProvider"])
        (outputs,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
        assert np.allclose(outputs, defined_outputs(program, chosen, x).numpy(), atol=1e-6)


def test_qonnx_refuses_rounded_states_by_name() -> None:
    _, program, _ = reader("gru")
    with pytest.raises(ExportError, match="memory: QONNX has no recurrent layer that rounds its states"):
        to_onnx(program, plan("fixed(8,frac=6)", "fixed(4,frac=3)"), dialect="qonnx", batch_size=6)
    assert to_onnx(program, plan("float32", "fixed(4,frac=3)"), dialect="qonnx", batch_size=6).graph.node


def test_calibration_looks_at_states_as_well_as_inputs() -> None:
    model, program, x = reader("lstm")
    with torch.no_grad():
        model.table.weight.mul_(2**-9)
    tiny = lower(trace(model, x))
    inputs = model.table(x).abs().max()
    states = model.memory(model.table(x))[0].abs().max()
    assert inputs < states / 8
    fraction = Calibration(tiny, x).fraction("memory", "data", 8)
    assert states <= 2.0 ** (7 - fraction) < 4 * states
    assert fraction > Calibration(program, x).fraction("memory", "data", 8)


def settings(key: str, *, by: str = "type") -> SpaceSettings:
    own = LayerChoices(("fixed",), *(OperandChoices((4, 8), ("NA",)),) * 3)
    return SpaceSettings(by, ((key, own),), None)  # type: ignore[arg-type]


@pytest.mark.parametrize(("key", "layer", "count"), [("embedding", "table", 2), ("gru", "memory", 8)])
def test_types_mean_them_and_a_table_has_a_weight_alone(key: str, layer: str, count: int) -> None:
    _, program, _ = reader("gru")
    space = build_space(program.network, settings(key), lambda *_: 0)
    (slot,) = space.slots
    assert (slot.name, slot.count) == (layer, count)


def test_a_head_that_shares_the_table_has_its_plan() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.out = nn.Embedding(WORDS, INPUTS), nn.Linear(INPUTS, WORDS, bias=False)
            self.out.weight = self.table.weight

        def forward(self, x: Tensor) -> Tensor:
            found: Tensor = self.out(self.table(x).mean(1))
            return found

    model, x = Tied().eval(), torch.randint(0, WORDS, (6, STEPS))
    program = lower(trace(model, x))
    assert list(program.network.rounded_layers) == ["table"]
    chosen = Plan.of({"table": LayerPlan(weight=parse_format("fixed(4,frac=2)"))})
    rounded = quantize(model.table.weight.detach(), chosen.layer("table").weight)
    expected = rounded[x].mean(1) @ rounded.T
    assert torch.allclose(defined_outputs(program, chosen, x), expected, atol=1e-5)
    assert NetworkCost(program.network).of(chosen)["model_size"] == WORDS * INPUTS / 2


def test_modules_round_tables_and_refuse_what_they_cannot_round_by_name() -> None:
    model, program, x = reader("lstm")
    table = Plan.of({"table": LayerPlan(weight=parse_format("fixed(4,frac=2)"))})
    assert torch.allclose(quantized(model, table)(x), defined_outputs(program, table, x), atol=1e-6)
    with pytest.raises(ModelError, match="an embedding reads whole numbers"):
        quantized(model, Plan.of({"table": LayerPlan(data=parse_format("fixed(4,frac=2)"))}))
    with pytest.raises(UnknownNameError):
        deployed(program, Plan.of({"nothing": LayerPlan(weight=parse_format("fixed(4,frac=2)"))}))


@pytest.mark.filterwarnings("ignore:LSTM with projections")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("data", ["float32", "fixed(4,frac=2)"])
def test_modules_with_recurrent_layers_compute_what_is_scored_and_train(kind: str, data: str) -> None:
    model, program, x = reader(kind)
    chosen = plan(data, "fixed(4,frac=3)")
    expected = defined_outputs(program, chosen, x)
    for copied in (quantized(model, chosen), rounded(model, chosen)):
        assert torch.allclose(copied(x), expected, atol=1e-6)
        assert torch.allclose(own_copy(copied)(x), expected, atol=1e-6)
    y = torch.randint(0, 3, (len(x),))
    trained = train_in_formats(
        model, chosen, Part(x, y), Recipe(max_epochs=30, batch_size=3, learning_rate=0.02)
    )
    after = lower(trace(trained, x))
    cross_entropy = nn.functional.cross_entropy
    assert cross_entropy(defined_outputs(after, chosen, x), y) < cross_entropy(expected, y) - 0.1
    moved = [
        a
        for (name, a), b in zip(trained.named_parameters(), model.parameters(), strict=True)
        if (a != b).any()
    ]
    # Backwards, the last step is the first: its state is 0, and what multiplies it learns nothing.
    assert len(moved) >= len(list(model.parameters())) - model.memory.bidirectional
    assert torch.allclose(rounded(trained, chosen)(x), defined_outputs(after, chosen, x), atol=1e-6)
    assert "forward" not in vars(trained.memory)  # what rounded the states is gone


def test_the_gradient_of_a_rounded_layer_is_that_of_the_steps_written_down() -> None:
    model, _, x = reader("gru")
    chosen = plan("fixed(4,frac=2)", "float32", "float32", "float32")
    copied, given = quantized(model, chosen), model.table(x).detach()
    copied.memory(given)[0].sum().backward()
    layer, states = model.memory, [torch.zeros(len(x), UNITS)] * 2
    total = torch.zeros(())
    for step in range(STEPS):
        value = given[:, step]
        for number in range(2):
            passed = quantize_straight_through(value, chosen.layer("memory").data)
            read = quantize_straight_through(states[number], chosen.layer("memory").data)
            left = passed @ getattr(layer, f"weight_ih_l{number}").T + getattr(layer, f"bias_ih_l{number}")
            right = read @ getattr(layer, f"weight_hh_l{number}").T + getattr(layer, f"bias_hh_l{number}")
            (xr, xz, xn), (hr, hz, hn) = left.chunk(3, -1), right.chunk(3, -1)
            update = (xz + hz).sigmoid()
            new = (xn + (xr + hr).sigmoid() * hn).tanh()
            states[number] = value = (1 - update) * new + update * states[number]
        total = total + value.sum()
    total.backward()
    for name, parameter in layer.named_parameters():
        assert torch.allclose(copied.memory.get_parameter(name).grad, parameter.grad, atol=1e-5), name


def test_many_plans_with_recurrent_layers_are_trained_one_at_a_time_as_each_alone() -> None:
    model, _, x = reader("lstm")
    part, recipe = Part(x, torch.randint(0, 3, (len(x),))), Recipe(max_epochs=2, batch_size=3)
    plans = [plan(f"fixed({width},frac=2)", "fixed(4,frac=3)") for width in (4, 5)]
    plans.append(Plan.of({"head": LayerPlan(weight=parse_format("fixed(4,frac=3)"))}))
    for copied, chosen in zip(train_all([model] * 3, plans, part, recipe), plans, strict=True):
        assert isinstance(copied, nn.Module)
        alone = train_in_formats(model, chosen, part, recipe)
        for one, other in zip(copied.parameters(), alone.parameters(), strict=True):
            assert torch.equal(one, other)
    rounds = InRounds(model, part, recipe)
    assert all(rounds.why_not(chosen) is None for chosen in plans)
    states = rounds.train(plans, [None] * 3, 2, unfinished=None, seen=lambda *_: None)
    states = rounds.train(plans, states, rounds.steps, unfinished=None, seen=lambda *_: None)
    for together, chosen in zip(rounds.weights(plans, states), plans, strict=True):
        alone = train_in_formats(model, chosen, part, recipe)
        for one, other in zip(together.parameters(), alone.parameters(), strict=True):
            assert torch.allclose(one, other, atol=1e-5)


def test_dropout_between_layers_is_that_of_the_operator_and_packed_sequences_are_refused() -> None:
    layer, x = nn.LSTM(INPUTS, UNITS, 2, dropout=1.0), torch.randn(STEPS, 3, INPUTS)
    fine = RoundedStates(layer, rounding_to(parse_format("fixed(24,frac=18)")))
    outputs = layer(x)[0]
    fine.remove()
    assert torch.allclose(outputs, layer(x)[0], atol=1e-4)  # all of it is dropped: nothing is drawn
    assert not torch.allclose(outputs, layer.eval()(x)[0], atol=1e-2)
    RoundedStates(layer, rounding_to(parse_format("fixed(8,frac=4)")))
    assert torch.allclose(layer(x)[0][:, 0], layer(x[:, 0])[0])  # one sequence without a batch
    with pytest.raises(ModelError, match="packed sequences"):
        layer(nn.utils.rnn.pack_padded_sequence(x, torch.tensor([5, 4, 2])))
