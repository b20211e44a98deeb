"""Operators that read a window around each element, as ONNX operators."""

from torch import fx

from narrower.errors import ExportError
from narrower.export.operators.translation import Rule, Translation, Value, each, whole_size
from narrower.graph.arguments import argument
from narrower.graph.nodes import base_name


def _max_pool(spatial: int) -> Rule:
    def rule(t: Translation, node: fx.Node) -> str:
        kernel = each(argument(node, "kernel_size"), spatial)
        return t.emit(
            "MaxPool",
            t.name(node.args[0]),
            kernel_shape=kernel,
            strides=each(argument(node, "stride"), spatial) or kernel,
            pads=each(argument(node, "padding"), spatial) * 2,
            dilations=each(argument(node, "dilation"), spatial),
            ceil_mode=int(argument(node, "ceil_mode")),
        )

    return rule


def _with_places(rule: Rule) -> Rule:
    """The values alone; where the largest ones are is read by nothing that has a rule."""
    return lambda t, node: (rule(t, node),)


def _average_pool(spatial: int) -> Rule:
    def rule(t: Translation, node: fx.Node) -> str:
        if spatial > 1 and argument(node, "divisor_override") is not None:
            raise ExportError(f"no rule for an average with a divisor of its own ({node.name})")
        kernel = each(argument(node, "kernel_size"), spatial)
        return t.emit(
            "AveragePool",
            t.name(node.args[0]),
            kernel_shape=kernel,
            strides=each(argument(node, "stride"), spatial) or kernel,
            pads=each(argument(node, "padding"), spatial) * 2,
            ceil_mode=int(argument(node, "ceil_mode")),
            count_include_pad=int(argument(node, "count_include_pad")),
        )

    return rule


def _adaptive(operator: str, spatial: int) -> Rule:
    """Windows of equal size; where they would overlap there is no rule."""

    def rule(t: Translation, node: fx.Node) -> Value:
        wanted = each(argument(node, "output_size"), spatial)
        given = [whole_size(node.args[0], axis - spatial) for axis in range(spatial)]
        if any(size % count for size, count in zip(given, wanted, strict=True)):
            raise ExportError(f"no rule for {base_name(node)} from {given} to {wanted}: its windows overlap")
        if operator == "AveragePool" and set(wanted) == {1}:
            return t.emit("GlobalAveragePool", t.name(node.args[0]))
        kernel = [size // count for size, count in zip(given, wanted, strict=True)]
        found = t.emit(operator, t.name(node.args[0]), kernel_shape=kernel, strides=kernel)
        return found if operator == "AveragePool" else (found,)

    return rule


WINDOWS: dict[str, Rule] = {
    "max_pool1d": _max_pool(1),
    "max_pool2d": _max_pool(2),
    "max_pool3d": _max_pool(3),
    "max_pool1d_with_indices": _with_places(_max_pool(1)),
    "max_pool2d_with_indices": _with_places(_max_pool(2)),
    "max_pool3d_with_indices": _with_places(_max_pool(3)),
    "avg_pool1d": _average_pool(1),
    "avg_pool2d": _average_pool(2),
    "avg_pool3d": _average_pool(3),
    "adaptive_avg_pool1d": _adaptive("AveragePool", 1),
    "adaptive_avg_pool2d": _adaptive("AveragePool", 2),
    "_adaptive_avg_pool2d": _adaptive("AveragePool", 2),
    "adaptive_avg_pool3d": _adaptive("AveragePool", 3),
    "adaptive_max_pool1d": _adaptive("MaxPool", 1),
    "adaptive_max_pool2d": _adaptive("MaxPool", 2),
    "adaptive_max_pool3d": _adaptive("MaxPool", 3),
}
