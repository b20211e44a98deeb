"""Rounding into fixed point: known values, an independent implementation, the gradient."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.formats.float32 import FLOAT32
from narrower.transform.quantizers.quantize import quantize, quantize_straight_through

# Computed by hand from clamp(round_half_even(x * 2**frac), low, high) / 2**frac.
KNOWN = [
    (FixedPoint(8, 4), [0.03125, 0.09375, 0.15625], [0.0, 0.125, 0.125]),
    (FixedPoint(8, 4), [-0.09375, 0.3, -0.3], [-0.125, 0.3125, -0.3125]),
    (FixedPoint(8, 4), [7.97, 8.0, 100.0, -8.03, -100.0], [7.9375, 7.9375, 7.9375, -8.0, -8.0]),
    (FixedPoint(4, 2), [0.125, 0.375, 0.3, 2.0, -100.0], [0.0, 0.5, 0.25, 1.75, -2.0]),
    (FixedPoint(2, 1), [0.25, 0.375, 0.75, -0.75], [0.0, 0.5, 0.5, -1.0]),
    (FixedPoint(3, 1), [0.75, 1.25, 100.0, -100.0], [1.0, 1.0, 1.5, -2.0]),
    (FixedPoint(5, 2), [100.0, -100.0], [3.75, -4.0]),
    (FixedPoint(1, 0), [0.75, -0.75], [0.0, -1.0]),
    (FixedPoint(4, 4), [0.75, -0.75], [0.4375, -0.5]),
    (FixedPoint(4, 6), [0.125, -0.25], [0.109375, -0.125]),
    (FixedPoint(4, -1), [0.75, 1.25, 100.0, -100.0], [0.0, 2.0, 14.0, -16.0]),
    (FixedPoint(4, 2, signed=False), [-1.0, 0.375, 3.9], [0.0, 0.5, 3.75]),
]


@pytest.mark.parametrize(("number_format", "inputs", "expected"), KNOWN)
def test_known_values(number_format: FixedPoint, inputs: list[float], expected: list[float]) -> None:
    found = quantize(torch.tensor(inputs), number_format)
    torch.testing.assert_close(found, torch.tensor(expected), rtol=0, atol=0)


@given(st.integers(1, 12), st.integers(-6, 16), st.integers(0, 2**31))
def test_equals_torch_fake_quantize_bit_for_bit(width: int, frac: int, seed: int) -> None:
    number_format = FixedPoint(width, frac)
    x = torch.randn(200, generator=torch.Generator().manual_seed(seed)) * 2.0 ** (width - 1 - frac)
    low, high = number_format.integer_range
    expected = torch.fake_quantize_per_tensor_affine(x, 2.0**-frac, 0, low, high)
    torch.testing.assert_close(quantize(x, number_format), expected, rtol=0, atol=0)


def test_quantize_leaves_its_argument_alone() -> None:
    x = torch.tensor([0.3, 5.0])
    before = x.clone()
    assert torch.equal(quantize(x, FixedPoint(4, 2)), torch.tensor([0.25, 1.75]))
    assert torch.equal(x, before)


def test_float32_changes_nothing() -> None:
    x = torch.tensor([0.1, float("inf"), -3.0])
    assert torch.equal(quantize(x, FLOAT32), x)


def test_nan_stays_nan() -> None:
    assert torch.isnan(quantize(torch.tensor([float("nan")]), FixedPoint(8, 4))).all()


def test_the_gradient_is_one_inside_the_range_and_zero_where_it_saturates() -> None:
    x = torch.tensor([0.3, -1.9, 1.8, 2.5, -9.0], requires_grad=True)  # (4, 2) holds -2 to 1.75
    quantize_straight_through(x, FixedPoint(4, 2)).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [1, 1, 1, 0, 0]
