"""Train in number formats: parameters are rounded as one vector before each step, data where they are read.

Gradients pass straight through (Bengio et al., 2013). The sequential form, one model and one plan, is the
definition; a stack of candidates (``stack.py``) uses the same two pieces with formats as tensors.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from narrower.errors import SettingsError
from narrower.graph.own_copy import own_copy
from narrower.plan.formats.float32 import FLOAT32
from narrower.plan.formats.number_format import NumberFormat
from narrower.plan.formats.sparse import Sparse
from narrower.plan.plan import Plan
from narrower.training.flat import FlatWeights, Leaf
from narrower.transform.quantized import product_module
from narrower.transform.quantizers.catalogue import QUANTIZERS
from narrower.transform.quantizers.quantize import quantize, quantize_straight_through
from narrower.transform.quantizers.sparse import mask
from narrower.transform.quantizers.stacked_fixed import FixedTensors, fixed_tensors, round_fixed
from narrower.transform.recurrent import RoundedStates, operands_of, rounding_to


@dataclass(frozen=True, slots=True)
class Formats:
    """What of a model is rounded: data by the layer that reads them, parameters by their names."""

    data: Mapping[str, NumberFormat]
    parameters: Mapping[str, NumberFormat]


def formats_of(model: nn.Module, plan: Plan) -> Formats | None:
    """The formats of a plan for a model; None where they cannot be told by parameter.

    That is where a weight is computed from parameters, or layers share one and round it differently.

    Raises:
        UnknownNameError: the plan names a layer that the model does not have.
        ModelError: the layer is no linear or convolution module, or the plan changes its width.
    """
    modules = dict(model.named_modules())
    data: dict[str, NumberFormat] = {}
    parameters: dict[str, NumberFormat] = {}
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    for name, layer in plan.layers:
        module = product_module(modules, name, layer)
        if layer.data != FLOAT32:
            data[name] = layer.data
        for operand, of_operand in operands_of(module).items():
            number_format: NumberFormat = getattr(layer, operand)
            for parameter in (getattr(module, own, None) for own in of_operand):
                if parameter is None or number_format == FLOAT32:
                    continue
                if id(parameter) not in names:
                    return None
                if parameters.setdefault(names[id(parameter)], number_format) != number_format:
                    return None
    if _are_shared_otherwise(model, parameters, plan):
        return None
    return Formats(data, parameters)


def rounded(model: nn.Module, plan: Plan) -> nn.Module:
    """A copy whose parameters are numbers of a plan's formats, and that rounds what its layers read.

    Raises:
        NarrowerError: the plan does not fit the model, or its weights are computed or shared.
    """
    formats = formats_of(model, plan)
    if formats is None:
        raise SettingsError("a weight is computed from parameters, or layers share and round it differently")
    copied = own_copy(model)
    with torch.no_grad():
        for name, number_format in formats.parameters.items():
            parameter = copied.get_parameter(name)
            parameter.copy_(quantize(parameter, number_format))
    round_data(copied, formats.data)
    return copied


def _are_shared_otherwise(model: nn.Module, parameters: Mapping[str, NumberFormat], plan: Plan) -> bool:
    """Whether another module reads a parameter as it is that is rounded for one layer."""
    rounded = {id(model.get_parameter(name)) for name in parameters}
    planned = {name for name, _ in plan.layers}
    return any(
        id(parameter) in rounded
        for name, module in model.named_modules()
        if name not in planned
        for parameter in module.parameters(recurse=False)
    )


class Removable(Protocol):
    """What lets a layer round its data, until it is removed."""

    def remove(self) -> None:
        """Let it read its data as they are."""


def round_data(model: nn.Module, formats: Mapping[str, NumberFormat]) -> list[Removable]:
    """Let layers, given by name, round what they read; what does it is returned."""
    return [_round_one(model.get_submodule(name), number_format) for name, number_format in formats.items()]


def _round_one(module: nn.Module, number_format: NumberFormat) -> Removable:
    if isinstance(module, nn.RNNBase):
        return RoundedStates(module, rounding_to(number_format))
    return module.register_forward_pre_hook(_rounds(number_format))


def _rounds(number_format: NumberFormat) -> Callable[[nn.Module, Any], Any]:
    def hook(_module: nn.Module, inputs: Any) -> Any:
        return (quantize_straight_through(inputs[0], number_format), *inputs[1:])

    return hook


def round_parameters(
    weights: Sequence[FlatWeights], parameters: Mapping[str, Tensor], formats: Mapping[str, NumberFormat]
) -> None:
    """Let a model in training see its parameters, given by name, rounded."""
    by_parameter = {id(parameters[name]): number_format for name, number_format in formats.items()}
    for each in weights:
        chosen = [by_parameter.get(id(leaf.parameter), FLOAT32) for leaf in each.leaves]
        if any(number_format != FLOAT32 for number_format in chosen):
            each.round_with(_rounding(each, chosen))


def _rounding(weights: FlatWeights, formats: Sequence[NumberFormat]) -> "VectorRounding | LeafRounding":
    tensors = fixed_tensors(formats)
    if tensors is None:
        return LeafRounding(list(zip(weights.leaves, formats, strict=True)), weights.exact)
    lengths = torch.tensor([leaf.parameter.numel() for leaf in weights.leaves])
    device = weights.exact.device
    return VectorRounding(tensors.each(lambda tensor: tensor.repeat_interleave(lengths).to(device)))


@dataclass(frozen=True, slots=True)
class Zeros:
    """A part of a vector that holds a tensor of a shape, of which a sparse format makes numbers zero."""

    part: slice
    shape: torch.Size
    number_format: Sparse


class VectorRounding:
    """Fixed point: a whole vector at once, each entry in its own format, and some of them zero."""

    def __init__(self, formats: FixedTensors, zeros: Sequence[Zeros] = ()) -> None:
        self._formats, self._zeros = formats, zeros
        self._inside = torch.empty_like(formats.factor, dtype=torch.int8)

    def write(self, exact: Tensor, rounded: Tensor) -> None:
        round_fixed(exact, self._formats, rounded, self._inside)
        for zeros in self._zeros:
            rounded[zeros.part].mul_(mask(exact[zeros.part].view(zeros.shape), zeros.number_format).flatten())

    def mask(self, gradient: Tensor) -> None:
        gradient.mul_(self._inside)


class LeafRounding:
    """Any family: parameter by parameter."""

    def __init__(self, leaves: Sequence[tuple[Leaf, NumberFormat]], exact: Tensor) -> None:
        self._leaves = leaves
        self._inside = torch.ones_like(exact, dtype=torch.bool)

    def write(self, exact: Tensor, rounded: Tensor) -> None:
        for leaf, number_format in self._leaves:
            held = exact[leaf.part].view(leaf.parameter.shape)  # formats may differ from entry to entry
            rounded[leaf.part] = quantize(held, number_format).flatten()
            if number_format != FLOAT32:
                passes = QUANTIZERS[type(number_format)].passes_gradient(held, number_format)
                self._inside[leaf.part] = passes.flatten()

    def mask(self, gradient: Tensor) -> None:
        gradient.mul_(self._inside)
