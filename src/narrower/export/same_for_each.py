"""Values that are the same for each sample, and depend on the inputs through the number of samples alone.

Masks and positions of language models are such: they are computed once, for one sample.
"""

from typing import Any

import torch
from torch import Tensor, fx

from narrower.graph.constants import constant_nodes
from narrower.graph.nodes import batch_multiple, is_size
from narrower.graph.program import Program

NUMBERS = (2, 3)  # of samples that values are computed for
ROUNDED = {"layer", "bias_of", "edge"}  # what a plan says something of


def same_for_each(program: Program) -> tuple[dict[fx.Node, Tensor], set[fx.Node]]:
    """Values of one sample [1, ...] that others need, and the nodes that are needed for these alone."""
    counted = _counted(program)
    if not counted:
        return {}, set()
    few, more = (_computed(program, counted, number) for number in NUMBERS)
    rows: dict[fx.Node, Tensor] = {}
    inner: set[fx.Node] = set()
    for node in reversed(program.graph.nodes):
        if node not in counted:
            continue
        if all(user in inner or user in rows for user in node.users):
            inner.add(node)
        elif node in few and node in more and _is_one_row(node, few[node], more[node]):
            rows[node] = few[node][:1].clone()
    return rows, inner


def _counted(program: Program) -> set[fx.Node]:
    """The nodes that no value of an input reaches, but its number of samples does."""
    reached: set[fx.Node] = set()
    counted: set[fx.Node] = set()
    for node in program.graph.nodes:
        sources = node.all_input_nodes
        if is_size(node):
            continue
        is_input = node.op == "placeholder" and node.name not in program.tensors
        is_own = is_input or node.op == "output" or ROUNDED & set(node.meta)
        if is_own or any(source in reached for source in sources):
            reached.add(node)
        elif any(source in counted or is_size(source) for source in sources):
            counted.add(node)
    return counted


def _computed(program: Program, counted: set[fx.Node], number: int) -> dict[fx.Node, Any]:
    """What these nodes hold for so many samples; without those that cannot be computed so."""
    held: dict[fx.Node, Any] = {}
    constant = constant_nodes(program.graph, program.tensors)
    with torch.inference_mode():
        for node in program.graph.nodes:
            if node.op == "placeholder":
                if node.name in program.tensors:
                    held[node] = program.tensors[node.name]
            elif is_size(node):
                if (size := _size_of(node, number)) is not None:
                    held[node] = size
            elif (
                node.op == "call_function"
                and (node in counted or node in constant)
                and all(source in held for source in node.all_input_nodes)
            ):
                swap = held.__getitem__
                assert callable(node.target)
                held[node] = node.target(*fx.map_arg(node.args, swap), **fx.map_arg(node.kwargs, swap))
    return {node: value for node, value in held.items() if node in counted}


def _size_of(node: fx.Node, number: int) -> int | None:
    value = node.meta.get("val")
    if isinstance(value, torch.SymInt):
        return batch_multiple(value) * number
    return value if isinstance(value, int) else None


def _is_one_row(node: fx.Node, few: object, more: object) -> bool:
    value = node.meta.get("val")
    if not (isinstance(value, Tensor) and isinstance(few, Tensor) and isinstance(more, Tensor)):
        return False
    if few.dim() == 0 or (few.shape[0], more.shape[0]) != NUMBERS or few.shape[1:] != more.shape[1:]:
        return False
    return bool((few == few[:1]).all()) and bool((more == few[:1]).all())
