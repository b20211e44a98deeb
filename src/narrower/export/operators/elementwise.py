"""Operators that treat each element alone, as ONNX operators."""

from math import inf

import numpy as np
from torch import fx

from narrower.errors import ExportError
from narrower.export.operators.translation import Rule, Translation, argument
from narrower.graph.describe import base_name


def _unary(operator: str) -> Rule:
    return lambda t, node: t.emit(operator, t.name(node.args[0]))


def _binary(operator: str) -> Rule:
    def rule(t: Translation, node: fx.Node) -> str:
        if node.kwargs.get("alpha", 1) != 1:
            raise ExportError(f"{node.name}: no rule for {operator} with alpha")
        left, right = node.args[:2]
        if left in t.convolutions.in_integers and "bias_of" in node.meta:
            return t.name(left)
        if operator == "Add" and "bias_of" in node.meta and t.is_constant(right):
            layer = node.meta["bias_of"]
            return t.rounding.add_bias(t.name(left), t.tensor(right), t.layer(layer), f"{layer}.bias")
        return t.emit(operator, t.name(left, node), t.name(right, node))

    return rule


def _gelu(t: Translation, node: fx.Node) -> str:
    """``x / 2 (1 + erf(x / sqrt(2)))``; the tanh form is Hendrycks and Gimpel's (2016, section 2)."""
    x, constant = t.name(node.args[0]), t.builder.constant
    if argument(node, "approximate") == "tanh":
        cube = t.emit("Mul", t.emit("Mul", x, x), x)
        inner = t.emit("Add", x, t.emit("Mul", cube, constant(np.float32(0.044715))))
        bent = t.emit("Tanh", t.emit("Mul", inner, constant(np.float32((2 / np.pi) ** 0.5))))
    else:
        bent = t.emit("Erf", t.emit("Mul", x, constant(np.float32(0.5**0.5))))
    half = t.emit("Mul", x, constant(np.float32(0.5)))
    return t.emit("Mul", half, t.emit("Add", bent, constant(np.float32(1))))


def _silu(t: Translation, node: fx.Node) -> str:
    x = t.name(node.args[0])
    return t.emit("Mul", x, t.emit("Sigmoid", x))


def _hard_sigmoid(t: Translation, node: fx.Node) -> str:
    return t.emit("HardSigmoid", t.name(node.args[0]), alpha=1 / 6, beta=0.5)


def _leaky_relu(t: Translation, node: fx.Node) -> str:
    return t.emit("LeakyRelu", t.name(node.args[0]), alpha=float(argument(node, "negative_slope")))


def _elu(t: Translation, node: fx.Node) -> str:
    if (argument(node, "scale"), argument(node, "input_scale")) != (1, 1):
        raise ExportError(f"{node.name}: no rule for elu with a scale")
    return t.emit("Elu", t.name(node.args[0]), alpha=float(argument(node, "alpha")))


def _masked_fill(t: Translation, node: fx.Node) -> str:
    x, mask, value = node.args
    assert isinstance(value, int | float)
    filled = t.builder.constant(np.float32(value if abs(value) != inf else np.copysign(np.inf, value)))
    return t.emit("Where", t.name(mask), filled, t.name(x))


def _clamp(t: Translation, node: fx.Node) -> str:
    names = ("min_val", "max_val") if base_name(node) == "hardtanh" else ("min", "max")
    low, high = (argument(node, name) for name in names)
    return t.emit(
        "Clip",
        t.name(node.args[0]),
        t.name(-inf if low is None else low),
        t.name(inf if high is None else high),
    )


ELEMENTWISE: dict[str, Rule] = {
    "add": _binary("Add"),
    "sub": _binary("Sub"),
    "mul": _binary("Mul"),
    "div": _binary("Div"),
    "neg": _unary("Neg"),
    "abs": _unary("Abs"),
    "relu": _unary("Relu"),
    "sigmoid": _unary("Sigmoid"),
    "tanh": _unary("Tanh"),
    "exp": _unary("Exp"),
    "sqrt": _unary("Sqrt"),
    "maximum": _binary("Max"),
    "minimum": _binary("Min"),
    "gelu": _gelu,
    "silu": _silu,
    "elu": _elu,
    "leaky_relu": _leaky_relu,
    "hardswish": _unary("HardSwish"),
    "hardsigmoid": _hard_sigmoid,
    "hardtanh": _clamp,
    "clamp": _clamp,
    "clip": _clamp,
    "relu6": lambda t, node: t.emit("Clip", t.name(node.args[0]), t.name(0.0), t.name(6.0)),
    "masked_fill": _masked_fill,
}
