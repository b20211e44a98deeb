"""Which layers read data that are never below zero."""

from collections.abc import Callable, Sequence

from narrower.graph.network import Attribute, Network, Operator

# Operators whose results are never negative.
POSITIVE = frozenset(
    {"relu", "relu6", "softmax", "_softmax", "sigmoid", "hardsigmoid", "softplus", "exp", "abs", "square"}
)
# Operators that only choose, repeat, average or add up values of their inputs.
KEEPING = frozenset(
    {
        *(
            "dropout",
            "flatten",
            "unflatten",
            "view",
            "reshape",
            "permute",
            "transpose",
            "squeeze",
            "unsqueeze",
        ),
        *(
            "expand",
            "repeat",
            "slice",
            "select",
            "index_select",
            "narrow",
            "split",
            "chunk",
            "getitem",
            "flip",
        ),
        *(
            "_unsafe_view",
            "clone",
            "contiguous",
            "alias",
            "detach",
            "t",
            "numpy_T",
            "pixel_shuffle",
            "pixel_unshuffle",
        ),
        *("channel_shuffle", "cat", "concat", "stack", "mean", "sum", "amax", "amin", "maximum", "minimum"),
        *("upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d", "upsample_linear1d"),
        *("upsample_bilinear2d", "upsample_trilinear3d"),
    }
)
KEEPING_STARTS = ("max_pool", "avg_pool", "adaptive_max_pool", "adaptive_avg_pool")


def positive_values(network: Network) -> frozenset[str]:
    """The operators whose results are never below zero, by name."""
    positive: set[str] = set()
    for operator in network.operators:
        if _is_positive(operator, positive):
            positive.add(operator.name)
    return frozenset(positive)


def unsigned_layers(network: Network) -> frozenset[str]:
    """The layers with products all of whose data follow from ReLU, softmax, sigmoid and the like."""
    positive = positive_values(network)
    return frozenset(
        layer
        for layer, operators in network.product_layers.items()
        if all(operator.inputs and positive.issuperset(operator.inputs) for operator in operators)
    )


def _is_positive(operator: Operator, positive: set[str]) -> bool:
    kind = operator.kind.removesuffix("_")
    if kind in POSITIVE:
        return True
    if kind in BOUNDED:
        return _is_at_least_zero([dict(operator.attributes).get(name) for name in BOUNDED[kind]])
    reads_positive = (
        bool(operator.inputs) and positive.issuperset(operator.inputs) and not operator.parameters
    )
    if not reads_positive:
        return False
    if kind in FACTORS:
        return FACTORS[kind](operator)
    return kind in KEEPING or kind.startswith(KEEPING_STARTS)


def _is_at_least_zero(bounds: Sequence[Attribute]) -> bool:
    return any(isinstance(bound, int | float) and bound >= 0 for bound in bounds)


def _has_positive_numbers(operator: Operator) -> bool:
    numbers = [value for name, value in operator.attributes if name in ("other", "alpha", "value")]
    return all(isinstance(number, int | float) and number >= 0 for number in numbers)


# The arguments of which one bounds the result from below.
BOUNDED = {"hardtanh": ("min_val",), "clamp": ("min",), "clip": ("min",), "clamp_min": ("min",)}
# Operators that keep what is not negative where the numbers among their arguments are not negative.
FACTORS: dict[str, Callable[[Operator], bool]] = dict.fromkeys(
    ("add", "mul", "div", "constant_pad_nd", "pad"), _has_positive_numbers
)
