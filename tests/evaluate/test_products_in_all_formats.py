"""Each kind of product in formats of all families, against rounding that is written out by hand."""

import random
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from narrower.data.parts import Part
from narrower.evaluate.evaluator import Evaluator
from narrower.graph.lower import lower
from narrower.graph.trace import trace
from narrower.plan.formats.number_format import NumberFormat
from narrower.plan.formats.text import parse_format
from narrower.plan.plan import LayerPlan, Plan
from narrower.transform.quantizers.quantize import quantize

WEIGHTS = (
    *("fixed(5,frac=3)", "ufixed(4,frac=3)", "fixed(6,frac=3,rounding=floor)", "affine(4,per=channel)"),
    *("affine(3,symmetric=false,per=group32)", "affine(4,per=channel,scales=power_of_two)", "e4m3fn"),
    *(
        "minifloat(8,exponent=4,bias=NA)",
        "e2m1",
        "bfloat16",
        "mxfp4",
        "mxint8(axis=1)",
        "block_fp(6,block=16)",
    ),
    *("power_of_two(4,bias=7)", "log(8,bias=NA)", "binary(per=channel)", "ternary"),
    *("sparse(4,frac=2,zeros=50)", "float32"),
)
DATA = (
    *("fixed(5,frac=3)", "ufixed(4,frac=3)", "fixed(6,frac=3,overflow=wrap)", "affine(8,scale=0.0625)"),
    *("affine(8,symmetric=false,scale=0.0125,zero=17)", "e4m3fn", "e2m1", "float16", "mxfp8"),
    *("mxfp6(axis=1)", "block_fp(6,block=16)", "power_of_two(4,bias=7)", "binary(scale=1.0)", "float32"),
)
BIASES = ("fixed(8,frac=5)", "affine(8)", "float32", "bfloat16")
Product = Callable[..., Tensor]
CONVOLUTIONS: dict[str, tuple[type[nn.Module], Product, tuple[int, ...]]] = {
    "conv1d": (nn.Conv1d, F.conv1d, (9,)),
    "conv2d": (nn.Conv2d, F.conv2d, (7, 6)),
    "conv3d": (nn.Conv3d, F.conv3d, (4, 5, 4)),
    "conv_transpose1d": (nn.ConvTranspose1d, F.conv_transpose1d, (9,)),
    "conv_transpose2d": (nn.ConvTranspose2d, F.conv_transpose2d, (7, 6)),
    "conv_transpose3d": (nn.ConvTranspose3d, F.conv_transpose3d, (4, 5, 4)),
}


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(self.query(x), self.key(x), self.value(x))


class Held(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.held = nn.Parameter(torch.randn(8, 5))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.held


class OfTwo(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x @ x.transpose(-1, -2)


def outputs(model: nn.Module, x: Tensor, layer: LayerPlan) -> Tensor:
    program = lower(trace(model, x))
    plan = Plan.of(dict.fromkeys(program.network.product_layers, layer))
    return Evaluator(program, Part(x, torch.zeros(len(x))), batch_size=4).outputs(plan, x)


def drawn(seed: int) -> tuple[random.Random, LayerPlan]:
    chance = random.Random(seed)
    torch.manual_seed(seed)
    data, weight, bias = (parse_format(chance.choice(texts)) for texts in (DATA, WEIGHTS, BIASES))
    return chance, LayerPlan(data, weight, bias)


def biased(product: Tensor, bias: Tensor | None, number_format: NumberFormat) -> Tensor:
    if bias is None:
        return product
    return product + quantize(bias, number_format).reshape(-1, *(1 for _ in range(product.dim() - 2)))


@pytest.mark.parametrize("kind", CONVOLUTIONS)
@pytest.mark.parametrize("seed", range(5))
def test_convolutions(kind: str, seed: int) -> None:
    chance, layer = drawn(seed + 10 * list(CONVOLUTIONS).index(kind))
    module, function, sizes = CONVOLUTIONS[kind]
    options = {
        "stride": chance.choice((1, 2)),
        "padding": chance.choice((0, 1)),
        "groups": chance.choice((1, 2, 4)),
    }
    model = module(4, 8, 3, bias=chance.random() < 0.7, **options).eval()
    x = torch.randn(4, 4, *sizes)
    with torch.no_grad():
        product = function(quantize(x, layer.data), quantize(model.weight, layer.weight), None, **options)
        wanted = biased(product, model.bias, layer.bias)
    torch.testing.assert_close(outputs(model, x, layer), wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("seed", range(100, 108))
def test_linear_layers_and_matrix_products(seed: int) -> None:
    _, layer = drawn(seed)
    linear, held, of_two = nn.Linear(8, 6).eval(), Held().eval(), OfTwo().eval()
    x, y = torch.randn(4, 8), torch.randn(4, 3, 8)
    with torch.no_grad():
        by_hand = F.linear(quantize(x, layer.data), quantize(linear.weight, layer.weight))
        by_hand = by_hand + quantize(linear.bias, layer.bias)
        of_held = quantize(y, layer.data) @ quantize(held.held, layer.weight)
        of_both = quantize(y, layer.data) @ quantize(y.transpose(-1, -2), layer.data)
    torch.testing.assert_close(outputs(linear, x, layer), by_hand, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(outputs(held, y, layer), of_held, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(outputs(of_two, y, layer), of_both, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("seed", range(200, 206))
def test_both_products_of_attention(seed: int) -> None:
    _, layer = drawn(seed)
    model, x = Attention().eval(), torch.randn(4, 5, 8)

    def linear(module: nn.Linear) -> Tensor:
        product = F.linear(quantize(x, layer.data), quantize(module.weight, layer.weight))
        return quantize(product + quantize(module.bias, layer.bias), layer.data)

    with torch.no_grad():
        query, value = linear(model.query), linear(model.value)
        product = F.linear(quantize(x, layer.data), quantize(model.key.weight, layer.weight))
        keys = quantize((product + quantize(model.key.bias, layer.bias)).transpose(-1, -2), layer.data)
        shares = quantize(torch.softmax(query @ keys * 8**-0.5, -1), layer.data)
        wanted = shares @ value
    torch.testing.assert_close(outputs(model, x, layer), wanted, rtol=1e-4, atol=1e-4)
