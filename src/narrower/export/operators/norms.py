"""Operators that look at all elements of a dimension at once, as ONNX operators."""

import numpy as np
from torch import fx

from narrower.export.operators.translation import Rule, Translation, argument


def _layer_norm(t: Translation, node: fx.Node) -> str:
    shape = list(argument(node, "normalized_shape"))
    weight, bias = argument(node, "weight"), argument(node, "bias")
    scale = t.name(weight) if weight is not None else t.builder.constant(np.ones(shape, np.float32))
    shift = t.name(bias) if bias is not None else t.builder.constant(np.zeros(shape, np.float32))
    eps = float(argument(node, "eps"))
    return t.emit("LayerNormalization", t.name(node.args[0]), scale, shift, axis=-len(shape), epsilon=eps)


def _softmax(operator: str) -> Rule:
    return lambda t, node: t.emit(operator, t.name(node.args[0]), axis=argument(node, "dim"))


NORMS: dict[str, Rule] = {
    "layer_norm": _layer_norm,
    "softmax": _softmax("Softmax"),
    "_softmax": _softmax("Softmax"),
    "log_softmax": _softmax("LogSoftmax"),
    "_log_softmax": _softmax("LogSoftmax"),
}
