"""Which layers compute what a layer reads."""

from narrower.graph.network import PRODUCT_KINDS, RECURRENT_KINDS, Network


def parents(network: Network, layer: str) -> tuple[str, ...]:
    """The modules between a layer and the products that compute its inputs, these included; nearest first."""
    return _walk(network, layer)[0]


def producers(network: Network, layer: str) -> tuple[str, ...]:
    """The layers whose products compute a layer's inputs; none where these are the model's own."""
    return _walk(network, layer)[1]


def _walk(network: Network, layer: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    passed: dict[str, None] = {}
    found: dict[str, None] = {}
    seen: set[str] = set()
    left = [name for operator in network.layers[layer] for name in operator.inputs]
    while left:
        name = left.pop(0)
        operator = network.operator_by_name.get(name)
        if operator is None or name in seen:
            continue
        seen.add(name)
        passed.update(dict.fromkeys((operator.layer, operator.module)))
        if operator.kind in PRODUCT_KINDS | RECURRENT_KINDS:
            found[operator.layer] = None
        else:
            left.extend(operator.inputs)
    return tuple(passed), tuple(found)
