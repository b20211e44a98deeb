"""Programs that are chains of linear layers, and which plans make their products exact."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from narrower.evaluate.steps import Steps
from narrower.plan.formats.grid import LARGEST_WHOLE, Grid
from narrower.plan.formats.number_format import NumberFormat
from narrower.plan.plan import UNCHANGED, LayerPlan, Plan
from narrower.transform.quantizers.quantize import quantize

aten = torch.ops.aten

LARGEST_VALUE = 1e37  # far from infinity, so that no sum of two such values reaches it
FINEST_PRODUCT = 100  # fraction bits of a product: its steps stay normal float32 numbers

InPlace = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Elementwise:
    """An operator that treats each channel alone: ``apply`` overwrites values [..., channels, samples].

    ``bound`` gives the largest magnitude that can come out from the largest that goes in.
    """

    apply: InPlace
    bound: Callable[[float], float]


@dataclass(frozen=True, slots=True)
class Stage:
    """A linear layer, weight [O, K] and bias [O], and what follows up to the next one."""

    layer: str
    weight: Tensor
    bias: Tensor | None
    after: tuple[Elementwise, ...]


@dataclass(frozen=True)
class Chain:
    """Linear layers one after another; ``start`` is the step whose value [N, K] enters the first."""

    start: int
    stages: tuple[Stage, ...]
    _options: dict[tuple[int, LayerPlan], "Option | None"] = field(default_factory=dict, repr=False)
    _weights: dict[tuple[int, NumberFormat], "_Weight | None"] = field(default_factory=dict, repr=False)
    _biases: dict[tuple[int, NumberFormat], "_Bias | None"] = field(default_factory=dict, repr=False)

    def options(self, plan: Plan) -> "tuple[Option, ...] | None":
        """The operands of every layer under a plan; None where a layer's sums may be rounded."""
        layers = dict(plan.layers)
        found = []
        for depth, stage in enumerate(self.stages):
            option = self.option(depth, layers.get(stage.layer, UNCHANGED))
            if option is None:
                return None
            found.append(option)
        return tuple(found)

    def option(self, depth: int, layer: LayerPlan) -> "Option | None":
        """The operands of a layer under a plan; None where its sums may be rounded."""
        key = (depth, layer)
        if key not in self._options:
            self._options[key] = self._option(depth, layer)
        return self._options[key]

    def _option(self, depth: int, layer: LayerPlan) -> "Option | None":
        """Weights and biases are rounded once for all plans."""
        stage = self.stages[depth]
        if layer.data.grid is None or layer.weight.grid is None:
            return None
        if (depth, layer.weight) not in self._weights:
            self._weights[depth, layer.weight] = _rounded_weight(stage, layer.weight, layer.weight.grid)
        if (depth, layer.bias) not in self._biases:
            self._biases[depth, layer.bias] = _rounded_bias(stage, layer.bias)
        weight, bias = self._weights[depth, layer.weight], self._biases[depth, layer.bias]
        return None if weight is None or bias is None else _option(stage, layer, weight, bias)


@dataclass(frozen=True, slots=True)
class Option:
    """A layer's rounded operands, for inputs that are counted in steps of their format.

    ``matrix`` [O, K + 1] holds the weights, each times the step of the data, and the bias; every sum that a
    product with it forms is exact in any order. ``bias`` [O] is what must be added afterwards instead,
    because the sum with it may be rounded.
    """

    data: NumberFormat
    matrix: Tensor
    bias: Tensor | None


def find_chain(steps: Steps) -> Chain | None:
    """The chain that a program is from its first rounding on; None where it is none."""
    return _Finder(steps).find()


@dataclass(frozen=True, slots=True)
class _Weight:
    """A rounded weight in double precision, and the sum of each row's magnitudes in steps of its grid."""

    values: Tensor
    grid: Grid
    steps: Tensor


@dataclass(frozen=True, slots=True)
class _Bias:
    """A rounded bias, its magnitudes, and zeros that stand where there is none."""

    values: Tensor
    magnitudes: Tensor
    none: Tensor


def _rounded_weight(stage: Stage, number_format: NumberFormat, grid: Grid) -> _Weight | None:
    rounded = quantize(stage.weight, number_format).double()
    if not torch.isfinite(rounded).all():
        return None
    return _Weight(rounded, grid, rounded.abs().sum(dim=1) / grid.step)


def _rounded_bias(stage: Stage, number_format: NumberFormat) -> _Bias | None:
    none = torch.zeros(len(stage.weight))
    bias = none if stage.bias is None else quantize(stage.bias, number_format)
    return _Bias(bias, bias.abs(), none) if torch.isfinite(bias).all() else None


def _option(stage: Stage, layer: LayerPlan, weight: _Weight, rounded_bias: _Bias) -> Option | None:
    data, bias, magnitudes = layer.data.grid, rounded_bias.values, rounded_bias.magnitudes
    assert data is not None
    if not -FINEST_PRODUCT <= data.frac + weight.grid.frac <= FINEST_PRODUCT:
        return None
    # In units of the products' step: the largest magnitude that any partial sum can have.
    step = data.step * weight.grid.step
    products = weight.steps * data.largest
    if float(products.max()) > LARGEST_WHOLE:
        return None
    bound = float((products * step + magnitudes).max())
    for operator in stage.after:
        bound = operator.bound(bound)
        if not bound < LARGEST_VALUE:
            return None
    finer = 1.0
    grid = layer.bias.grid
    if grid is not None and grid.step < step:
        finer = step / grid.step
    is_grid = stage.bias is None or grid is not None
    joins = is_grid and float((products + magnitudes / step).max()) * finer <= LARGEST_WHOLE
    column = bias if joins else rounded_bias.none
    matrix = torch.cat([(weight.values * data.step).float(), column[:, None]], dim=1)
    return Option(layer.data, matrix, None if joins else bias)


class _Finder:
    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self._readers = [0] * len(steps.steps)
        for step in steps.steps:
            for source in step.inputs:
                self._readers[source] += 1
        self._is_rounded = [False] * len(steps.steps)
        for indices in steps.affected:
            for index in indices:
                self._is_rounded[index] = True

    def find(self) -> Chain | None:
        stages: list[Stage] = []
        at = self._steps.output
        while self._is_rounded[at]:
            found = self._stage(at)
            if found is None:
                return None
            stage, at = found
            stages.insert(0, stage)
        return Chain(at, tuple(stages)) if stages else None

    def _stage(self, at: int) -> tuple[Stage, int] | None:
        """The stage whose last value is step ``at``, and the step that enters it."""
        steps, constants = self._steps.steps, self._steps.constants
        after: list[Elementwise] = []
        bias: Tensor | None = None
        has_bias = False
        while steps[at].function is not aten.linear.default:
            step = steps[at]
            if has_bias or self._readers[at] > (at != self._steps.output):
                return None
            slot = self._slot(step.inputs[1]) if len(step.inputs) == 2 else None  # noqa: PLR2004
            if step.function is aten.add.Tensor and slot is not None and slot[1] == "bias":
                bias = constants.get(steps[step.inputs[1]].inputs[0])
                has_bias = True
                if bias is None or step.keywords:
                    return None
            else:
                made = _elementwise(step.function, step.arguments, step.keywords, constants)
                if made is None:
                    return None
                after.insert(0, made)
            at = step.inputs[0]
        product = steps[at]
        if self._readers[at] > (at != self._steps.output) or len(product.inputs) != 2:  # noqa: PLR2004
            return None
        data, weight = product.inputs
        if self._slot(data) is None or self._slot(weight) is None:
            return None
        matrix = constants.get(steps[weight].inputs[0])
        if matrix is None or matrix.dtype != torch.float32:
            return None
        if (bias is not None and bias.shape != matrix.shape[:1]) or not _fits(after, matrix):
            return None
        layer, _ = self._slot(weight) or ("", "")
        return Stage(layer, matrix, bias, tuple(after)), steps[data].inputs[0]

    def _slot(self, index: int) -> tuple[str, str] | None:
        slot = self._steps.steps[index].slot
        return None if slot is None else self._steps.slots[slot]


def _fits(after: list[Elementwise], weight: Tensor) -> bool:
    """Whether the operators take the layer's channels as they are."""
    outputs = torch.zeros(1, len(weight), 1)
    try:
        return all(operator.apply(outputs).shape == outputs.shape for operator in after)
    except RuntimeError:
        return False


def _elementwise(
    function: Any, arguments: tuple[Any, ...], keywords: dict[str, Any], constants: Mapping[int, Tensor]
) -> Elementwise | None:
    if function is aten.relu.default:
        return Elementwise(Tensor.relu_, lambda bound: bound)
    if function not in ARITHMETIC or keywords or len(arguments) != 2:  # noqa: PLR2004
        return None
    other = arguments[1]
    number = constants.get(other.step) if hasattr(other, "step") else other
    if isinstance(number, Tensor):
        if number.dtype != torch.float32 or number.dim() > 2 or (number.dim() == 2 and len(number) > 1):  # noqa: PLR2004
            return None
        number = number.reshape(-1, 1)
    elif isinstance(number, bool) or not isinstance(number, int | float):
        return None
    return ARITHMETIC[function](number)


def _largest(number: Tensor | float) -> float:
    return float(number.abs().max()) if isinstance(number, Tensor) else abs(number)


ARITHMETIC: dict[Any, Callable[[Any], Elementwise]] = {
    aten.mul.Tensor: lambda c: Elementwise(lambda x: x.mul_(c), lambda bound: bound * _largest(c)),
    aten.add.Tensor: lambda c: Elementwise(lambda x: x.add_(c), lambda bound: bound + _largest(c)),
    aten.sub.Tensor: lambda c: Elementwise(lambda x: x.sub_(c), lambda bound: bound + _largest(c)),
}
