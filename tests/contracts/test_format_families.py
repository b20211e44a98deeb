"""What every family of number formats keeps to, and a toy one that needs no other file."""

from dataclasses import dataclass, fields
from math import prod
from typing import Annotated, Any

import onnxruntime
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from onnx import TensorProto
from torch import Tensor, nn

from narrower.data.datasets import Part
from narrower.errors import SettingsError
from narrower.evaluate.definition import defined_outputs
from narrower.evaluate.evaluator import Evaluator
from narrower.export.formats.catalogue import EXPRESSIONS, refusal
from narrower.export.formats.expression import ARTEFACTS, Artefact, Expression
from narrower.export.onnx_builder import OnnxBuilder
from narrower.export.onnx_model import to_onnx
from narrower.export.qdq_rounding import QdqRounding
from narrower.export.rounding import Form
from narrower.graph.lower import lower
from narrower.graph.trace import trace
from narrower.plan.formats.block import BLOCK_FLOAT
from narrower.plan.formats.catalogue import FAMILIES
from narrower.plan.formats.family import Family
from narrower.plan.formats.fields import FieldKind, Positive, Switch, Whole, Wholes, Word
from narrower.plan.formats.float32 import FLOAT32, Float32
from narrower.plan.formats.grid import LARGEST_WHOLE
from narrower.plan.formats.number_format import NumberFormat
from narrower.plan.formats.sign_only import BINARY
from narrower.plan.formats.text import parse_format
from narrower.plan.plan import LayerPlan, Plan, plan_from_dict, plan_to_dict
from narrower.transform.quantizers.catalogue import QUANTIZERS
from narrower.transform.quantizers.quantize import quantize, quantize_straight_through, quantize_to_steps
from narrower.transform.quantizers.quantizer import Quantizer

FAMILY = pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
GRIDDED = [family for family in FAMILIES if parse_format(next(iter(family.examples))).grid is not None]
ON_A_GRID = pytest.mark.parametrize("family", GRIDDED, ids=lambda family: family.name)
# A block whose largest number is a power of two has no room for it, so that it becomes smaller each time.
ROUNDING_ONCE = [family for family in FAMILIES if family is not BLOCK_FLOAT]
WITH_ZERO = [family for family in FAMILIES if family is not BINARY]
IN_ONNX = [f for f in FAMILIES if any(refusal(parse_format(text), "onnx") is None for text in f.examples)]
SEEDS = st.integers(0, 2**31)
FORMS: tuple[Form, ...] = ("container", "bytes", "float32")


def _values(kind: FieldKind) -> st.SearchStrategy[Any]:
    if isinstance(kind, Whole):
        return st.integers(kind.low, kind.high)
    if isinstance(kind, Positive):
        powers = st.integers(-20, 20).map(lambda exponent: 2.0**exponent)
        return st.one_of(st.just(kind.meaning), powers, st.floats(2.0**-20, 2.0**20, width=32))
    if isinstance(kind, Wholes):  # one for all: the tensors here have no channels
        return st.integers(max(kind.low, -20), min(kind.high, 20)).map(lambda one: (one,))
    if isinstance(kind, Word):
        return st.sampled_from(kind.words)
    assert isinstance(kind, Switch), f"how are values of {kind} drawn?"
    return st.booleans()


def _drawn(data: st.DataObject, family: Family) -> NumberFormat:
    """A format of the family with any values of its fields."""
    chosen = {}
    for name, kind in family.field_kinds.items():
        usual = st.just(family.defaults[name]) if name in family.defaults else st.nothing()
        chosen[name] = data.draw(usual | usual | _values(kind), label=name)  # many fields suit defaults alone
    try:
        made: NumberFormat = family.kind(**chosen)
    except SettingsError:
        assume(False)
    return made


def _numbers(number_format: NumberFormat, seed: int) -> Tensor:
    """Numbers of every size that matters to the format, in rising order, and some that are far outside."""
    generator = torch.Generator().manual_seed(seed)
    spread = torch.randn(300, generator=generator, dtype=torch.float64)
    grid = number_format.grid
    reach = grid.largest * grid.step if grid is not None else 8.0
    fine = spread * reach
    coarse = spread * 2.0 ** torch.randint(-12, 12, (300,), generator=generator)
    whole = torch.arange(-40, 41) * (grid.step if grid is not None else 0.25) / 2  # and what lies between
    found = torch.cat([fine, coarse, whole, torch.tensor([-1e30, 1e30])])
    has_room = grid is None or grid.largest <= LARGEST_WHOLE  # float32 rounds the ends of wider ranges
    return found.to(torch.float32 if has_room else torch.float64).sort().values


def _one_block(x: Tensor, number_format: NumberFormat) -> Tensor:
    """Numbers that share an exponent, where formats have such blocks."""
    block = getattr(number_format, "block", len(x))
    return x[len(x) // 2 : len(x) // 2 + block] if block < len(x) else x


def _wraps(number_format: NumberFormat) -> bool:
    return getattr(number_format, "overflow", "saturate") == "wrap"


@FAMILY
@settings(suppress_health_check=[HealthCheck.filter_too_much])
@given(data=st.data())
def test_the_text_form_reads_back(family: Family, data: st.DataObject) -> None:
    number_format = _drawn(data, family)
    assert parse_format(number_format.text) == number_format
    assert hash(parse_format(number_format.text)) == hash(number_format)


@FAMILY
def test_examples_are_texts_of_the_family(family: Family) -> None:
    for text in family.examples:
        number_format = parse_format(text)
        assert type(number_format) is family.kind
        assert isinstance(number_format, NumberFormat)


@FAMILY
def test_formats_are_frozen_and_slotted(family: Family) -> None:
    number_format = parse_format(next(iter(family.examples)))
    assert not hasattr(number_format, "__dict__")
    for field in fields(family.kind):
        with pytest.raises(AttributeError):
            setattr(number_format, field.name, 1)


@FAMILY
def test_every_family_has_its_line_in_every_table(family: Family) -> None:
    assert isinstance(EXPRESSIONS[family.kind], Expression)
    assert family.kind is Float32 or isinstance(QUANTIZERS[family.kind], Quantizer)
    number_format = parse_format(next(iter(family.examples)))
    for artefact in ARTEFACTS:
        reason = refusal(number_format, artefact)
        assert reason is None or len(reason) > 10


@pytest.mark.parametrize("family", ROUNDING_ONCE, ids=lambda family: family.name)
@settings(deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(data=st.data(), seed=SEEDS)
def test_rounding_twice_is_rounding_once(family: Family, data: st.DataObject, seed: int) -> None:
    number_format = _drawn(data, family)
    once = quantize(_numbers(number_format, seed), number_format)
    assert torch.equal(quantize(once, number_format), once)


@FAMILY
@settings(deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(data=st.data(), seed=SEEDS)
def test_larger_numbers_stay_larger_or_equal(family: Family, data: st.DataObject, seed: int) -> None:
    number_format = _drawn(data, family)
    assume(not _wraps(number_format))
    # Of equal numbers a sparse format keeps the first ones.
    x = _one_block(_numbers(number_format, seed).unique(), number_format)
    assert (quantize(x, number_format).diff() >= 0).all()


@ON_A_GRID
@settings(deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(data=st.data(), seed=SEEDS)
def test_values_lie_on_the_grid_and_saturate_at_its_ends(
    family: Family, data: st.DataObject, seed: int
) -> None:
    number_format = _drawn(data, family)
    grid = number_format.grid
    assume(grid is not None)
    assert grid is not None
    x = _numbers(number_format, seed)
    steps = quantize(x, number_format).double() / grid.step
    assert torch.equal(steps, steps.round())
    assert grid.low <= float(steps.min())
    assert float(steps.max()) <= grid.high
    if not _wraps(number_format):
        assert (float(steps[0]), float(steps[-1])) == grid.limits
    out = torch.empty_like(x)
    quantize_to_steps(x, number_format, out)
    assert torch.equal(out.double(), steps)


@ON_A_GRID
@settings(deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(data=st.data(), seed=SEEDS)
def test_numbers_take_the_bits_that_are_counted(family: Family, data: st.DataObject, seed: int) -> None:
    number_format = _drawn(data, family)
    assume(number_format.bits <= 8)
    levels = quantize(_numbers(number_format, seed), number_format).unique()
    assert len(levels) <= 2**number_format.bits


@FAMILY
@settings(deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(data=st.data(), seed=SEEDS)
def test_the_gradient_is_one_near_the_values_and_zero_far_outside(
    family: Family, data: st.DataObject, seed: int
) -> None:
    number_format = _drawn(data, family)
    x = _numbers(number_format, seed).requires_grad_()
    quantized = quantize_straight_through(x, number_format)
    assert torch.equal(quantized, quantize(x.detach(), number_format))
    quantized.sum().backward()
    assert x.grad is not None
    assert set(x.grad.tolist()) <= {0.0, 1.0}
    assert (x.grad[quantized == x] == 1).all()
    grid = number_format.grid
    if grid is not None and not _wraps(number_format):
        outside = (x > (grid.high + 1) * grid.step) | (x < (grid.low - 1) * grid.step)
        assert (x.grad[outside] == 0).all()


@pytest.mark.parametrize("family", WITH_ZERO, ids=lambda family: family.name)
@settings(deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(data=st.data(), seed=SEEDS)
def test_formats_whose_range_is_symmetric_are_odd(family: Family, data: st.DataObject, seed: int) -> None:
    number_format = _drawn(data, family)
    grid = number_format.grid
    assume(grid is None or grid.low == -grid.high)
    assume(getattr(number_format, "symmetric", True) and getattr(number_format, "has_zero", True))
    assume(getattr(number_format, "rounding", "half_even") == "half_even")
    x = _numbers(number_format, seed)
    assert torch.equal(quantize(-x, number_format), -quantize(x, number_format))


@pytest.mark.parametrize("family", IN_ONNX, ids=lambda family: family.name)
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.filter_too_much])
@given(data=st.data(), seed=SEEDS)
def test_onnx_runtime_rounds_alike(family: Family, data: st.DataObject, seed: int) -> None:
    number_format = _drawn(data, family)
    assume(refusal(number_format, "onnx") is None)
    x = _numbers(number_format, seed).float()
    for form in FORMS:
        builder = OnnxBuilder()
        output = QdqRounding(builder).data("x", number_format, form)
        model = builder.finish(
            "one", [("x", TensorProto.FLOAT, [len(x)])], [(output, "y", [len(x)])], [("", 21)], 10
        )
        session = onnxruntime.InferenceSession(model.SerializeToString())
        (found,) = session.run(None, {"x": x.numpy()})
        assert torch.equal(torch.from_numpy(found), quantize(x, number_format))


@dataclass(frozen=True, slots=True)
class Thirds:
    """Multiples of a third, up to a limit."""

    limit: Annotated[int, Whole("a limit", 1, 100)]

    def __post_init__(self) -> None:
        THIRDS.check(self)

    @property
    def bits(self) -> int:
        return (6 * self.limit + 1).bit_length()

    @property
    def text(self) -> str:
        return THIRDS.text(self)

    def stored_bits(self, shape: tuple[int, ...]) -> int:
        return prod(shape) * self.bits

    @property
    def grid(self) -> None:
        return None


THIRDS = Family(Thirds, {"thirds": {}}, {"thirds(4)": "multiples of a third from -4 to 4"})


class ThirdsQuantizer:
    def round(self, x: Tensor, number_format: Thirds) -> Tensor:
        return x.mul(3).round_().clamp_(-3 * number_format.limit, 3 * number_format.limit).div_(3)

    def round_to_steps(self, x: Tensor, number_format: Thirds, out: Tensor) -> None:
        raise AssertionError("thirds are on no grid")

    def passes_gradient(self, x: Tensor, number_format: Thirds) -> Tensor:
        return x.abs() <= number_format.limit


class ThirdsExpression:
    def refusal(self, number_format: Thirds, artefact: Artefact) -> str | None:
        return "in thirds; logic is binary" if artefact in ("qonnx", "verilog") else None

    def linear(self, number_format: Thirds) -> None:
        return None

    def onnx(self, builder: OnnxBuilder, value: str, number_format: Thirds) -> str:
        three, limit = builder.constant(3.0), 3.0 * number_format.limit
        rounded = builder.emit("Round", builder.emit("Mul", value, three))
        clipped = builder.emit("Clip", rounded, builder.constant(-limit), builder.constant(limit))
        return builder.emit("Div", clipped, three)

    def qonnx(self, number_format: Thirds) -> None:
        raise AssertionError("refused before")


@pytest.fixture
def thirds(monkeypatch: pytest.MonkeyPatch) -> Thirds:
    """The one line that each of the three tables needs."""
    monkeypatch.setattr("narrower.plan.formats.text.FAMILIES", [*FAMILIES, THIRDS])
    monkeypatch.setitem(QUANTIZERS, Thirds, ThirdsQuantizer())
    monkeypatch.setitem(EXPRESSIONS, Thirds, ThirdsExpression())
    return Thirds(4)


def test_a_toy_family_needs_three_lines_and_no_other_file(thirds: Thirds) -> None:
    torch.manual_seed(0)
    program = lower(
        trace(nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)).eval(), torch.randn(3, 6))
    )
    plan = Plan.of({"0": LayerPlan(thirds, thirds, thirds), "2": LayerPlan(thirds, thirds, FLOAT32)})
    assert plan_from_dict(plan_to_dict(plan)) == plan
    part = Part(torch.randn(50, 6), torch.randint(0, 3, (50,)))
    expected = defined_outputs(program, plan, part.inputs)
    assert (expected != defined_outputs(program, Plan(), part.inputs)).any()
    evaluator = Evaluator(program, part)
    assert torch.equal(evaluator.outputs(plan, part.inputs), expected)
    (scored,) = evaluator.evaluate([plan])
    assert scored.metrics["accuracy"] == (expected.argmax(1) == part.targets).float().mean()
    model = to_onnx(program, plan)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (found,) = session.run(None, {session.get_inputs()[0].name: part.inputs.numpy()})
    torch.testing.assert_close(torch.from_numpy(found), expected)
