"""Roundings and overflows of fixed point against exact arithmetic, bit for bit."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from narrower.errors import SettingsError
from narrower.plan.formats.fixed import OVERFLOWS, ROUNDINGS, FixedPoint
from narrower.plan.formats.text import parse_format
from narrower.transform.quantizers.quantize import quantize, quantize_straight_through, quantize_to_steps

EVERY = [(rounding, overflow) for rounding in ROUNDINGS.words for overflow in OVERFLOWS.words]
# By hand. 8 bits, 4 behind the point: ties lie at odd multiples of 1/32, the range is -8 to 7.9375.
KNOWN = [
    ("fixed(8,frac=4,rounding=half_up)", [1 / 32, 3 / 32, -1 / 32, -3 / 32], [1 / 16, 1 / 8, 0.0, -1 / 16]),
    ("fixed(8,frac=4,rounding=floor)", [0.06, -0.01, 0.125, -8.5, 9.0], [0.0, -0.0625, 0.125, -8.0, 7.9375]),
    ("fixed(8,frac=4,overflow=saturate_symmetric)", [-100.0, -8.0, 100.0], [-7.9375, -7.9375, 7.9375]),
    (
        "fixed(8,frac=4,overflow=wrap)",
        [8.0, 8.0625, -8.0625, 16.0, -100.0],
        [-8.0, -7.9375, 7.9375, 0.0, -4.0],
    ),
    ("fixed(4,frac=0,rounding=half_up,overflow=wrap)", [7.5, -8.5, -8.6], [-8.0, -8.0, 7.0]),
    ("ufixed(4,frac=2,rounding=half_up)", [-0.125, 0.125, 0.375, 3.9], [0.0, 0.25, 0.5, 3.75]),
    ("ufixed(4,frac=2,overflow=wrap)", [-0.25, 4.0, 4.25], [3.75, 0.0, 0.25]),
    ("ufixed(4,frac=2,rounding=floor)", [-0.1, 0.24, 0.26], [0.0, 0.0, 0.25]),
]


@pytest.mark.parametrize(("text", "inputs", "expected"), KNOWN)
def test_known_values(text: str, inputs: list[float], expected: list[float]) -> None:
    assert quantize(torch.tensor(inputs), parse_format(text)).tolist() == expected


def exactly(x: float, number_format: FixedPoint) -> float:
    """The definition in rational numbers."""
    scaled = Fraction(x) * Fraction(2) ** number_format.frac
    steps = {
        "half_even": lambda: round(scaled),
        "half_up": lambda: math.floor(scaled + Fraction(1, 2)),
        "floor": lambda: math.floor(scaled),
    }[number_format.rounding]()
    low, high = number_format.integer_range
    if number_format.overflow == "wrap":
        steps = (steps - low) % 2**number_format.width + low
    return float(min(max(steps, low), high) * Fraction(2) ** -number_format.frac)


def around_ties(number_format: FixedPoint) -> Tensor:
    """Ties, steps and the ends of the range, each with its neighbours among float32."""
    step = np.float32(number_format.step)
    halves = np.concatenate(
        [np.arange(-40, 41), 2 * np.array(number_format.integer_range) + [[-3], [0], [3]]], None
    )
    at = (halves.astype(np.float32) / 2 * step).astype(np.float32)
    near = [np.nextafter(at, np.float32(side)) for side in (-np.inf, np.inf)]
    tiny = np.float32([0.0, -0.0, 1e-30, -1e-30, 1e30, -1e30, 3e38, -3e38])
    found = np.concatenate([at, *near, tiny])
    is_normal = (found == 0) | (np.abs(found) > 1e-36)  # scaling smaller ones may round them
    return torch.from_numpy(found[is_normal])


@pytest.mark.parametrize(("rounding", "overflow"), EVERY)
@given(width=st.integers(2, 24), frac=st.integers(-6, 26), signed=st.booleans(), seed=st.integers(0, 2**31))
def test_equals_rational_arithmetic(
    rounding: str, overflow: str, width: int, frac: int, signed: bool, seed: int
) -> None:
    number_format = FixedPoint(width, frac, signed, rounding, overflow)
    spread = torch.randn(30, generator=torch.Generator().manual_seed(seed))
    x = torch.cat([around_ties(number_format), spread, spread * 2.0 ** (width - frac)])
    found = quantize(x, number_format)
    assert found.tolist() == [exactly(value, number_format) for value in x.tolist()]
    steps = torch.empty_like(x)
    quantize_to_steps(x, number_format, steps)
    assert torch.equal(steps * number_format.step, found)


@pytest.mark.parametrize(("rounding", "overflow"), EVERY)
def test_a_hundred_thousand_numbers_in_double_precision(rounding: str, overflow: str) -> None:
    """Float32 numbers scaled by a power of two, and a half added to them, are exact in double precision."""
    number_format = FixedPoint(10, 6, True, rounding, overflow)
    x = torch.randn(100_000, generator=torch.Generator().manual_seed(1)) * 8
    scaled = x.double().numpy() * 64
    rounded = {"half_even": np.round, "half_up": lambda y: np.floor(y + 0.5), "floor": np.floor}[rounding](
        scaled
    )
    low, high = number_format.integer_range
    kept = (rounded + 512) % 1024 - 512 if overflow == "wrap" else rounded.clip(low, high)
    assert np.array_equal(quantize(x, number_format).double().numpy(), kept / 64)


def test_half_up_is_exact_where_the_sum_with_a_half_is_not() -> None:
    below = torch.tensor([0.49999997, -0.49999997, 2**22 + 1.5])
    for width in (8, 23, 24, 32):
        whole = quantize(below[:2], FixedPoint(width, 0, rounding="half_up"))
        assert whole.tolist() == [0.0, 0.0]
    assert quantize(below[2:], FixedPoint(24, 0, rounding="half_up")).item() == 2**22 + 2


def test_the_gradient_stops_where_a_value_saturates_and_passes_where_it_wraps() -> None:
    inputs = [-8.4, -8.6, 7.4, 7.6, 8.9]
    expected = {
        "fixed(4,frac=0,rounding=half_up)": [1, 0, 1, 0, 0],
        "fixed(4,frac=0,rounding=floor)": [0, 0, 1, 1, 0],
        "fixed(4,frac=0,overflow=saturate_symmetric)": [0, 0, 1, 0, 0],
        "fixed(4,frac=0,overflow=wrap)": [1, 1, 1, 1, 1],
    }
    for text, gradient in expected.items():
        x = torch.tensor(inputs, requires_grad=True)
        quantize_straight_through(x, parse_format(text)).sum().backward()
        # 7.5 is where half up leaves the range
        assert x.grad is not None
        assert x.grad.tolist() == gradient, text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("fixed(8,frac=4,rounding=half_down)", "half_even, half_up, floor"),
        ("fixed(8,frac=4,overflow=clip)", "saturate, saturate_symmetric, wrap"),
        ("fixed(1,frac=0,overflow=saturate_symmetric)", "2 bits"),
        ("fixed(25,frac=0,overflow=wrap)", "up to 24"),
        ("fixed(8,frac=4,signed=maybe)", "true, false"),
    ],
)
def test_what_cannot_be_is_refused_with_words(text: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        parse_format(text)


def test_the_default_is_not_written() -> None:
    assert FixedPoint(8, 4, True, "half_even", "saturate").text == "fixed(8,frac=4)"
    assert parse_format("fixed(8,frac=4,signed=false,rounding=half_even)").text == "ufixed(8,frac=4)"
    assert (
        FixedPoint(8, 4, False, "half_up", "wrap").text == "ufixed(8,frac=4,rounding=half_up,overflow=wrap)"
    )
