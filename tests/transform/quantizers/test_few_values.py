"""Powers of two, ternary and binary numbers by hand and by their definitions."""

import math

import numpy as np
import pytest
import torch

from narrower.errors import SettingsError
from narrower.plan.formats.text import parse_format
from narrower.transform.quantizers.quantize import quantize


def test_the_known_powers_of_two() -> None:
    x = torch.tensor([0.1, 0.3, 0.7071, 0.70711, 1.4142, 1.4143, 3.0, 100.0])
    expected = [0.125, 0.25, 0.5, 1.0, 1.0, 2.0, 4.0, 128.0]
    for text in ("log(8,bias=NA)", "power_of_two(8,bias=NA)"):
        assert quantize(x, parse_format(text)).tolist() == expected
        assert quantize(-x, parse_format(text)).tolist() == [-value for value in expected]


@pytest.mark.parametrize("text", ["log(5,bias=7)", "power_of_two(5,bias=7)", "power_of_two(3,bias=0)"])
def test_powers_of_two_are_the_nearest_by_their_logarithm(text: str) -> None:
    number_format = parse_format(text)
    generator = torch.Generator().manual_seed(1)
    sizes = torch.randint(-16, 16, (100_000,), generator=generator)
    x = torch.randn(100_000, generator=generator) * 2.0**sizes
    near = np.float32(0.5**0.5) * 2.0 ** np.arange(-14, 14, dtype=np.float32)
    x = torch.cat([x, torch.from_numpy(near), torch.from_numpy(np.nextafter(near, np.float32(np.inf)))])
    has_zero = text.startswith("power")
    least, most = {"5": (-7 + has_zero, 8), "3": (1, 3)}[text.split("(")[1][0]]
    logarithms = np.round(np.log2(np.abs(x.numpy().astype(np.longdouble))))
    expected = np.sign(x.numpy()) * 2.0 ** np.clip(logarithms, least, most)
    if has_zero:
        expected[np.abs(x.numpy()) <= 2.0 ** (least - 1)] = 0
    assert np.array_equal(quantize(x, number_format).double().numpy(), expected.astype(np.float64))


def test_zero_nan_and_infinity_of_powers_of_two() -> None:
    special = torch.tensor([0.0, -0.0, math.inf, -math.inf, 1e-30, -1e-30])
    found = quantize(special, parse_format("log(4,bias=3)")).tolist()
    assert found == [0.125, 0.125, 16.0, -16.0, 0.125, -0.125]
    assert quantize(special, parse_format("power_of_two(4,bias=3)")).tolist() == [
        0.0,
        0.0,
        16.0,
        -16.0,
        0.0,
        0.0,
    ]
    for text in ("log(4,bias=3)", "binary(scale=1.0)", "ternary(scale=1.0,threshold=0.5)", "ternary"):
        assert quantize(torch.tensor([math.nan, 1.0]), parse_format(text)).isnan().tolist() == [True, False]


def test_the_known_binary_and_ternary_values() -> None:
    assert quantize(torch.tensor([-0.5, 0.0, 0.5]), parse_format("binary(scale=1.0)")).tolist() == [-1, 1, 1]
    x = torch.tensor([-1, 2, 0.1, -3, 0.5, -0.2, 1.125, -1.2])
    assert quantize(x, parse_format("ternary(scale=1.0)")).tolist() == [-1, 1, 0, -1, 0, 0, 1, -1]
    # the mean of 1, 2, 3, 1.125 and 1.2 is 1.665; in 16 bits
    scale = round(1.665 * 2**15) / 2**15
    assert quantize(x, parse_format("ternary")).tolist() == [scale * s for s in (-1, 1, 0, -1, 0, 0, 1, -1)]
    fixed = parse_format("ternary(scale=0.75,threshold=0.5)")
    assert quantize(x, fixed).tolist() == [0.75 * s for s in (-1, 1, 0, -1, 0, 0, 1, -1)]


@pytest.mark.parametrize("axis", [0, 1])
def test_each_channel_has_the_mean_of_its_magnitudes(axis: int) -> None:
    torch.manual_seed(1)
    x = torch.randn(6, 7, 3) * 10
    found = quantize(x, parse_format(f"binary(per=channel,axis={axis})"))
    means = x.abs().double().transpose(0, axis).flatten(1).mean(1)
    scales = found.abs().transpose(0, axis).flatten(1)
    assert (scales == scales[:, :1]).all()
    assert torch.allclose(scales[:, 0].double(), means, rtol=2**-16, atol=0)
    assert torch.equal(found.sign(), x.sign())


def test_their_bits() -> None:
    assert parse_format("binary(per=channel)").stored_bits((64, 100)) == 6400 + 64 * 32
    assert parse_format("ternary").stored_bits((64, 100)) == 2 * 6400 + 32
    assert parse_format("power_of_two(4,bias=7)").stored_bits((64, 100)) == 4 * 6400


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ternary(threshold=0.5)", "needs a scale above it"),
        ("ternary(scale=0.5,threshold=0.5)", "needs a scale above it"),
        ("binary(scale=1,per=channel)", "per=tensor"),
        ("log(8,bias=127)", "float32 does not have"),
        ("log(9,bias=0)", "2 to 8"),
    ],
)
def test_what_cannot_be_is_refused_with_words(text: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        parse_format(text)
