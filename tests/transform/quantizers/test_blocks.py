"""Blocks that share an exponent against a second implementation with ml_dtypes, and by hand."""

import math
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch
from torch import Tensor

from narrower.errors import SettingsError
from narrower.plan.formats.text import parse_format
from narrower.transform.quantizers.quantize import quantize

ELEMENTS: dict[str, tuple[Any, int]] = {
    "mxfp8": (ml_dtypes.float8_e4m3fn, 8),
    "mxfp8_e5m2": (ml_dtypes.float8_e5m2, 15),
    "mxfp6": (ml_dtypes.float6_e3m2fn, 4),
    "mxfp6_e2m3": (ml_dtypes.float6_e2m3fn, 2),
    "mxfp4": (ml_dtypes.float4_e2m1fn, 2),
}


def numbers() -> Tensor:
    """100,000 numbers of very different sizes, blocks of zeros, tiny and equal numbers."""
    generator = torch.Generator().manual_seed(3)
    sizes = torch.randint(-30, 30, (3125, 1), generator=generator) + torch.randint(
        -9, 1, (3125, 32), generator=generator
    )
    x = torch.randn(3125, 32, generator=generator) * 2.0**sizes
    special = torch.zeros(6, 32)
    special[1], special[2] = 2.0**-120, 1.0
    special[3] = 2.0 ** torch.arange(-20, 12)
    special[4] = torch.arange(-16, 16) / 4
    special[5, ::3] = torch.finfo(torch.float32).max
    return torch.cat([x, special, -special])


@pytest.mark.parametrize("name", ELEMENTS)
def test_mx_equals_ml_dtypes_with_scales_rounded_down(name: str) -> None:
    kind, most = ELEMENTS[name]
    x = numbers().double().numpy()
    largest = np.abs(x).max(1, keepdims=True)
    exponents = np.clip(np.floor(np.log2(np.where(largest > 0, largest, 1))) - most, -127, 127)
    limit = float(ml_dtypes.finfo(kind).max)
    elements = np.clip(x / 2**exponents, -limit, limit).astype(np.float32).astype(kind)
    expected = elements.astype(np.float64) * 2**exponents
    assert np.array_equal(quantize(numbers(), parse_format(name)).double().numpy(), expected)


def test_mxint8_equals_rounded_64ths() -> None:
    x = numbers().double().numpy()
    largest = np.abs(x).max(1, keepdims=True)
    steps = 2.0 ** (np.clip(np.floor(np.log2(np.where(largest > 0, largest, 1))), -127, 127) - 6)
    expected = np.clip(np.round(x / steps), -127, 127) * steps
    assert np.array_equal(quantize(numbers(), parse_format("mxint8")).double().numpy(), expected)


@pytest.mark.parametrize("width", [3, 4, 6, 8, 12])
def test_block_floating_point_equals_its_definition(width: int) -> None:
    x = numbers().double().numpy()
    largest = np.abs(x).max(1, keepdims=True)
    exponents = np.clip(np.ceil(np.log2(np.where(largest > 0, largest, 2.0**-127))), -127, 128)
    steps = 2.0 ** (exponents - width + 1)
    expected = np.clip(np.round(x / steps), 1 - 2 ** (width - 1), 2 ** (width - 1) - 1) * steps
    found = quantize(numbers(), parse_format(f"block_fp({width},block=32)")).double().numpy()
    assert np.array_equal(found, expected.astype(np.float32))


def test_the_known_blocks_of_the_peer() -> None:
    x = torch.tensor([[0.1, -0.2, 0.3, 1.0], [8.0, 1.0, -0.5, 3.3]])
    expected = {
        4: [[0.125, -0.25, 0.25, 0.875], [7.0, 1.0, 0.0, 3.0]],
        6: [[0.09375, -0.1875, 0.3125, 0.96875], [7.75, 1.0, -0.5, 3.25]],
    }
    for width, values in expected.items():
        assert quantize(x, parse_format(f"block_fp({width},block=4)")).tolist() == values


def test_blocks_lie_along_their_axis_and_the_last_may_be_short() -> None:
    torch.manual_seed(0)
    x = torch.randn(3, 40, 5) * torch.logspace(-3, 3, 40)[:, None]
    turned = quantize(x.transpose(1, 2).contiguous(), parse_format("mxfp4")).transpose(1, 2)
    assert torch.equal(quantize(x, parse_format("mxfp4(axis=1)")), turned)
    apart = torch.cat([quantize(part, parse_format("mxfp4(axis=1)")) for part in (x[:, :32], x[:, 32:])], 1)
    assert torch.equal(turned, apart)
    for number in range(3):  # a sample does not depend on the others
        alone = quantize(x[number : number + 1], parse_format("mxfp4(axis=1)"))
        assert torch.equal(alone[0], turned[number])


def test_nan_and_infinity_do_not_set_the_exponent_of_their_block() -> None:
    x = torch.tensor([1.0, math.nan, math.inf, -math.inf, 0.25])
    found = quantize(x, parse_format("mxfp4")).tolist()
    assert (found[0], found[4]) == (1.0, 0.25)
    assert math.isnan(found[1])
    assert found[2:4] == [1.5, -1.5]  # 6 quarters


@pytest.mark.parametrize(
    ("text", "bits", "shape", "stored"),
    [
        ("mxfp4", 4.25, (10, 64), 640 * 4 + 20 * 8),
        ("mxfp8", 8.25, (10, 65), 650 * 8 + 30 * 8),
        ("mxfp6(axis=1)", 6.25, (10, 64, 3, 3), 5760 * 6 + 10 * 9 * 2 * 8),
        ("block_fp(4,block=16,exponent=5,bias=15)", 4 + 5 / 16, (10, 64), 640 * 4 + 40 * 5),
    ],
)
def test_shared_exponents_are_counted(text: str, bits: float, shape: tuple[int, ...], stored: int) -> None:
    number_format = parse_format(text)
    assert (number_format.bits, number_format.stored_bits(shape)) == (bits, stored)


@pytest.mark.parametrize("text", ["mx(e4m3)", "mxfp4(axis=2)", "block_fp(4)", "block_fp(4,block=0)", "mx"])
def test_what_is_no_block_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="is no number format"):
        parse_format(text)
