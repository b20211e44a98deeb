"""Sums, products and functions of single numbers, as ONNX operators."""

from collections.abc import Callable
from math import log

import torch
from torch import fx

from narrower.errors import ExportError
from narrower.export.operators.translation import Rule, Translation, common_type, type_of
from narrower.graph.arguments import argument
from narrower.graph.nodes import base_name


def _unary(operator: str) -> Rule:
    return lambda t, node: t.emit(operator, t.name(node.args[0], type_of(node)))


def _operands(t: Translation, node: fx.Node) -> tuple[str, str]:
    """Both operands in the type of the result."""
    kind = common_type(*node.args[:2])
    left, right = (t.name(operand, kind) for operand in node.args[:2])
    alpha = node.kwargs.get("alpha", 1)
    return left, right if alpha == 1 else t.emit("Mul", right, t.name(alpha, kind))


def _binary(operator: str) -> Rule:
    return lambda t, node: t.emit(operator, *_operands(t, node))


def _add(t: Translation, node: fx.Node) -> str:
    """The bias of a product is rounded, or an operand of the product already."""
    left, right = node.args[:2]
    if "bias_of" not in node.meta:
        return t.emit("Add", *_operands(t, node))
    if left in t.convolutions.in_integers:
        return t.name(left)
    name = node.meta["bias_of"]
    layer = t.layer(name)
    if t.is_constant(right):
        return t.rounding.add_bias(t.name(left), t.tensor(right), layer, f"{name}.bias")
    return t.emit("Add", t.name(left), t.rounding.data(t.name(right), layer.bias, "float32"))


def _subtract_from(t: Translation, node: fx.Node) -> str:
    """``other - alpha * x``."""
    x, other = _operands(t, node)
    alpha = argument(node, "alpha")
    kind = common_type(*node.args[:2])
    return t.emit("Sub", other, x if alpha == 1 else t.emit("Mul", x, t.name(alpha, kind)))


def _divide(t: Translation, node: fx.Node) -> str:
    mode = "floor" if base_name(node) == "floor_divide" else node.kwargs.get("rounding_mode")
    kind = type_of(node)
    if mode is None and kind.is_floating_point:
        left, right = (t.name(operand, kind) for operand in node.args[:2])
        return t.emit("Div", left, right)
    left, right = _operands(t, node)
    if not common_type(*node.args[:2]).is_floating_point:
        raise ExportError(f"no rule for the division of whole numbers ({node.name})")
    quotient = t.emit("Div", left, right)
    if mode == "floor":
        return t.emit("Floor", quotient)
    return t.emit("Mul", t.emit("Sign", quotient), t.emit("Floor", t.emit("Abs", quotient)))


def _remainder(t: Translation, node: fx.Node) -> str:
    """``x - y floor(x / y)``; fmod has the sign of x instead."""
    left, right = _operands(t, node)
    is_float = common_type(*node.args[:2]).is_floating_point
    if base_name(node) == "fmod":
        return t.emit("Mod", left, right, fmod=1)
    if not is_float:
        return t.emit("Mod", left, right)
    return t.emit("Sub", left, t.emit("Mul", t.emit("Floor", t.emit("Div", left, right)), right))


def _power(t: Translation, node: fx.Node) -> str:
    base, exponent = node.args[:2]
    kind = type_of(node)
    if isinstance(exponent, int | float) and exponent in POWERS:
        return POWERS[exponent](t, t.name(base, kind))
    return t.emit("Pow", t.name(base, kind), t.name(exponent, kind))


# As PyTorch computes them; a general power rounds otherwise.
POWERS: dict[float, Callable[[Translation, str], str]] = {
    2: lambda t, x: t.emit("Mul", x, x),
    3: lambda t, x: t.emit("Mul", t.emit("Mul", x, x), x),
    1: lambda _, x: x,
    0.5: lambda t, x: t.emit("Sqrt", x),
    -1: lambda t, x: t.emit("Div", t.number(1), x),
    -0.5: lambda t, x: t.emit("Div", t.number(1), t.emit("Sqrt", x)),
    -2: lambda t, x: t.emit("Div", t.number(1), t.emit("Mul", x, x)),
}


def _as_power(exponent: float) -> Rule:
    return lambda t, node: POWERS[exponent](t, t.name(node.args[0], type_of(node)))


def _logarithm(base: float) -> Rule:
    return lambda t, node: t.emit("Mul", t.emit("Log", t.name(node.args[0])), t.number(1 / log(base)))


def _of_one_more(t: Translation, node: fx.Node) -> str:
    return t.emit("Log", t.emit("Add", t.name(node.args[0]), t.number(1)))


def _one_less(t: Translation, node: fx.Node) -> str:
    return t.emit("Sub", t.emit("Exp", t.name(node.args[0])), t.number(1))


def _power_of_two(t: Translation, node: fx.Node) -> str:
    return t.emit("Pow", t.number(2), t.name(node.args[0]))


def _with_factor(operator: str) -> Rule:
    """``x + value * (a operator b)``."""

    def rule(t: Translation, node: fx.Node) -> str:
        x, a, b = (t.name(operand, type_of(node)) for operand in node.args[:3])
        factor, change = node.kwargs.get("value", 1), t.emit(operator, a, b)
        if factor != 1:
            change = t.emit("Mul", change, t.name(factor, type_of(node)))
        return t.emit("Add", x, change)

    return rule


def _log_of_sum(t: Translation, node: fx.Node) -> str:
    """``log(exp(a) + exp(b))`` from the larger one and how far they are apart."""
    a, b = _operands(t, node)
    apart = t.emit("Exp", t.emit("Neg", t.emit("Abs", t.emit("Sub", a, b))))
    return t.emit("Add", t.emit("Max", a, b), t.emit("Log", t.emit("Add", apart, t.number(1))))


def _lerp(t: Translation, node: fx.Node) -> str:
    start, end, weight = (t.name(operand, type_of(node)) for operand in node.args[:3])
    return t.emit("Add", start, t.emit("Mul", weight, t.emit("Sub", end, start)))


def _between(t: Translation, node: fx.Node, low: object, high: object) -> str:
    value = t.name(node.args[0], type_of(node))
    for operator, bound in (("Max", low), ("Min", high)):
        if bound is not None:
            value = t.emit(operator, value, t.name(bound, type_of(node)))
    return value


def _clamp(t: Translation, node: fx.Node) -> str:
    """Both limits in one operator, which runtimes join with what they follow."""
    names = ("min_val", "max_val") if base_name(node) == "hardtanh" else ("min", "max")
    low, high = (argument(node, name) for name in names)
    if type_of(node) != torch.float32 or any(isinstance(bound, fx.Node) for bound in (low, high)):
        return _between(t, node, low, high)
    limits = (float("-inf") if low is None else low, float("inf") if high is None else high)
    return t.emit("Clip", t.name(node.args[0], torch.float32), *(t.number(limit) for limit in limits))


def _not_a_number(t: Translation, node: fx.Node) -> str:
    limits = torch.finfo(torch.float32)
    number, high, low = (argument(node, name) for name in ("nan", "posinf", "neginf"))
    if high is not None or low is not None:
        raise ExportError(f"no rule for nan_to_num with a number for infinity ({node.name})")
    x = t.name(node.args[0])
    known = t.emit("Where", t.emit("IsNaN", x), t.number(number or 0.0), x)
    return t.emit("Clip", known, t.number(limits.min), t.number(limits.max))


ARITHMETIC: dict[str, Rule] = {
    "add": _add,
    "sub": _binary("Sub"),
    "rsub": _subtract_from,
    "mul": _binary("Mul"),
    "div": _divide,
    "floor_divide": _divide,
    "remainder": _remainder,
    "fmod": _remainder,
    "neg": _unary("Neg"),
    "abs": _unary("Abs"),
    "sign": _unary("Sign"),
    "floor": _unary("Floor"),
    "ceil": _unary("Ceil"),
    "exp": _unary("Exp"),
    "exp2": _power_of_two,
    "expm1": _one_less,
    "log": _unary("Log"),
    "log1p": _of_one_more,
    "log2": _logarithm(2),
    "log10": _logarithm(10),
    "sqrt": _unary("Sqrt"),
    "rsqrt": _as_power(-0.5),
    "reciprocal": _as_power(-1),
    "square": _as_power(2),
    "pow": _power,
    "sin": _unary("Sin"),
    "cos": _unary("Cos"),
    "tan": _unary("Tan"),
    "atan": _unary("Atan"),
    "sinh": _unary("Sinh"),
    "cosh": _unary("Cosh"),
    "erf": _unary("Erf"),
    "maximum": _binary("Max"),
    "minimum": _binary("Min"),
    "addcmul": _with_factor("Mul"),
    "addcdiv": _with_factor("Div"),
    "lerp": _lerp,
    "logaddexp": _log_of_sum,
    "hardtanh": _clamp,
    "clamp": _clamp,
    "clip": _clamp,
    "clamp_min": lambda t, node: _between(t, node, node.args[1], None),
    "clamp_max": lambda t, node: _between(t, node, None, node.args[1]),
    "nan_to_num": _not_a_number,
}
