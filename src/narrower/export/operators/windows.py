"""Operators that read a window around each element, as ONNX operators."""

from torch import fx

from narrower.export.operators.translation import Rule, Translation, argument, each


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


def _average_pool(spatial: int) -> Rule:
    def rule(t: Translation, node: fx.Node) -> str:
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


WINDOWS: dict[str, Rule] = {
    "max_pool1d": _max_pool(1),
    "max_pool2d": _max_pool(2),
    "avg_pool1d": _average_pool(1),
    "avg_pool2d": _average_pool(2),
}
