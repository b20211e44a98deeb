"""Which operators of a plan give the same bits everywhere, whatever the order of their sums."""

from collections.abc import Mapping
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx

from narrower.cost.each_entry import beside_weights
from narrower.export.edge_bytes import weight_bytes
from narrower.export.integers import whole_numbers
from narrower.export.operators.choices import CHOICES
from narrower.export.operators.filling import FILLING
from narrower.export.operators.indexing import INDEXING
from narrower.export.operators.moves import MOVES
from narrower.export.operators.resampling import REARRANGING
from narrower.export.operators.windows import WINDOWS
from narrower.graph.arguments import argument
from narrower.graph.constants import constant_nodes
from narrower.graph.edges import MOVES as EDGE_MOVES
from narrower.graph.network import PRODUCT_KINDS
from narrower.graph.nodes import base_name, is_size, kind_of, parameter_behind
from narrower.graph.program import Program
from narrower.plan.formats.fixed_each import FixedEach
from narrower.plan.formats.float32 import FLOAT32
from narrower.plan.formats.grid import LARGEST_WHOLE, Grid
from narrower.plan.formats.number_format import NumberFormat
from narrower.plan.plan import LayerPlan, Plan
from narrower.transform.quantizers.quantize import quantize

# One correctly rounded operation for each element (IEEE 754), or none at all.
ELEMENTWISE = frozenset(
    {
        "add", "sub", "rsub", "mul", "div", "neg", "abs", "sign", "floor", "ceil", "square", "sqrt", "relu",
        "relu6", "leaky_relu", "prelu", "_prelu_kernel", "threshold", "hardshrink", "clamp", "clip",
        "clamp_min", "clamp_max", "hardtanh", "masked_fill", "maximum", "minimum",
    }
)  # fmt: skip
LARGEST = frozenset({"amax", "amin", "max", "min", "argmax", "argmin"})
CHOOSING = LARGEST | {name for name in WINDOWS if "max_pool" in name}
MOST_FRACTION = 256
EXACT = frozenset().union(ELEMENTWISE, CHOOSING, MOVES, INDEXING, FILLING, CHOICES, REARRANGING)


def inexact_operators(program: Program, plan: Plan) -> tuple[str, ...]:
    """The operators whose last bit may differ between runtimes, each with the reason; empty: none.

    A product of fixed-point operands is a sum of whole numbers of steps: exact in any order while no partial
    sum passes 2**24 steps.
    """
    layers = dict(plan.layers)
    found: list[str] = []
    constant = constant_nodes(program.graph, program.tensors)
    for node in program.graph.nodes:
        kind = base_name(node)
        if node.op != "call_function" or is_size(node):
            continue
        if kind_of(node) in PRODUCT_KINDS:
            name = node.meta.get("layer", node.name)
            if reason := _product(program, node, layers.get(name, LayerPlan()), layers):
                found.append(f"{name}: {reason}")
        elif not _is_exact(node) and node not in constant:
            found.append(f"{node.name}: {kind} is rounded differently by runtimes")
    return tuple(found)


def _read(value: object, layer: LayerPlan, layers: Mapping[str, LayerPlan]) -> NumberFormat:
    """The format of what a product reads: its own for data, or that of the edge whose numbers these are."""
    if layer.data != FLOAT32:
        return layer.data
    while isinstance(value, fx.Node):
        if "edge" in value.meta:
            return layers.get(value.meta["edge"], LayerPlan()).output
        is_move = value.op == "call_function" and base_name(value) in EDGE_MOVES | CHOOSING
        value = value.args[0] if is_move else None
    return FLOAT32


def _is_exact(node: fx.Node) -> bool:
    """Whether each element has one rounding, or none; ``x + alpha y`` may have one or two."""
    kind = base_name(node)
    if kind in ("add", "sub", "rsub") and argument(node, "alpha") != 1:
        return False
    return kind in EXACT


def _product(
    program: Program, node: fx.Node, layer: LayerPlan, layers: Mapping[str, LayerPlan]
) -> str | None:
    sources = [source for source in node.args[:2] if isinstance(source, fx.Node)]
    weights = [w for source in sources if (w := _weight(program, source)) is not None]
    read = [_read(source, layer, layers) for source in sources if _weight(program, source) is None]
    if weights and any(isinstance(each, FixedEach) for each in (*read, layer.weight)):
        return _each_product(program, node, read[0], layer.weight, weights[0])
    grids = [_grid(number_format) for number_format in read]
    whole = [grid.largest for grid in grids if grid is not None]
    if len(whole) < len(grids):
        return f"its data is {read[grids.index(None)].text}"
    largest = prod(whole)
    if not weights:
        value = sources[0].meta.get("val")
        depth = value.shape[-1] if isinstance(value, Tensor) else None
        if not isinstance(depth, int):
            return "the length of its sums is not known"
        steps = depth * largest
    else:
        steps_of = _whole_weights(weights[0], layer.weight)
        if steps_of is None:
            return f"its weight is {layer.weight.text}"
        integers = torch.from_numpy(steps_of).abs()
        steps = int(_sums(node, integers).max()) * largest
    if steps > LARGEST_WHOLE:
        return f"its sums may reach {steps:,} steps, float32 holds {LARGEST_WHOLE:,}"
    return None


def _whole_weights(weight: Tensor, number_format: NumberFormat) -> NDArray[np.int64] | None:
    """A weight in steps that are a power of two for each output; None where they are not."""
    if number_format.grid is not None:
        return whole_numbers(weight, number_format)
    held = weight_bytes(weight, number_format)
    is_power = held is not None and bool((np.frexp(held.scale)[0] == 0.5).all())  # noqa: PLR2004
    return held.integers if held is not None and is_power else None


def _grid(number_format: NumberFormat) -> Grid | None:
    """The grid of a format, also of one for each entry where there is one entry."""
    if isinstance(number_format, FixedEach) and number_format.widths.size == 1:
        low, high = number_format.integer_ranges
        return Grid(int(number_format.fracs.max()), int(low.min()), int(high.max()))
    return number_format.grid


def _each_product(
    program: Program, node: fx.Node, data: NumberFormat, weight: NumberFormat, values: Tensor
) -> str | None:
    """A product of weights where entries have steps of their own: its sums in the finest of them."""
    ranges = []
    for number_format in (data, weight):
        if isinstance(number_format, FixedEach):
            low, high = number_format.integer_ranges
            ranges.append((np.maximum(-low, high), number_format.fracs.astype(np.int64)))
        elif (grid := number_format.grid) is not None:
            ranges.append((np.array(grid.largest), np.array(grid.frac)))
        else:
            return f"its operand is {number_format.text}"
    (largest, data_fractions), (_, weight_fractions) = ranges
    operator = program.network.product_layers[node.meta["layer"]][0]
    shape = tuple(values.shape)
    reads = beside_weights(operator, data_fractions, shape).astype(np.int64)
    magnitudes = beside_weights(operator, largest, shape).astype(np.float64)
    rounded = np.abs(quantize(values.float(), weight).double().numpy())
    finest = int(np.where(rounded != 0, weight_fractions + reads, -MOST_FRACTION).max())
    summed = torch.from_numpy(rounded * np.ldexp(magnitudes, finest - reads))
    steps = float(_sums(node, summed).max())
    if steps > LARGEST_WHOLE:
        return f"its sums may reach {steps:,.0f} steps, float32 holds {LARGEST_WHOLE:,}"
    return None


def _weight(program: Program, node: fx.Node) -> Tensor | None:
    behind = parameter_behind(node)
    return program.tensors.get(behind.name) if behind is not None else None


def _sums(node: fx.Node, weight: Tensor) -> Tensor:
    """For each output of a product what its weights sum up to, or more."""
    kind = kind_of(node)
    if kind == "matmul":
        return weight.sum()
    if kind.startswith("conv_transpose"):  # [inputs, outputs of a group, *kernel]
        groups = int(argument(node, "groups"))
        return weight.reshape(groups, -1, *weight.shape[1:]).transpose(1, 2).flatten(2).sum(2)
    return weight.flatten(1).sum(1)
