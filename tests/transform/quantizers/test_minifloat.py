"""Small floating point against PyTorch's and ml_dtypes' own types, bit for bit, and by hand."""

import ml_dtypes
import numpy as np
import pytest
import torch
from torch import Tensor

from narrower.errors import SettingsError
from narrower.plan.formats.minifloat import Minifloat
from narrower.plan.formats.text import parse_format
from narrower.transform.quantizers.quantize import quantize

TORCH = {
    "e4m3fn": torch.float8_e4m3fn,
    "e5m2": torch.float8_e5m2,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
ML_DTYPES = {
    "e4m3fn": ml_dtypes.float8_e4m3fn,
    "e5m2": ml_dtypes.float8_e5m2,
    "e2m3": ml_dtypes.float6_e2m3fn,
    "e3m2": ml_dtypes.float6_e3m2fn,
    "e2m1": ml_dtypes.float4_e2m1fn,
}


def numbers(number_format: Minifloat) -> Tensor:
    """100,000 random numbers of every size inside the range, its values, their middles, and neighbours."""
    generator = torch.Generator().manual_seed(1)
    low, high = number_format.least_exponent - number_format.mantissa - 3, number_format.largest_exponent
    sizes = torch.randint(max(low, -140), high + 1, (100_000,), generator=generator)
    spread = torch.ldexp(torch.randn(100_000, generator=generator), sizes)
    values = quantize(spread, number_format).unique()
    between = (values[1:].double() + values[:-1].double()).div(2).float()
    at = torch.cat([spread, values, between])
    infinity = torch.tensor(float("inf"))
    found = torch.cat([at, torch.nextafter(at, infinity), torch.nextafter(at, -infinity)])
    return found[found.abs() <= number_format.largest]


@pytest.mark.parametrize("name", TORCH)
def test_equals_the_types_of_pytorch(name: str) -> None:
    number_format = parse_format(name)
    assert isinstance(number_format, Minifloat)
    x = numbers(number_format)
    assert torch.equal(quantize(x, number_format), x.to(TORCH[name]).float())
    assert number_format.largest == torch.finfo(TORCH[name]).max


@pytest.mark.parametrize("name", ML_DTYPES)
def test_equals_ml_dtypes(name: str) -> None:
    number_format = parse_format(name)
    assert isinstance(number_format, Minifloat)
    x = numbers(number_format)
    expected = x.numpy().astype(ML_DTYPES[name]).astype(np.float32)
    assert np.array_equal(quantize(x, number_format).numpy(), expected)


KNOWN = [
    ("minifloat(8,exponent=4,bias=NA)", [0.0001, 0.01, 0.1, 0.3], [0.0, 0.009765625, 0.1015625, 0.3125]),
    ("minifloat(8,exponent=4,bias=NA)", [1.0625, 1.1875, 3.3, 500.0, -1e6], [1.0, 1.25, 3.25, 480.0, -480.0]),
    ("minifloat(6,exponent=3,bias=NA)", [0.1, 200.0], [0.125, 28.0]),
    ("minifloat(4,exponent=2,bias=NA)", [0.3, 15.0], [0.5, 6.0]),
    # the smallest normal number is 1, half of it is a tie with 0
    ("minifloat(4,exponent=2,bias=NA,subnormals=false)", [0.5, 0.51, -0.9, 1.2], [0.0, 1.0, -1.0, 1.0]),
    ("e4m3fn", [1e9, float("inf"), -float("inf")], [448.0, 448.0, -448.0]),
]


@pytest.mark.parametrize(("text", "inputs", "expected"), KNOWN)
def test_known_values(text: str, inputs: list[float], expected: list[float]) -> None:
    assert quantize(torch.tensor(inputs), parse_format(text)).tolist() == expected
    assert quantize(torch.tensor([float("nan")]), parse_format(text)).isnan().all()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("minifloat(4,exponent=4,bias=NA)", "no room"),
        ("minifloat(4,exponent=1,bias=0,specials=ieee)", "use 2 bits"),
        ("minifloat(2,exponent=1,bias=-127,specials=nan)", "no normal numbers"),
        ("minifloat(16,exponent=8,bias=-160)", "float32 does not have"),
        ("minifloat(8,exponent=4)", "bias is missing"),
    ],
)
def test_what_cannot_be_is_refused_with_words(text: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        parse_format(text)


def test_a_mantissa_that_holds_its_leading_one_has_the_numbers_that_its_codes_spell() -> None:
    number_format = parse_format("minifloat_denorm(6,exponent=3,bias=NA)")
    spelled = {k / 4 * 2.0 ** (e - 3) for k in range(4) for e in range(8)}
    x = torch.linspace(-20, 20, 100_001)
    found = set(quantize(x, number_format).abs().tolist())
    assert found <= spelled
    assert max(found) == max(spelled) == 0.75 * 2.0**4
    levels = torch.tensor(sorted(spelled | {-value for value in spelled}))
    assert torch.equal(quantize(levels, number_format), levels)
    nearest = (x[:, None] - levels).abs().min(dim=1).values
    assert torch.equal((quantize(x, number_format) - x).abs(), nearest)
