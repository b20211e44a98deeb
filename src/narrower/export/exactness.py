"""Which operators of a plan give the same bits everywhere, whatever the order of their sums."""

import torch
from torch import Tensor, fx

from narrower.evaluate.chain import EXACT_INTEGER
from narrower.export.integers import whole_numbers
from narrower.graph.describe import base_name, parameter_behind
from narrower.graph.network import PRODUCT_KINDS
from narrower.graph.program import Program
from narrower.plan import LayerPlan, Plan

# One correctly rounded operation for each element (IEEE 754), or none at all.
ELEMENTWISE = frozenset(
    {
        "add", "sub", "mul", "div", "neg", "abs", "relu", "relu6", "clamp", "clip", "hardtanh", "masked_fill",
        "maximum", "minimum",
    }
)  # fmt: skip
MOVES = frozenset(
    {
        "reshape", "view", "flatten", "_unsafe_view", "permute", "transpose", "t", "squeeze", "unsqueeze",
        "select", "slice", "cat", "expand", "clone", "alias", "detach", "contiguous", "max_pool1d",
        "max_pool2d",
    }
)  # fmt: skip
PRODUCTS = PRODUCT_KINDS | {"mm", "bmm"}


def inexact_operators(program: Program, plan: Plan) -> tuple[str, ...]:
    """The operators whose last bit may differ between runtimes, each with the reason; empty: none.

    A product of fixed-point operands is a sum of whole numbers of steps: exact in any order while no partial
    sum passes 2**24 steps.
    """
    layers = dict(plan.layers)
    found: list[str] = []
    for node in program.graph.nodes:
        kind = base_name(node)
        if node.op != "call_function" or not isinstance(node.meta.get("val", 0.0), Tensor | float):
            continue
        if kind in PRODUCTS:
            name = node.meta.get("layer", node.name)
            if reason := _product(program, node, layers.get(name, LayerPlan())):
                found.append(f"{name}: {reason}")
        elif kind not in ELEMENTWISE | MOVES and not is_constant(program, node):
            found.append(f"{node.name}: {kind} is rounded differently by runtimes")
    return tuple(found)


def _product(program: Program, node: fx.Node, layer: LayerPlan) -> str | None:
    if layer.data.grid is None:
        return f"its data is {layer.data.text}"
    sources = [source for source in node.args[:2] if isinstance(source, fx.Node)]
    weights = [w for source in sources if (w := _weight(program, source)) is not None]
    largest = layer.data.grid.largest
    if not weights:
        value = sources[0].meta.get("val")
        depth = value.shape[-1] if isinstance(value, Tensor) else None
        if not isinstance(depth, int):
            return "the length of its sums is not known"
        steps = depth * largest**2
    elif layer.weight.grid is None:
        return f"its weight is {layer.weight.text}"
    else:
        integers = torch.from_numpy(whole_numbers(weights[0], layer.weight)).abs()
        rows = (
            integers.flatten(1).sum(1) if base_name(node) not in ("matmul", "mm", "bmm") else integers.sum()
        )
        steps = int(rows.max()) * largest
    if steps > EXACT_INTEGER:
        return f"its sums may reach {steps:,} steps, float32 holds {EXACT_INTEGER:,}"
    return None


def _weight(program: Program, node: fx.Node) -> Tensor | None:
    behind = parameter_behind(node)
    return program.tensors.get(behind.name) if behind is not None else None


def is_constant(program: Program, node: fx.Node) -> bool:
    """Whether no input of the network reaches a node."""
    if node.op == "placeholder":
        return node.name in program.tensors
    return all(is_constant(program, source) for source in node.all_input_nodes)
