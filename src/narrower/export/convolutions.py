"""Which convolutions ONNX Runtime can multiply in integers, without any processor changing a bit."""

from collections.abc import Mapping, Set
from dataclasses import dataclass, field

import torch
from torch import Tensor, fx

from narrower.export.formats.catalogue import linear_grid
from narrower.export.integers import BYTE, whole_numbers
from narrower.export.pair_sums import pairs_saturate
from narrower.graph.constants import constant_nodes
from narrower.graph.nodes import base_name
from narrower.graph.program import Program
from narrower.plan.formats.grid import LARGEST_WHOLE
from narrower.plan.plan import LayerPlan, Plan

CONVOLUTIONS = frozenset({"conv1d", "conv2d"})


@dataclass(frozen=True)
class Convolutions:
    """How ONNX Runtime computes the convolutions of a plan.

    ``in_integers``: those that an integer kernel computes, because nothing but ReLU, if that, and rounding to
    a byte follows; each with the bias that it adds inside. ``in_float32``: those without such a kernel whose
    weights may become float32 constants: their bias is added apart, and no optimisation joins them with what
    follows. ``bytes``: values before and after an integer kernel.
    """

    in_integers: Mapping[fx.Node, Tensor | None] = field(default_factory=dict)
    in_float32: frozenset[fx.Node] = frozenset()
    bytes: frozenset[fx.Node] = frozenset()
    saturating: frozenset[fx.Node] = frozenset()


def find_convolutions(program: Program, plan: Plan) -> Convolutions:
    """Look at every convolution of a lowered program under a plan."""
    layers = dict(plan.layers)
    constant = constant_nodes(program.graph, program.tensors)
    in_integers: dict[fx.Node, Tensor | None] = {}
    in_float32: set[fx.Node] = set()
    values: set[fx.Node] = set()
    saturating: set[fx.Node] = set()
    for node in program.graph.nodes:
        if node.op != "call_function" or base_name(node) not in CONVOLUTIONS:
            continue
        steps = _steps(program, node, layers)
        if steps is None or steps > LARGEST_WHOLE:
            continue
        result = biased(node)
        rounded = _rounded_value(result)
        if rounded is not None and _is_byte(rounded, layers) and _has_kernel(layers[node.meta["layer"]]):
            if _saturates(program, node, layers):
                saturating.add(node)
            else:
                in_integers[node] = None if result is node else _tensor(program, result.args[1])
                values |= {node.args[0], rounded}
        if (
            node not in in_integers
            and result is not node
            and all(_is_plain(constant, follower) for follower in result.users)
        ):
            in_float32.add(node)
    return Convolutions(in_integers, frozenset(in_float32), frozenset(values), frozenset(saturating))


def biased(node: fx.Node) -> fx.Node:
    """The addition of a product's bias, or the product itself."""
    return next((user for user in node.users if "bias_of" in user.meta and user.args[0] is node), node)


def is_positive(value: fx.Node) -> bool:
    """Whether a value is never below zero."""
    if base_name(value).startswith("max_pool"):
        source = value.args[0]
        return isinstance(source, fx.Node) and is_positive(source)
    return base_name(value) == "relu"


def _steps(program: Program, node: fx.Node, layers: Mapping[str, LayerPlan]) -> int | None:
    """The largest sum with its bias, in steps of the product; None where it is on no grid of whole steps."""
    layer = layers.get(node.meta["layer"], LayerPlan())
    weight = _tensor(program, node.args[1])
    data, grid = layer.data.grid, layer.weight.grid
    if data is None or grid is None or weight is None:
        return None
    rows = torch.from_numpy(whole_numbers(weight, layer.weight)).abs().flatten(1).sum(1)
    total = rows * data.largest
    if (result := biased(node)) is not node:
        bias, shift = _tensor(program, result.args[1]), data.frac + grid.frac
        on_grid = layer.bias.grid
        if bias is None or on_grid is None or not 0 <= shift - on_grid.frac < BYTE * 4:
            return None
        steps = torch.from_numpy(whole_numbers(bias, layer.bias)).abs().flatten()
        total += steps << (shift - on_grid.frac)
    return int(total.max())


def _is_plain(constant: Set[fx.Node], follower: fx.Node) -> bool:
    """Whether ONNX Runtime leaves a convolution's weights alone before this operator."""
    if base_name(follower) == "add":
        operands = [operand for operand in follower.args if isinstance(operand, fx.Node)]
        return len(operands) == len(follower.args) and not any(o in constant for o in operands)
    return base_name(follower) == "relu" or "layer" in follower.meta


def _rounded_value(result: fx.Node) -> fx.Node | None:
    """The value that is only rounded, after a ReLU if there is one."""
    following = list(result.users)
    value = following[0] if len(following) == 1 and base_name(following[0]) == "relu" else result
    are_convolutions = all(base_name(user) in CONVOLUTIONS and user.args[0] is value for user in value.users)
    return value if value.users and are_convolutions else None


def _has_kernel(layer: LayerPlan) -> bool:
    data, weight = layer.data.grid, layer.weight.grid
    return data is not None and weight is not None and max(data.width, weight.width) <= BYTE and weight.signed


def _saturates(program: Program, node: fx.Node, layers: Mapping[str, LayerPlan]) -> bool:
    layer, source, weight = layers[node.meta["layer"]], node.args[0], _tensor(program, node.args[1])
    assert isinstance(source, fx.Node)
    assert weight is not None
    integers = whole_numbers(weight, layer.weight).reshape(len(weight), -1)
    return pairs_saturate(layer.data.grid, layer.weight.grid, integers, positive=is_positive(source))


def _is_byte(value: fx.Node, layers: Mapping[str, LayerPlan]) -> bool:
    """Whether everything that reads a value rounds it to the same format of at most a byte."""
    formats = {layers.get(user.meta["layer"], LayerPlan()).data for user in value.users}
    (first, *others) = formats
    grid = None if others else linear_grid(first)
    return grid is not None and grid.width <= BYTE


def _tensor(program: Program, argument: object) -> Tensor | None:
    """A parameter, or a parameter in another shape."""
    while isinstance(argument, fx.Node) and base_name(argument) == "reshape":
        argument = argument.args[0]
    return program.tensors.get(argument.name) if isinstance(argument, fx.Node) else None
