"""Products in integers give the bits of products in float32."""

import itertools
import random

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from narrower.evaluate.compile_steps import compile_steps
from narrower.evaluate.integer_products import IntegerProducts, Operands, Window, can_win, multiplies_bytes
from narrower.evaluate.processor import SWITCH
from narrower.evaluate.provenance import Provenance
from narrower.evaluate.steps import Steps
from narrower.evaluate.value_cache import ValueCache
from narrower.graph.lower import lower
from narrower.graph.trace import trace
from narrower.plan.formats.fixed import ROUNDINGS, FixedPoint
from narrower.transform.quantizers.quantize import quantize

needs_bytes = pytest.mark.skipif(
    not multiplies_bytes(), reason="this processor does not multiply matrices of bytes exactly"
)

needs_fast_bytes = pytest.mark.skipif(not can_win(), reason="this processor has no dot products of bytes")


def rounded(chance: random.Random, number_format: FixedPoint, *shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(chance.randrange(2**31))
    low, high = number_format.integer_range
    return torch.randint(low, high + 1, shape, generator=generator) * number_format.step


def byte_format(chance: random.Random) -> FixedPoint:
    signed = chance.random() < 0.7
    width = chance.randint(1, 8 if signed else 7)
    return FixedPoint(width, chance.randint(-3, width + 3), signed, chance.choice(ROUNDINGS.words))


@needs_bytes
@pytest.mark.parametrize("seed", range(60))
def test_convolutions_of_any_geometry(seed: int) -> None:
    chance = random.Random(seed)

    def pair(*of: int) -> tuple[int, int]:
        return chance.choice(of), chance.choice(of)

    window = Window(pair(1, 2, 3), pair(0, 1, 2), pair(1, 2))
    data, weight = byte_format(chance), byte_format(chance)
    value = rounded(chance, data, chance.choice([1, 3]), chance.choice([1, 5, 16]), 9, 11)
    kernel = rounded(chance, weight, chance.choice([1, 4, 17]), value.shape[1], *pair(1, 2, 3))
    operands = Operands(value, kernel, data, weight, window)
    found = operands.product(operands.rows(), operands.matrix())
    assert torch.equal(found, F.conv2d(value, kernel, None, window.stride, window.padding, window.dilation))


@needs_bytes
@pytest.mark.parametrize("shape", [(1,), (7,), (3, 5), (2, 1, 4)])
def test_linear_layers_of_any_rank(shape: tuple[int, ...]) -> None:
    chance = random.Random(len(shape))
    data, weight = FixedPoint(8, 3), FixedPoint(5, 6)
    value, matrix = rounded(chance, data, *shape, 19), rounded(chance, weight, 6, 19)
    operands = Operands(value, matrix, data, weight, None)
    assert torch.equal(operands.product(operands.rows(), operands.matrix()), value @ matrix.T)


def test_sums_that_float32_rounds_are_left_to_float32() -> None:
    bytes_ = FixedPoint(8, 0)
    for inputs, is_exact in ((1024, True), (1025, False)):  # 1,024 x 128 x 128 = 2**24
        operands = Operands(torch.zeros(1, inputs), torch.full((2, inputs), -128.0), bytes_, bytes_, None)
        assert bool(len(operands.matrix())) == is_exact


def test_nan_is_left_to_float32() -> None:
    value = torch.zeros(2, 3)
    value[1, 2] = torch.nan
    operands = Operands(value, torch.zeros(2, 3), FixedPoint(8, 0), FixedPoint(8, 0), None)
    assert not len(operands.rows())
    spoilt = Operands(torch.zeros(2, 3), value, FixedPoint(8, 0), FixedPoint(8, 0), None)
    assert not len(spoilt.matrix())


class Step:
    """What every step of a small convolutional model gives, for one choice of formats."""

    def __init__(self, *formats: FixedPoint) -> None:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.Flatten(), nn.Linear(16, 5, bias=False))
        self.steps: Steps = compile_steps(lower(trace(model.eval(), torch.randn(2, 3, 4, 4))))
        self.formats = formats
        self.values = dict(self.steps.constants)
        self.values |= {index: torch.randn(6, 3, 4, 4) for index in self.steps.batch_inputs}
        for index, step in enumerate(self.steps.steps):
            if step.inputs and index not in self.values:
                self.values[index] = self.steps.run(index, self.values, formats)
        self.products = [
            index
            for index, step in enumerate(self.steps.steps)
            if step.function in (torch.ops.aten.conv2d.default, torch.ops.aten.linear.default)
        ]
        self.names = Provenance(self.steps).names(formats)

    def run(self, products: IntegerProducts, index: int) -> Tensor | None:
        return products.run(index, self.values, self.formats, self.names, ValueCache(2**20))


def a_clock(*durations: float) -> "itertools.cycle[float]":
    """A clock under which what is timed takes these times in turn: float32 twice, integers twice."""
    ends = itertools.accumulate(durations)
    return itertools.cycle(
        [time for end, span in zip(ends, durations, strict=True) for time in (end - span, end)]
    )


@needs_fast_bytes
@pytest.mark.parametrize(("float32", "integers", "is_taken"), [(2.0, 1.0, True), (1.0, 2.0, False)])
def test_the_faster_way_is_taken_and_both_are_equal(float32: float, integers: float, is_taken: bool) -> None:
    model = Step(*[FixedPoint(8, 5)] * 4)
    clock = a_clock(float32, float32, integers, integers)
    products = IntegerProducts(model.steps, ValueCache(2**20), clock.__next__)
    assert len(model.products) == 2
    for index in model.products:
        tried, taken = model.run(products, index), model.run(products, index)
        assert tried is not None
        assert torch.equal(tried, model.values[index])
        assert (taken is not None) == is_taken
        assert taken is None or torch.equal(taken, model.values[index])


@needs_fast_bytes
def test_operands_that_are_no_bytes_are_left_to_float32() -> None:
    for wide in (FixedPoint(9, 4), FixedPoint(8, 4, signed=False)):
        model = Step(wide, *[FixedPoint(8, 5)] * 3)
        products = IntegerProducts(model.steps, ValueCache(2**20))
        first, second = model.products
        assert model.run(products, first) is None
        assert model.run(products, second) is not None


def test_no_product_is_tried_where_integers_cannot_win(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SWITCH, "off")
    model = Step(*[FixedPoint(8, 5)] * 4)

    def no_clock() -> float:
        raise AssertionError("a product was timed")

    products = IntegerProducts(model.steps, ValueCache(2**20), no_clock)
    assert [model.run(products, index) for index in model.products] == [None, None]


def test_quantize_gives_what_the_rows_hold() -> None:
    number_format = FixedPoint(8, 5)
    value = quantize(torch.tensor([[100.0, -100.0, 0.3]]), number_format)
    operands = Operands(value, torch.zeros(1, 3), number_format, number_format, None)
    assert operands.rows().tolist() == [[127, -128, 10]]  # by hand: 0.3 x 32 = 9.6
