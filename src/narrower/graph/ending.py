"""Whether a network ends in softmax, its logarithm or sigmoid, which decides what its outputs mean."""

from narrower.graph.network import BatchSize, Network, Operator, numel

# What moves values and leaves them as they are.
MOVES = frozenset(
    {
        "view", "_unsafe_view", "reshape", "flatten", "squeeze", "unsqueeze", "t", "numpy_T", "transpose",
        "permute", "clone", "alias", "detach", "contiguous", "_to_copy", "to", "dropout", "split", "chunk",
        "getitem", "slice",
    }
)  # fmt: skip
SOFTMAX = frozenset({"softmax", "_softmax"})
LOG_SOFTMAX = frozenset({"log_softmax", "_log_softmax"})
SIGMOID = frozenset({"sigmoid", "special_expit"})


def last_function(network: Network) -> tuple[str, Operator] | None:
    """What is computed last: "softmax", "log_softmax", "sigmoid", or "softmax over samples".

    With the operator that computes it; None where the network ends in something else. What merely moves
    values behind it is passed over.
    """
    if not network.outputs:
        return None
    operator = network.operator_by_name.get(network.outputs[0])
    if operator is not None and not operator.target:  # code outside of modules, behind the last module
        operator = _last_module(network, operator)
    operator = _behind_moves(network, operator)
    if operator is None:
        return None
    if operator.kind == "log":
        before = _behind_moves(network, network.operator_by_name.get(operator.inputs[0]))
        return ("log_softmax", before) if before is not None and _softmax(before) == "softmax" else None
    kind = "sigmoid" if operator.kind in SIGMOID else _softmax(operator)
    return None if kind is None else (kind, operator)


def _last_module(network: Network, code: Operator) -> Operator | None:
    """Of a model that could only be called: its last module, where the output may be what that returned."""
    called = [o for o in network.operators if o is not code and o.kind not in MOVES]
    return called[-1] if called and numel(called[-1].output_shape) == numel(code.output_shape) else None


def _behind_moves(network: Network, operator: Operator | None) -> Operator | None:
    while operator is not None and operator.kind in MOVES and operator.inputs:
        operator = network.operator_by_name.get(operator.inputs[0])
    return operator


def _softmax(operator: Operator) -> str | None:
    if operator.kind not in SOFTMAX | LOG_SOFTMAX:
        return None
    dimension = dict(operator.attributes).get("dim")
    if isinstance(dimension, int) and isinstance(operator.output_shape[dimension], BatchSize):
        return "softmax over samples"
    return "softmax" if operator.kind in SOFTMAX else "log_softmax"
