"""Affine integers against torch.fake_quantize, bit for bit, and by hand."""

import math

import pytest
import torch
from torch import Tensor

from narrower.errors import SettingsError
from narrower.plan.formats.affine import Affine, affine_over
from narrower.plan.formats.text import parse_format
from narrower.transform.quantizers.quantize import quantize


def numbers(reach: float, scale: float) -> Tensor:
    """100,000 random numbers, and the ends of every step with their neighbours."""
    generator = torch.Generator().manual_seed(1)
    spread = torch.randn(100_000, generator=generator) * reach
    ties = torch.arange(-600, 601) * scale / 2
    found = torch.cat([spread, ties])
    return torch.cat(
        [
            found,
            torch.nextafter(found, torch.tensor(math.inf)),
            torch.nextafter(found, torch.tensor(-math.inf)),
        ]
    )


@pytest.mark.parametrize(
    "text",
    [
        "affine(8,scale=0.0371)",
        "affine(8,symmetric=false,scale=0.0125,zero=17)",
        "affine(4,symmetric=false,scale=0.3,zero=8)",
        "affine(3,scale=0.1)",
        "affine(8,symmetric=false,scale=0.03125,zero=128)",
        "affine(2,symmetric=false,scale=1.7)",
    ],
)
def test_equals_fake_quantize_per_tensor(text: str) -> None:
    number_format = parse_format(text)
    assert isinstance(number_format, Affine)
    x = numbers(300 * number_format.scale / 2, number_format.scale)
    expected = torch.fake_quantize_per_tensor_affine(
        x, number_format.scale, number_format.zero, *number_format.integer_range
    )
    assert torch.equal(quantize(x, number_format), expected)
    grid = number_format.grid
    assert (grid is None) == (math.frexp(number_format.scale)[0] != 0.5)


@pytest.mark.parametrize("scales", ["free", "power_of_two"])
@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize(("per", "axis"), [("tensor", 0), ("channel", 0), ("channel", 1), ("group32", 0)])
def test_own_scales_equal_fake_quantize_per_channel(
    scales: str, symmetric: bool, per: str, axis: int
) -> None:
    """The parts as the channels of a matrix; the scale is seen from outside, by the definition."""
    torch.manual_seed(2)
    x = torch.randn(40, 320, 8) * torch.rand(40, 320, 8) * torch.logspace(-3, 3, 40)[:, None, None] + 0.1
    number_format = Affine(5, symmetric, per, scales, axis=axis)
    found = quantize(x, number_format)
    if per == "tensor":
        rows, found_rows = x.reshape(1, -1), found.reshape(1, -1)
    elif per == "channel":
        rows, found_rows = (y.transpose(0, axis).reshape(y.shape[axis], -1) for y in (x, found))
    else:
        rows, found_rows = x.reshape(-1, 32), found.reshape(-1, 32)  # 2,560 numbers a channel, 80 groups
    low, high = number_format.integer_range
    spans = (
        rows.abs().amax(1) / high
        if symmetric
        else (rows.amax(1).clamp(min=0) - rows.amin(1).clamp(max=0)) / high
    ).double()
    if scales == "power_of_two":
        wanted = 2.0 ** torch.ceil(torch.log2(spans))
    else:
        exponents = torch.floor(torch.log2(spans)) - 15
        wanted = torch.round(spans / 2**exponents) * 2**exponents  # 16 significant bits
    zeros = (
        torch.zeros(len(rows))
        if symmetric
        else torch.round(-rows.amin(1).clamp(max=0) * (1 / wanted.float()))
    )
    expected = torch.fake_quantize_per_channel_affine(
        rows, wanted.float(), zeros.to(torch.int32), 0, low, high
    )
    assert torch.equal(found_rows, expected)
    assert ((found_rows - rows).abs() <= wanted.float()[:, None] * 0.5001).all()  # nothing saturates


def test_what_is_zero_everywhere_stays_zero_and_nan_stays_nan() -> None:
    for text in ("affine(4)", "affine(4,symmetric=false,per=group32)", "affine(4,per=channel)"):
        assert quantize(torch.zeros(3, 40), parse_format(text)).abs().sum() == 0
        mixed = torch.tensor([[1.0, math.nan, -7.0, 0.5]])
        assert quantize(mixed, parse_format(text))[0].isnan().tolist() == [False, True, False, False]


def test_known_values_by_hand() -> None:
    x = torch.tensor([[-1.0, 0.26, 0.5], [7.0, 3.4, -3.6]])
    # 3 bits: -3 to 3. Scales of 1/3 and 7/3 in 16 bits; 0.5 is 1.49999 times 43691/2**17.
    third, wide = 43691 / 2**17, round(7 / 3 * 2**14) / 2**14
    expected = torch.tensor([[-3 * third, third, third], [3 * wide, wide, -2 * wide]])
    assert torch.equal(quantize(x, parse_format("affine(3,per=channel)")), expected)
    # The whole tensor by powers of two: 7/3 is below 4.
    expected = torch.tensor([[0.0, 0.0, 0.0], [8.0, 4.0, -4.0]])
    assert torch.equal(quantize(x, parse_format("affine(3,scales=power_of_two)")), expected)


@pytest.mark.parametrize(
    ("text", "shape", "bits"),
    [
        ("affine(8)", (64, 100), 6400 * 8 + 32),
        ("affine(4,per=channel)", (64, 100), 6400 * 4 + 64 * 32),
        ("affine(4,per=channel,axis=1)", (64, 100), 6400 * 4 + 100 * 32),
        ("affine(4,per=group32)", (64, 100), 6400 * 4 + 64 * 4 * 32),  # 100 numbers are 3 groups and a part
        ("affine(4,symmetric=false,per=group128,scales=power_of_two)", (64, 100), 6400 * 4 + 64 * (8 + 4)),
    ],
)
def test_the_scales_are_counted(text: str, shape: tuple[int, ...], bits: int) -> None:
    assert parse_format(text).stored_bits(shape) == bits


def test_the_scale_of_a_group_is_shared_by_its_numbers() -> None:
    assert parse_format("affine(4,per=group32)").bits == 5
    assert parse_format("affine(4,symmetric=false,per=group64,scales=power_of_two)").bits == 4 + 12 / 64


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("affine(12)", "scale=own is for widths up to 8"),
        ("affine(8,per=channel,scale=0.1)", "per=tensor"),
        ("affine(8,zero=3,scale=0.1)", "symmetric=false"),
        ("affine(8,scale=0.1,scales=power_of_two)", "no power of two"),
        ("affine(8,scale=-1)", "a number from"),
        ("affine(8,per=row)", "tensor, channel, group32"),
    ],
)
def test_what_cannot_be_is_refused_with_words(text: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        parse_format(text)


@pytest.mark.parametrize("symmetric", [True, False])
def test_scales_that_lose_least_are_the_best_of_all_shares_of_the_range(symmetric: bool) -> None:
    torch.manual_seed(4)
    x = torch.randn(6, 500) * torch.rand(6, 500) ** 4 + 0.05
    number_format = Affine(4, symmetric, "channel", range="mse")
    found = quantize(x, number_format)
    usual = quantize(x, Affine(4, symmetric, "channel"))
    for row, rounded, plain in zip(x, found, usual, strict=True):
        errors = []
        for share in range(6, 21):
            scaled = affine_over(
                float(row.min()) * share / 20,
                float(row.max()) * share / 20,
                4,
                symmetric=symmetric,
                scales="free",
            )
            if symmetric:
                reach = float(row.abs().max()) * share / 20
                scaled = affine_over(-reach, reach, 4, symmetric=True, scales="free")
            errors.append(float((quantize(row, scaled) - row).double().square().sum()))
        loss = float((rounded - row).double().square().sum())
        assert loss == pytest.approx(min(errors), rel=2e-3)
        assert loss <= float((plain - row).double().square().sum())
    assert float((found - x).square().sum()) < float((usual - x).square().sum())
