"""Softmax at the end of a network: the tables of its exponential function, in C and in Python.

``exp(-t)`` is a product of seven numbers: one for the whole part of t, and one for each four of its 24
fraction bits. Both languages compute the same whole numbers.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx

from narrower.errors import ExportError
from narrower.evaluate.definition import Definition
from narrower.export.device.loops import Loops
from narrower.export.device.numbers import whole
from narrower.export.device.rows import Rows
from narrower.export.device.source import Source, Step, View
from narrower.graph.arguments import argument
from narrower.graph.ending import SOFTMAX
from narrower.graph.nodes import base_name
from narrower.graph.program import Program
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.plan import Plan

Integers = NDArray[np.int64]
FINEST, WHOLE_PARTS, DIGIT_BITS, DIGITS = 24, 22, 4, 6  # exp(-22) is less than the last bit of float32
ONE_BITS = 31
OUTPUT = FixedPoint(17, 16, signed=False, rounding="half_up")
BATCH = 128
RESHAPING = frozenset({"reshape", "view", "flatten", "squeeze", "alias"})


def exponentials() -> Integers:
    """``exp(-i)`` for whole parts, then ``exp(-j * 16**-g)`` for each digit g, in steps of ``2**-31``."""
    digits = np.outer(16.0 ** -np.arange(1, DIGITS + 1), np.arange(16)).reshape(-1)
    exponents = np.concatenate([np.arange(WHOLE_PARTS), digits])
    return np.asarray(np.rint(np.exp(-exponents) * 2.0**ONE_BITS), np.int64)


def is_softmax(node: fx.Node) -> bool:
    """Whether a node is a softmax."""
    return node.op == "call_function" and base_name(node) in SOFTMAX


def begin(source: Source, step: Step, node: fx.Node, view: View) -> Rows:
    """Open the loops of a softmax; the row holds its result.

    Raises:
        ExportError: it goes over samples.
    """
    axis = int(argument(node, "dim")) % (len(view.shape) + 1) - 1
    if axis < 0:
        raise ExportError(f"{node.name}: a softmax over samples; C runs one sample at a time")
    others = tuple((a,) for a in range(len(view.shape)) if a != axis)
    rows = Rows(source, step, Loops(view.shape, (*others, (axis,))), view.number)
    rows.load(view)
    rows.to_real()
    rows.call("real_softmax", source.array("uint32_t", exponentials(), "exponentials"))
    rows.number = whole(OUTPUT.frac, 0, 2**OUTPUT.frac)
    return rows


def table_softmax(x: NDArray[np.float32], axis: int) -> Integers:
    """What C makes of finite float32 numbers, in steps of ``2**-16``."""
    table = exponentials().astype(np.uint64)
    below = (x.max(axis=axis, keepdims=True) - x).astype(np.float64)
    t = np.minimum(np.rint(below * 2.0**FINEST), WHOLE_PARTS * 2.0**FINEST).astype(np.int64)
    is_some = t < WHOLE_PARTS << FINEST
    e = np.where(is_some, table[np.minimum(t >> FINEST, WHOLE_PARTS - 1)], np.uint64(0))
    for digit in range(DIGITS):
        places = t >> (FINEST - DIGIT_BITS * (digit + 1)) & 15
        factor = table[WHOLE_PARTS + 16 * digit + places]
        e = (e * factor + np.uint64(2 ** (ONE_BITS - 1))) >> np.uint64(ONE_BITS)
    sums = e.sum(axis=axis, keepdims=True, dtype=np.uint64)
    twice = (e << np.uint64(OUTPUT.frac + 1)) // sums
    steps: Integers = ((twice + np.uint64(1)) >> np.uint64(1)).astype(np.int64)
    return steps


def last_softmax(program: Program) -> fx.Node | None:
    """The softmax that a network ends in; None where it ends otherwise."""
    node = next(node for node in program.graph.nodes if node.op == "output").args[0]
    node = node[0] if isinstance(node, tuple | list) else node
    while isinstance(node, fx.Node) and node.op == "call_function" and base_name(node) in RESHAPING:
        node = node.args[0]
    return node if isinstance(node, fx.Node) and is_softmax(node) else None


def softmax_outputs(program: Program, softmax: fx.Node, plan: Plan, inputs: torch.Tensor) -> Integers:
    """The evaluation of a plan with the softmax at its end by tables: [N, ...] in steps of ``2**-16``."""
    cut = program.copy()
    (before,) = (node for node in cut.graph.nodes if node.name == softmax.name)
    (output,) = (node for node in cut.graph.nodes if node.op == "output")
    output.args = (before.args[0],)
    definition = Definition(cut)
    found = [definition.outputs(plan, part).float().numpy() for part in torch.split(inputs, BATCH)]
    return table_softmax(np.concatenate(found), int(argument(softmax, "dim")))
