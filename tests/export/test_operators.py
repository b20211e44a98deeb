"""Each operator that has a rule computes in ONNX Runtime what it computes here."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from narrower.data.datasets import DataSet, Part
from narrower.errors import ExportError
from narrower.evaluate.definition import defined_outputs
from narrower.export.deliver import export_plan
from narrower.export.exactness import inexact_operators
from narrower.export.execute import run_onnx
from narrower.export.onnx_model import to_onnx
from narrower.export.subject import Subject, Wishes
from narrower.graph.lower import lower
from narrower.graph.program import Program
from narrower.graph.trace import trace
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.plan import LayerPlan, Plan
from tests.export.plans import uniform

IMAGE, VECTOR, SEQUENCE, VOLUME = (8, 6, 6), (8,), (5, 8), (8, 3, 4, 3)
EIGHT = FixedPoint(8, 5)


class Of(nn.Module):
    """A function of some modules and of x."""

    def __init__(self, function: Callable[..., Tensor], *modules: nn.Module) -> None:
        super().__init__()
        self.function, self.parts = function, nn.ModuleList(modules)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(*self.parts, x)


def of(function: Callable[..., Tensor], *modules: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    return lambda: Of(function, *(make() for make in modules))


def _scattered(x: Tensor) -> Tensor:
    y = x.clone()
    y[:, 2] = 0.5
    y[:, 3:5] *= 2
    return y


# Of those that compute each element with one rounding, or none, every bit must be equal.
EXACT: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "prelu": (lambda: nn.PReLU(8, 0.3), IMAGE),
    "one slope": (lambda: nn.PReLU(1, 0.3), SEQUENCE),
    "leaky relu": (lambda: nn.LeakyReLU(0.3), VECTOR),
    "steps": (
        of(lambda x: F.hardshrink(x) + F.threshold(x, 0.1, 0.2) + x.sign() * x.floor() - x.ceil()),
        VECTOR,
    ),
    "roots": (of(lambda x: x.square() + x.abs().sqrt() + x.clamp(min=0) + x.clamp_max(1.0)), VECTOR),
    "differences": (of(lambda x: 1 - x - (x - 3)), VECTOR),
    "upsampled": (lambda: nn.Upsample(scale_factor=2), IMAGE),
    "upsampled by a part": (lambda: nn.Upsample(scale_factor=1.5), IMAGE),
    "upsampled to a size": (lambda: nn.Upsample(size=(9, 11)), IMAGE),
    "upsampled exactly": (lambda: nn.Upsample(scale_factor=1.7, mode="nearest-exact"), IMAGE),
    "upsampled sequence": (lambda: nn.Upsample(scale_factor=3), SEQUENCE),
    "padded": (of(lambda x: F.pad(F.pad(x, (1, 2), value=0.5), (0, -1, 2, 0))), SEQUENCE),
    "reflected": (lambda: nn.ReflectionPad2d((2, 1, 0, 3)), IMAGE),
    "replicated": (lambda: nn.ReplicationPad1d(2), SEQUENCE),
    "wrapped": (of(lambda x: F.pad(x, (1, 1, 2, 0), mode="circular")), IMAGE),
    "pixels": (lambda: nn.Sequential(nn.PixelShuffle(2), nn.PixelUnshuffle(3)), IMAGE),
    "channels": (lambda: nn.ChannelShuffle(4), IMAGE),
    "chunks": (
        of(lambda x: torch.cat([*x.chunk(3, 1)[::-1], *x.split(2, 1), *x.split([1, 4], 1)], 1)),
        SEQUENCE,
    ),
    "stacked": (of(lambda x: torch.stack([x, -x, x.unbind(1)[2][:, None].expand(-1, 5, -1)], -1)), SEQUENCE),
    "turned": (of(lambda x: x.flip(1, 2) + x.roll((1, -2), (1, 2)) + x.mT.flip(1).mT), SEQUENCE),
    "repeated": (of(lambda x: x.repeat(1, 2, 1) + x.repeat_interleave(2, 1)), SEQUENCE),
    "picked": (of(lambda x: x[:, [3, 1]] + x[:, 1:-1:2] + x.index_select(1, torch.tensor([0, 4]))), SEQUENCE),
    "scattered": (of(_scattered), SEQUENCE),
    "where": (
        of(lambda x: torch.where((x > 0) & ~(x >= 1) | (x == 2), x, 0.0) * (x != x.amax(1, True))),
        VECTOR,
    ),
    "extremes": (of(lambda x: x.amax(1) - x.min(1)[0] + torch.max(x[:, 0], x[:, 1])), SEQUENCE),
    "largest": (of(lambda x: x.topk(3, 1)[0] + x.sort(1, descending=True)[0][:, :3]), SEQUENCE),
    "places": (of(lambda x: x.argmax(1).float() + x.argsort(1)[:, 2]), SEQUENCE),
    "gathered": (of(lambda x: x.gather(1, x.argsort(1)) + F.one_hot((x > 0).long(), 2)[..., 0]), SEQUENCE),
    "pooled": (
        of(lambda a, b, x: a(x) + b(x), lambda: nn.MaxPool2d(2), lambda: nn.AdaptiveMaxPool2d(3)),
        IMAGE,
    ),
    "filled": (
        of(lambda x: torch.cat([x, torch.ones(x.shape[0], 1, 8), x.new_zeros(x.shape[0], 2, 8)], 1)),
        SEQUENCE,
    ),
    "filled like": (
        of(lambda x: x + torch.full_like(x, 0.25) * torch.zeros_like(x[:, :1]).fill_(2)),
        SEQUENCE,
    ),
    "whole numbers": (of(lambda x: x + (torch.arange(5) + 1)[:, None] * (x > 0).long()), SEQUENCE),
    "no dimension left": (of(lambda x: x[:, :1, :1].squeeze() + x[:, 0, 0]), SEQUENCE),
}
# Of the others ONNX Runtime and PyTorch round last bits differently.
CLOSE: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "group norm": (lambda: nn.GroupNorm(2, 8), IMAGE),
    "instance norm": (lambda: nn.InstanceNorm2d(8, affine=True), IMAGE),
    "rms norm": (lambda: nn.RMSNorm(8), SEQUENCE),
    "response norm": (lambda: nn.LocalResponseNorm(3), IMAGE),
    "bilinear": (lambda: nn.Upsample(scale_factor=2, mode="bilinear"), IMAGE),
    "bilinear to a size": (lambda: nn.Upsample(size=(9, 11), mode="bilinear", align_corners=True), IMAGE),
    "bicubic": (lambda: nn.Upsample(scale_factor=2, mode="bicubic"), IMAGE),
    "trilinear": (lambda: nn.Upsample(scale_factor=2, mode="trilinear"), VOLUME),
    "lstm": (
        of(lambda m, x: m(x)[0], lambda: nn.LSTM(8, 4, 2, batch_first=True, bidirectional=True)),
        SEQUENCE,
    ),
    "last state": (of(lambda m, x: m(x)[1][1], lambda: nn.LSTM(8, 4, 2, batch_first=True)), SEQUENCE),
    "gru": (of(lambda m, x: m(x)[1].transpose(0, 1), lambda: nn.GRU(8, 4, 2, batch_first=True)), SEQUENCE),
    "rnn": (of(lambda m, x: m(x)[0], lambda: nn.RNN(8, 4, batch_first=True, bias=False)), SEQUENCE),
    "rnn of relu": (
        of(
            lambda m, x: m(x)[0],
            lambda: nn.RNN(8, 4, nonlinearity="relu", batch_first=True, bidirectional=True),
        ),
        SEQUENCE,
    ),
    "state": (
        of(lambda m, x: m(x, x[:, :2, :4].transpose(0, 1))[0], lambda: nn.GRU(8, 4, 2, batch_first=True)),
        SEQUENCE,
    ),
    "sums": (of(lambda x: x.sum((1, 2)) + x.mean((1, 2)) + x[:, 0].prod(1) + x.cumsum(1)[:, 2, 3]), SEQUENCE),
    "spread": (of(lambda x: x.std(1) + x.var(1, correction=0) + torch.var_mean(x, 1)[1]), SEQUENCE),
    "lengths": (of(lambda x: x.norm(dim=1) + x.norm(1, dim=1) + F.normalize(x, dim=2)[:, 0]), SEQUENCE),
    "alike": (of(lambda x: F.cosine_similarity(x, x[:, :1], dim=2) + x.logsumexp(2)), SEQUENCE),
    "smooth": (
        of(lambda x: F.softplus(x) + F.softplus(x, 2, 0.5) + F.mish(x) + F.selu(x) + F.celu(x, 2)),
        VECTOR,
    ),
    "smoother": (
        of(lambda x: F.logsigmoid(x) + F.glu(torch.cat([x, x], 1)) + F.softmin(x, 1) + F.softsign(x)),
        VECTOR,
    ),
    "shrunk": (of(lambda x: F.softshrink(x) + F.tanhshrink(x) + F.gelu(x, approximate="tanh")), VECTOR),
    "powers": (
        of(lambda x: x**2 + x**3 + x.abs() ** 0.5 + x.abs() ** 1.7 + 2**x + 1 / x + x.abs() ** -0.5),
        VECTOR,
    ),
    "logarithms": (
        of(lambda x: x.abs().log() + x.abs().log1p() + x.abs().log2() + x.expm1() + x.exp2()),
        VECTOR,
    ),
    "waves": (of(lambda x: x.sin() + x.cos() + x.atan() + x.erf() + x.rsqrt().nan_to_num(0)), VECTOR),
    "remainders": (
        of(lambda x: x % 2 + torch.fmod(x, 2) + x // 3 + torch.div(x, 2, rounding_mode="trunc")),
        VECTOR,
    ),
    "mixed": (
        of(
            lambda x: (
                torch.addcmul(x, x, x, value=2)
                + torch.sub(x, x + 1, alpha=3)
                + torch.lerp(x, x * 2, 0.3)
                + torch.logaddexp(x, -x)
            )
        ),
        VECTOR,
    ),
    "averages": (
        of(
            lambda a, b, x: a(x)[..., :2, :2] + b(x), lambda: nn.AvgPool2d(2), lambda: nn.AdaptiveAvgPool2d(2)
        ),
        IMAGE,
    ),
    "volumes": (
        of(lambda a, b, x: b(a(x)), lambda: nn.Conv3d(8, 4, 2), lambda: nn.ConvTranspose3d(4, 2, 2)),
        VOLUME,
    ),
    "grouped queries": (
        of(lambda x: F.scaled_dot_product_attention(x, x[:, ::2, 1:], x[:, ::2, 1:], enable_gqa=True)),
        IMAGE,
    ),
    "causal": (
        of(lambda x: F.scaled_dot_product_attention(x, x[:, :, :4], x[:, :, :4], is_causal=True)),
        IMAGE,
    ),
}


def _program(make: Callable[[], nn.Module], shape: tuple[int, ...]) -> tuple[nn.Module, Program, Tensor]:
    torch.manual_seed(0)
    model, inputs = make().eval(), 2 * torch.randn(7, *shape)
    return model, lower(trace(model, inputs[:3])), inputs


def _outputs(program: Program, plan: Plan, inputs: Tensor, **options: object) -> list[np.ndarray]:
    """With an open batch and with a fixed one, with and without the runtime's optimisations."""
    path, found = Path("m.onnx"), []
    for batch_size in (None, 7):
        path.write_bytes(to_onnx(program, plan, batch_size=batch_size, **options).SerializeToString())  # type: ignore[arg-type]
        found += [run_onnx(path, inputs, optimised=optimised) for optimised in (True, False)]
    return found


@pytest.mark.parametrize("name", EXACT)
def test_these_are_equal_bit_for_bit(name: str) -> None:
    model, program, inputs = _program(*EXACT[name])
    wanted = defined_outputs(program, Plan(), inputs)
    with torch.no_grad():
        assert torch.equal(wanted, model(inputs))
    assert inexact_operators(program, Plan()) == ()
    for found in _outputs(program, Plan(), inputs):
        np.testing.assert_array_equal(found, wanted.numpy())


@pytest.mark.parametrize("name", CLOSE)
def test_these_are_close(name: str) -> None:
    model, program, inputs = _program(*CLOSE[name])
    with torch.no_grad():
        wanted = model(inputs).numpy()
    assert inexact_operators(program, Plan())
    for found in _outputs(program, Plan(), inputs):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def _transposed(spatial: int, **options: int) -> Callable[[], nn.Module]:
    kind = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}[spatial]
    return lambda: nn.Sequential(kind(8, 4, 3, **options), nn.PReLU(4))


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (_transposed(1, stride=2, padding=1, output_padding=1), (8, 5)),
        (_transposed(2, stride=2, groups=2, bias=False), IMAGE),
        (_transposed(2, dilation=2), IMAGE),
        (_transposed(3), VOLUME),
        (lambda: nn.Sequential(nn.Conv3d(8, 4, 3, padding=1, groups=2), nn.ReLU()), VOLUME),
    ],
)
def test_rounded_convolutions_of_other_kinds_are_equal_bit_for_bit(
    make: Callable[[], nn.Module], shape: tuple[int, ...]
) -> None:
    _, program, inputs = _program(make, shape)
    for width, data, weight in ((8, 5, 7), (4, 2, 3)):
        plan = uniform(program, width, data, weight)
        assert inexact_operators(program, plan) == ()
        wanted = defined_outputs(program, plan, inputs).numpy()
        for found in _outputs(program, plan, inputs):
            np.testing.assert_array_equal(found, wanted)


def test_the_sums_of_a_transposed_convolution_run_over_its_inputs() -> None:
    layer = nn.ConvTranspose1d(4, 2, 1, bias=False)
    nn.init.constant_(layer.weight, 1.0)
    program = lower(trace(layer.eval(), torch.randn(3, 4, 5)))
    # an output is the sum of 4 weights of 2**7 steps times data of up to 2**15 steps: 2**24
    inside = LayerPlan(FixedPoint(16, 8), FixedPoint(16, 7))
    name = next(iter(program.network.product_layers))
    assert inexact_operators(program, Plan.of({name: inside})) == ()
    nn.init.constant_(layer.weight, 1.0 + 2**-7)
    program = lower(trace(layer, torch.randn(3, 4, 5)))
    (reason,) = inexact_operators(program, Plan.of({name: inside}))
    assert "16,908,288 steps" in reason


class Dynamic(nn.Module):
    """Its kernel is computed from the samples."""

    def __init__(self, *, spatial: bool) -> None:
        super().__init__()
        self.first = nn.Conv2d(8, 4, 1) if spatial else nn.Linear(8, 6)
        self.bank = nn.Parameter(torch.randn(3, 4, 1, 1) if spatial else torch.randn(3, 6))

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(x)
        if y.dim() == 4:
            return F.conv2d(y, torch.sigmoid(y.mean((0, 2, 3)))[None, :, None, None] * self.bank)
        return F.linear(y, torch.sigmoid(y.mean(0)) * self.bank)


@pytest.mark.parametrize(("spatial", "shape"), [(True, IMAGE), (False, VECTOR)])
def test_a_weight_that_depends_on_the_data_is_rounded_as_data(spatial: bool, shape: tuple[int, ...]) -> None:
    _, program, inputs = _program(lambda: Dynamic(spatial=spatial), shape)
    plan = Plan.of(dict.fromkeys(program.network.product_layers, LayerPlan(EIGHT, EIGHT, EIGHT)))
    wanted = defined_outputs(program, plan, inputs).numpy()
    for found in _outputs(program, plan, inputs):
        np.testing.assert_allclose(found, wanted, atol=2**-5)  # sigmoid's last bit can become one step


def test_ids_stay_whole_numbers() -> None:
    torch.manual_seed(0)
    table, head = nn.Embedding(9, 6), nn.Linear(6, 3)
    model = Of(lambda table, head, ids: head(torch.relu(table(ids)).amax(1)), table, head).eval()
    ids = torch.randint(0, 9, (7, 5))
    program = lower(trace(model, ids[:3]))
    plan = uniform(program, 8, 5, 6)
    assert inexact_operators(program, plan) == ()
    for found in _outputs(program, plan, ids):
        np.testing.assert_array_equal(found, defined_outputs(program, plan, ids).numpy())


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: torch.nn.functional.unfold(x, 2).flatten(1), r"aten\.im2col"),
        (lambda x: F.adaptive_avg_pool2d(x, 4).flatten(1), "windows overlap"),
        (lambda x: F.max_pool2d(x, 2, return_indices=True)[1].flatten(1) * 1.0, "no rule for result 1"),
    ],
)
def test_what_has_no_rule_is_named(function: Callable[[Tensor], Tensor], message: str) -> None:
    _, program, _ = _program(of(function), IMAGE)
    with pytest.raises(ExportError, match=message):
        to_onnx(program, Plan())


class Searched(nn.Module):
    """A convolution, an operator of many, and a linear layer, as people search them."""

    def __init__(self, between: nn.Module, channels: int) -> None:
        super().__init__()
        self.first, self.between, self.head = nn.Conv2d(3, 8, 3, padding=1), between, nn.Linear(channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.between(self.first(x)).mean((2, 3)))


@pytest.mark.parametrize(
    ("between", "channels"),
    [
        (nn.PReLU(8), 8),
        (nn.GroupNorm(2, 8), 8),
        (nn.ConvTranspose2d(8, 6, 2, 2), 6),
        (nn.Upsample(scale_factor=2), 8),
        (nn.GLU(1), 4),
    ],
)
def test_the_gate_is_passed(between: nn.Module, channels: int) -> None:
    torch.manual_seed(0)
    model = Searched(between, channels).eval()
    chance = torch.Generator().manual_seed(1)
    part = Part(torch.randn(600, 3, 8, 8, generator=chance), torch.randint(0, 3, (600,), generator=chance))
    layers = trace(model, part.inputs[:3]).network.product_layers
    plan = Plan.of(dict.fromkeys(layers, LayerPlan(EIGHT, EIGHT, EIGHT)))
    subject = Subject(model, "mine:model", plan, DataSet("own", part, part, part, ("a", "b", "c")))
    manifest = export_plan(subject, "onnx", Path("exports"), Wishes(samples=1000))
    assert manifest.passed
    has_statistics = isinstance(between, nn.GroupNorm | nn.GLU)
    assert manifest.mode == ("class" if has_statistics else "exact")
