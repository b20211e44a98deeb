"""Sums, products, bounds and other operators with one result for each element, in C, on rows."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import fx

from narrower.errors import ExportError
from narrower.export.device.rows import Rows
from narrower.export.device.source import View, contiguous
from narrower.export.operators.translation import has_argument
from narrower.graph.arguments import argument
from narrower.graph.nodes import base_name

Floats = NDArray[np.float64]
BOUNDS = {
    "clamp": ("min", "max"),
    "clip": ("min", "max"),
    "hardtanh": ("min_val", "max_val"),
    "clamp_min": ("min", ""),
    "clamp_max": ("", "max"),
}
Operand = Floats | View  # the other operand: constants that broadcast to a sample, or a stored value


def _add(rows: Rows, _node: fx.Node, other: Operand | None, _first: bool) -> None:
    if isinstance(other, View):
        rows.join(other, subtract=False)
    else:
        assert other is not None
        rows.add_constant(other)


def _subtract(rows: Rows, _node: fx.Node, other: Operand | None, first: bool) -> None:
    """The row less the other, or where the row is not the first operand, the other less the row."""
    assert other is not None
    if not first:
        rows.multiply_constant(np.array(-1.0))
        _add(rows, _node, other, True)
    elif isinstance(other, View):
        rows.join(other, subtract=True)
    else:
        rows.add_constant(-other)


def _reversed_subtract(rows: Rows, node: fx.Node, other: Operand | None, first: bool) -> None:
    _subtract(rows, node, other, not first)


def _multiply(rows: Rows, _node: fx.Node, other: Operand | None, _first: bool) -> None:
    if isinstance(other, View):
        rows.times(other)
    else:
        assert other is not None
        rows.multiply_constant(other)


def _divide(rows: Rows, node: fx.Node, other: Operand | None, first: bool) -> None:
    if isinstance(other, View) or other is None or not first:
        raise ExportError(f"{node.name}: C divides by constants alone")
    if not other.all():
        raise ExportError(f"{node.name}: divides by zero")
    rows.divide_constant(other)


def _maximum(rows: Rows, node: fx.Node, other: Operand | None, _first: bool) -> None:
    if not isinstance(other, View):
        raise ExportError(f"{node.name}: no rule for the larger of a value and a constant")
    rows.extreme(other)


def _clamp(rows: Rows, node: fx.Node, _other: Operand | None, _first: bool) -> None:
    kind = base_name(node)
    least, most = (argument(node, name) if name else None for name in BOUNDS.get(kind, ("", "")))
    if kind in ("relu", "relu6"):
        least, most = 0.0, 6.0 if kind == "relu6" else None
    for end in (least, most):
        if end is not None and not isinstance(end, int | float):
            raise ExportError(f"{node.name}: its bounds are computed; C has constants")
    rows.bound(-np.inf if least is None else float(least), np.inf if most is None else float(most))


def _leaky(rows: Rows, node: fx.Node, other: Operand | None, _first: bool) -> None:
    slope = (
        np.array(float(argument(node, "negative_slope"))) if has_argument(node, "negative_slope") else other
    )
    if isinstance(slope, View) or slope is None:
        raise ExportError(f"{node.name}: its slope is computed; C has constants")
    rows.to_real()
    rows.constant("real_leak", slope)


def _negative(rows: Rows, _node: fx.Node, _other: Operand | None, _first: bool) -> None:
    rows.multiply_constant(np.array(-1.0))


def _magnitude(rows: Rows, _node: fx.Node, _other: Operand | None, _first: bool) -> None:
    rows.magnitude()


RULES: Mapping[str, Callable[[Rows, fx.Node, Operand | None, bool], None]] = {
    "add": _add, "sub": _subtract, "rsub": _reversed_subtract, "mul": _multiply, "div": _divide,
    "maximum": _maximum, "relu": _clamp, "relu6": _clamp, **dict.fromkeys(BOUNDS, _clamp),
    "leaky_relu": _leaky, "_prelu_kernel": _leaky, "prelu": _leaky, "neg": _negative,
    "abs": _magnitude,
}  # fmt: skip
# Operators of one number that turn back once at most: with the rounding behind them they are a table.
TABLES = frozenset(
    {"sigmoid", "tanh", "softplus", "elu", "selu", "celu", "hardsigmoid", "atan", "softsign", "log_sigmoid",
     "exp", "erf", "asinh", "silu", "gelu", "hardswish", "mish"}
)  # fmt: skip


def check(node: fx.Node) -> None:
    """Raise ``ExportError`` for what a rule does not cover."""
    if (
        has_argument(node, "alpha")
        and base_name(node) in ("add", "sub", "rsub")
        and argument(node, "alpha") != 1
    ):
        raise ExportError(f"{node.name}: adds {argument(node, 'alpha')} times a value; C has no rule for it")
    if base_name(node) == "div" and has_argument(node, "rounding_mode"):
        raise ExportError(f"{node.name}: divides and rounds; C has no rule for it")


def apply(rows: Rows, node: fx.Node, other: Operand | None, *, first: bool) -> None:
    """Do to the row what a node does; ``first``: the row is its first operand."""
    check(node)
    RULES[base_name(node)](rows, node, other, first)


def is_known(node: fx.Node) -> bool:
    """Whether rows have a rule for a node."""
    return node.op == "call_function" and base_name(node) in RULES


def number_of(value: Any) -> Floats | None:
    """A constant number as PyTorch's float32 arithmetic takes it."""
    return np.array(np.float64(np.float32(value))) if isinstance(value, int | float) else None


def takes_operand(node: fx.Node) -> bool:
    """Whether an operator reads another number beside the row."""
    return base_name(node) in ("add", "sub", "rsub", "mul", "div", "maximum", "prelu", "_prelu_kernel")


def expanded(view: View, shape: tuple[int, ...]) -> View:
    """A stored value repeated along the axes that it does not have."""
    missing = len(shape) - len(view.shape)
    sizes = (1,) * missing + view.shape
    strides = (0,) * missing + view.strides
    repeated = tuple(0 if size == 1 else step for size, step in zip(sizes, strides, strict=True))
    return View(view.buffer, shape, repeated, view.offset, view.number)


def strides_over(shape: tuple[int, ...], operand: Operand) -> tuple[int, ...]:
    """How an operand is walked beside a result of this shape."""
    if isinstance(operand, View):
        return operand.strides
    sizes = operand.shape
    steps = contiguous(sizes)
    return (0,) * (len(shape) - len(sizes)) + tuple(
        0 if size == 1 else step for size, step in zip(sizes, steps, strict=True)
    )
