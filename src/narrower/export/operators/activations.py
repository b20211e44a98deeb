"""Activation functions as ONNX operators."""

import numpy as np
import torch
from torch import Tensor, fx

from narrower.errors import ExportError
from narrower.export.operators.translation import Rule, Translation, rank_of, whole_size
from narrower.graph.arguments import argument

STEEP = 20  # from here on softplus(x) is x to the last bit


def _unary(operator: str) -> Rule:
    return lambda t, node: t.emit(operator, t.name(node.args[0]))


def _gelu(t: Translation, node: fx.Node) -> str:
    """``x / 2 (1 + erf(x / sqrt(2)))``; the tanh form is Hendrycks and Gimpel's (2016, section 2)."""
    x = t.name(node.args[0])
    if argument(node, "approximate") == "tanh":
        cube = t.emit("Mul", t.emit("Mul", x, x), x)
        inner = t.emit("Add", x, t.emit("Mul", cube, t.number(0.044715)))
        bent = t.emit("Tanh", t.emit("Mul", inner, t.number((2 / np.pi) ** 0.5)))
    else:
        bent = t.emit("Erf", t.emit("Mul", x, t.number(0.5**0.5)))
    half = t.emit("Mul", x, t.number(0.5))
    return t.emit("Mul", half, t.emit("Add", bent, t.number(1)))


def _silu(t: Translation, node: fx.Node) -> str:
    x = t.name(node.args[0])
    return t.emit("Mul", x, t.emit("Sigmoid", x))


def _mish(t: Translation, node: fx.Node) -> str:
    x = t.name(node.args[0])
    return t.emit("Mul", x, t.emit("Tanh", t.emit("Softplus", x)))


def _hard_sigmoid(t: Translation, node: fx.Node) -> str:
    return t.emit("HardSigmoid", t.name(node.args[0]), alpha=1 / 6, beta=0.5)


def _leaky_relu(t: Translation, node: fx.Node) -> str:
    return t.emit("LeakyRelu", t.name(node.args[0]), alpha=float(argument(node, "negative_slope")))


def _prelu(t: Translation, node: fx.Node) -> str:
    """A slope for each channel is a column beside the channels."""
    x, slope = node.args[:2]
    held = t.tensor(slope)
    after = max(rank_of(x) - 2, 0)
    shaped = held if held.numel() == 1 else held.reshape(-1, *(1 for _ in range(after)))
    label = slope.name if isinstance(slope, fx.Node) else "slope"
    return t.emit("PRelu", t.name(x), t.builder.constant(shaped.numpy(), label))


def _elu(t: Translation, node: fx.Node) -> str:
    if (argument(node, "scale"), argument(node, "input_scale")) != (1, 1):
        raise ExportError(f"no rule for elu with a scale ({node.name})")
    return t.emit("Elu", t.name(node.args[0]), alpha=float(argument(node, "alpha")))


def _celu(t: Translation, node: fx.Node) -> str:
    return t.emit("Celu", t.name(node.args[0]), alpha=float(argument(node, "alpha")))


def _softplus(t: Translation, node: fx.Node) -> str:
    """``log(1 + exp(beta x)) / beta``, and x where beta x passes the threshold."""
    x, beta, threshold = t.name(node.args[0]), argument(node, "beta"), argument(node, "threshold")
    scaled = x if beta == 1 else t.emit("Mul", x, t.number(beta))
    smooth = t.emit("Softplus", scaled)
    smooth = smooth if beta == 1 else t.emit("Div", smooth, t.number(beta))
    if threshold >= STEEP:
        return smooth
    return t.emit("Where", t.emit("Greater", scaled, t.number(threshold)), x, smooth)


def _log_sigmoid(t: Translation, node: fx.Node) -> str:
    return t.emit("Neg", t.emit("Softplus", t.emit("Neg", t.name(node.args[0]))))


def _threshold(t: Translation, node: fx.Node) -> str:
    x = t.name(node.args[0])
    limit, value = (argument(node, name) for name in ("threshold", "value"))
    return t.emit("Where", t.emit("Greater", x, t.number(limit)), x, t.number(value))


def _shrink(t: Translation, node: fx.Node) -> str:
    limit = float(argument(node, "lambd"))
    is_soft = str(node.target).startswith("aten.softshrink")
    return t.emit("Shrink", t.name(node.args[0]), bias=limit if is_soft else 0.0, lambd=limit)


def _glu(t: Translation, node: fx.Node) -> str:
    axis = argument(node, "dim")
    half = whole_size(node.args[0], axis) // 2
    value, gate = t.emit_several(2, "Split", t.name(node.args[0]), t.integers(half, half), axis=axis)
    return t.emit("Mul", value, t.emit("Sigmoid", gate))


def _softmax(operator: str) -> Rule:
    def rule(t: Translation, node: fx.Node) -> str:
        if isinstance(value := node.meta.get("val"), Tensor) and value.dtype != torch.float32:
            raise ExportError(f"no rule for a softmax in {value.dtype} ({node.name})")
        return t.emit(operator, t.name(node.args[0], torch.float32), axis=argument(node, "dim"))

    return rule


ACTIVATIONS: dict[str, Rule] = {
    "relu": _unary("Relu"),
    "relu6": lambda t, node: t.emit("Clip", t.name(node.args[0]), t.number(0), t.number(6)),
    "leaky_relu": _leaky_relu,
    "prelu": _prelu,
    "_prelu_kernel": _prelu,
    "elu": _elu,
    "selu": _unary("Selu"),
    "celu": _celu,
    "gelu": _gelu,
    "silu": _silu,
    "mish": _mish,
    "sigmoid": _unary("Sigmoid"),
    "tanh": _unary("Tanh"),
    "hardswish": _unary("HardSwish"),
    "hardsigmoid": _hard_sigmoid,
    "softplus": _softplus,
    "log_sigmoid": _log_sigmoid,
    "threshold": _threshold,
    "hardshrink": _shrink,
    "softshrink": _shrink,
    "glu": _glu,
    "softmax": _softmax("Softmax"),
    "_softmax": _softmax("Softmax"),
    "log_softmax": _softmax("LogSoftmax"),
    "_log_softmax": _softmax("LogSoftmax"),
}
