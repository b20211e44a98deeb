"""Take out channels that a plan's zeros leave without any weight: a smaller network, the same outputs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import floor
from typing import Any

import torch
from torch import Tensor, nn

from narrower.errors import SettingsError
from narrower.graph.groups import Channels, Copies, Group
from narrower.graph.own_copy import own_copy
from narrower.graph.trace import trace
from narrower.plan.formats.affine import Affine
from narrower.plan.formats.fixed_channels import FixedChannels
from narrower.plan.formats.number_format import NumberFormat
from narrower.plan.formats.sparse import PERCENT, Sparse
from narrower.plan.plan import LayerPlan, Plan
from narrower.transform.new_sizes import changed_copy
from narrower.transform.quantized import PRODUCTS, product_module, quantized
from narrower.transform.quantizers.quantize import quantize
from narrower.transform.recurrent import operands_of
from narrower.transform.tried_channels import tried_channels
from narrower.transform.tries import outputs_of

TOLERANCE = 1e-5  # of outputs, relative to the largest: sums of fewer numbers, in another order


@dataclass(frozen=True)
class Pruned:
    """A smaller model, whose parameters are rounded, the plan for it, and channels taken, by layer."""

    model: nn.Module
    plan: Plan
    taken: Mapping[str, int]


def without_pruned(model: nn.Module, plan: Plan, example: Tensor | Sequence[Tensor]) -> Pruned:
    """Take out the channels all of whose weights a plan makes zero and that give zero to all who read them.

    One that gives another constant, by its bias, stays: so do channels over which a norm is taken, and one of
    each layer. ``example`` holds at least 2 samples. What computes less is a ``resize``: who is tied follows.

    Raises:
        NarrowerError: the plan does not fit the model.
    """
    examples = (example,) if isinstance(example, Tensor) else tuple(example)
    rounded, dense = _rounded(model, plan)
    found = tried_channels(rounded, trace(rounded, examples), examples)
    deployed = quantized(rounded, dense)
    read = _read_by_layers(deployed, examples)
    copies: dict[int, Copies] = {}
    taken: dict[str, int] = {}
    for group in found.groups:
        left = _left(found, group, rounded, read)
        if left is None:
            continue
        ((family, units),) = left.items()
        copies[family] = units
        taken |= {layer: (found.units_in(family) - len(units)) * group.unit for layer in group.layers}
    if not copies:
        return Pruned(rounded, _fitting(plan, rounded, rounded), {})
    smaller = changed_copy(rounded, found, copies, "slice", 0)
    pruned = Pruned(smaller, _in_channels(_fitting(plan, rounded, smaller), found, copies), taken)
    _check_same(deployed, quantized(smaller, pruned.plan), examples)
    return pruned


def _rounded(model: nn.Module, plan: Plan) -> tuple[nn.Module, Plan]:
    """A copy whose parameters are as a plan rounds them, and the plan without its zeros, which are there."""
    copied, layers = own_copy(model).eval(), []
    modules = dict(copied.named_modules())
    for name, own in plan.layers:
        module = product_module(modules, name, own)
        with torch.no_grad():
            for operand, names in operands_of(module).items():
                for parameter in (getattr(module, each, None) for each in names):
                    if isinstance(parameter, Tensor):
                        parameter.copy_(quantize(parameter, getattr(own, operand)))
        layers.append((name, replace(own, weight=_values(own.weight))))
    return copied, Plan.of(layers)


def _values(number_format: NumberFormat) -> NumberFormat:
    return number_format.values if isinstance(number_format, Sparse) else number_format


def _read_by_layers(model: nn.Module, examples: Sequence[Tensor]) -> dict[str, Tensor]:
    """For each product module what it reads, rounded: whether every sample and place is zero, by channel."""
    zero: dict[str, Tensor] = {}

    def hook(name: str, module: nn.Module, inputs: Any) -> None:
        channels = inputs[0].movedim(-1 if isinstance(module, nn.Linear) else 1, 0).flatten(1)
        is_zero = (channels == 0).all(dim=1)
        zero[name] = is_zero & zero[name] if name in zero else is_zero

    handles = [
        module.register_forward_pre_hook(partial(hook, name))
        for name, module in model.named_modules()
        if isinstance(module, PRODUCTS)
    ]
    outputs_of(model, examples)
    for handle in handles:
        handle.remove()
    return zero


def _left(
    found: Channels, group: Group, model: nn.Module, read: Mapping[str, Tensor]
) -> dict[int, Copies] | None:
    """What is left of the family of a group; None where nothing goes, or nothing may."""
    if not group.can_change or group.notes or len(group.families) != 1:
        return None
    (family,) = found.families_of(group)
    alive: set[int] = set()
    readers = 0
    for name, position in group.dimensions:
        tensor = model.get_parameter(name) if name in dict(model.named_parameters()) else None
        if tensor is None or tensor.dim() == 1:  # biases, and the numbers of norms, keep a constant constant
            continue
        units = found.units(name, position)
        if found.is_source(name, position):
            weights = tensor.detach().movedim(position, 0).flatten(1).any(dim=1).tolist()
            alive |= {
                unit for (owner, unit), is_on in zip(units, weights, strict=True) if is_on and owner == family
            }
        if found.is_consumer(name, position):
            zero = read.get(name.rpartition(".")[0])
            if zero is None or len(zero) != len(units):  # a reader that is no product, or in groups
                return None
            alive |= {
                unit
                for (owner, unit), is_0 in zip(units, zero.tolist(), strict=True)
                if not is_0 and owner == family
            }
            readers += 1
    left = tuple(sorted(alive)) or (0,)
    return {family: left} if readers and len(left) < found.units_in(family) else None


def _fitting(plan: Plan, model: nn.Module, smaller: nn.Module) -> Plan:
    """The plan with shares of zeros that keep every number that is left."""
    layers: list[tuple[str, LayerPlan]] = []
    for name, own in plan.layers:
        before, weight = (getattr(each.get_submodule(name), "weight", None) for each in (model, smaller))
        if not isinstance(before, Tensor) or not isinstance(weight, Tensor):  # those of recurrent layers stay
            layers.append((name, own))
            continue
        if isinstance(own.weight, Sparse) and weight.shape != before.shape:
            own = replace(own, weight=_still_sparse(own.weight, weight.detach()))  # noqa: PLW2901
        layers.append((name, own))
    return Plan.of(layers)


def _in_channels(plan: Plan, found: Channels, copies: Mapping[int, Copies]) -> Plan:
    """The plan with the numbers of the channels that are left, in formats that have one for each."""

    def fitting(layer: str, number_format: NumberFormat) -> NumberFormat:
        if not isinstance(number_format, FixedChannels | Affine):
            return number_format
        left = found.indices(f"{layer}.weight", number_format.axis, copies)
        if left is None:
            return number_format
        if isinstance(number_format, FixedChannels):
            return replace(number_format, fracs=_of(number_format.fracs, left))
        return replace(number_format, saturating=_of(number_format.saturating, left))

    return Plan.of((name, replace(own, weight=fitting(name, own.weight))) for name, own in plan.layers)


def _of(numbers: tuple[int, ...], left: Sequence[int]) -> tuple[int, ...]:
    return numbers if len(numbers) == 1 else tuple(numbers[place] for place in left)


def _still_sparse(number_format: Sparse, weight: Tensor) -> NumberFormat:
    """The same without groups and with as many zeros as there are."""
    zeros = min(PERCENT - 1, floor(PERCENT * float((weight == 0).double().mean())))
    while zeros >= 1:
        fitting = replace(number_format, zeros=zeros, group=0)
        if fitting.kept(tuple(weight.shape)) >= int((weight != 0).sum()):
            return fitting
        zeros -= 1
    return number_format.values


def _check_same(model: nn.Module, smaller: nn.Module, examples: Sequence[Tensor]) -> None:
    for wanted, output in zip(outputs_of(model, examples), outputs_of(smaller, examples), strict=True):
        largest = max(float(wanted.abs().max()), 1e-6)
        difference = float((wanted - output).abs().max())
        if not difference <= TOLERANCE * largest:
            raise SettingsError(
                f"channels without weights cannot be taken out: outputs would change by {difference:.2g}"
            )
