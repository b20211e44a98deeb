"""Small models whose weights are computed from parameters, each with its weight written out by hand."""

import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations

Effective = Callable[[nn.Module], Tensor]


class StandardisedConvolution(nn.Conv2d):
    """The weight of each output channel has mean 0 and variance 1 (Qiao et al. 2019, as in BiT)."""

    def forward(self, x: Tensor) -> Tensor:
        variance, mean = torch.var_mean(self.weight, dim=[1, 2, 3], keepdim=True, unbiased=False)
        weight = (self.weight - mean) / torch.sqrt(variance + 1e-6)
        return F.conv2d(x, weight, self.bias, self.stride, self.padding)


class ScaledStandardisedConvolution(nn.Conv2d):
    """As in NFNets (Brock et al. 2021): standardised by a batch norm, with a learned gain."""

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__(inputs, outputs, kernel)
        self.gain = nn.Parameter(torch.rand(outputs, 1, 1, 1) + 0.5)
        self.scale = (inputs * kernel * kernel) ** -0.5

    def forward(self, x: Tensor) -> Tensor:
        weight = F.batch_norm(
            self.weight.reshape(1, self.out_channels, -1),
            None,
            None,
            weight=(self.gain * self.scale).view(-1),
            training=True,
            momentum=0.0,
            eps=1e-6,
        ).reshape_as(self.weight)
        return F.conv2d(x, weight, self.bias, self.stride, self.padding)


class Adapted(nn.Module):
    """A linear layer with a LoRA adapter that is merged in each call (Hu et al. 2021)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.base = nn.Linear(inputs, outputs)
        self.down = nn.Parameter(torch.randn(2, inputs))
        self.up = nn.Parameter(torch.randn(outputs, 2))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.base.weight + self.up @ self.down * 0.25, self.base.bias)


class Masked(nn.Linear):
    """A pruned layer: the mask is a buffer."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        self.register_buffer("mask", (torch.rand(outputs, inputs) > 0.3).float())

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.mask, self.bias)


class Sliced(nn.Module):
    """The rows that are used of a larger weight and bias."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.whole = nn.Parameter(torch.randn(2 * outputs, inputs))
        self.shift = nn.Parameter(torch.randn(2 * outputs))
        self.outputs = outputs

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.whole[: self.outputs], self.shift[: self.outputs])


class Matrix(nn.Module):
    """A product of matrices whose second one is scaled."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.matrix = nn.Parameter(torch.randn(inputs, outputs))
        self.log_scale = nn.Parameter(torch.randn(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return x @ (self.matrix * self.log_scale.exp())


class Between(nn.Module):
    """The layer in question between two plain ones."""

    def __init__(self, layer: nn.Module, *, spatial: bool) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 6, 3) if spatial else nn.Linear(8, 6)
        self.layer = layer
        self.last = nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.layer(torch.relu(self.first(x))))
        return self.last(y.mean(dim=(2, 3)) if y.dim() == 4 else y)


def _normed(make: Callable[[nn.Module], nn.Module]) -> Callable[[], nn.Module]:
    return lambda: make(nn.Linear(6, 4))


def _old_weight_norm() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return nn.utils.weight_norm(nn.Linear(6, 4), dim=None)


def _old_spectral_norm() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return nn.utils.spectral_norm(nn.Linear(6, 4))


def _standardised(weight: Tensor) -> Tensor:
    rows = weight.flatten(1)
    mean, variance = rows.mean(1, keepdim=True), rows.var(1, correction=0, keepdim=True)
    return ((rows - mean) / (variance + 1e-6).sqrt()).reshape(weight.shape)


# Of each: how the layer is made, whether it is a convolution, and the weight that it multiplies by.
FORMS: dict[str, tuple[Callable[[], nn.Module], bool, Effective]] = {
    "weight norm": (
        _normed(parametrizations.weight_norm),
        False,
        lambda m: (
            m.parametrizations.weight.original0
            * m.parametrizations.weight.original1
            / m.parametrizations.weight.original1.norm(dim=1, keepdim=True)
        ),
    ),
    "old weight norm": (_old_weight_norm, False, lambda m: m.weight_g * m.weight_v / m.weight_v.norm()),
    "spectral norm": (
        _normed(parametrizations.spectral_norm),
        False,
        lambda m: m.parametrizations.weight.original / _spectral(m.parametrizations.weight),
    ),
    "old spectral norm": (
        _old_spectral_norm,
        False,
        lambda m: m.weight_orig / (m.weight_u @ m.weight_orig @ m.weight_v),
    ),
    "standardised": (
        lambda: StandardisedConvolution(6, 4, 3),
        True,
        lambda m: _standardised(m.weight),
    ),
    "scaled standardised": (
        lambda: ScaledStandardisedConvolution(6, 4, 3),
        True,
        lambda m: _standardised(m.weight) * m.gain * m.scale,
    ),
    "lora": (lambda: Adapted(6, 4), False, lambda m: m.base.weight + 0.25 * (m.up @ m.down)),
    "masked": (lambda: Masked(6, 4), False, lambda m: m.weight * m.mask),
    "sliced": (lambda: Sliced(6, 4), False, lambda m: m.whole[:4]),
    "matrix": (lambda: Matrix(6, 4), False, lambda m: m.matrix * m.log_scale.exp()),
}


def _spectral(parametrization: nn.Module) -> Tensor:
    norm = parametrization[0]
    return norm._u @ parametrization.original @ norm._v


def build(form: str) -> tuple[nn.Module, Tensor]:
    """A model in evaluation mode with the layer ``layer`` of that form, and 40 samples for it."""
    make, spatial, _ = FORMS[form]
    with torch.random.fork_rng():
        torch.manual_seed(5)
        model = Between(make(), spatial=spatial)
        inputs = torch.randn(40, *((3, 9, 9) if spatial else (8,)))
        model.train()(inputs)
    return model.eval(), inputs
