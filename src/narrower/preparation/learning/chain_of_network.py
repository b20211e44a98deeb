"""Which layers of a network are a chain whose widths can be learned, and which cannot be."""

from dataclasses import dataclass

from narrower.errors import SettingsError
from narrower.graph.network import BatchSize, Network, Operator

PASSING = ("relu", "dropout", "identity", "alias", "clone", "detach")  # what may stand between the layers
NUMBER_OF_DIMENSIONS = 2  # samples, values


@dataclass(frozen=True, slots=True)
class ChainOfLayers:
    """Linear layers one after the other with ReLU between them, by name, that end a network.

    ``sizes`` are the inputs of the first and the outputs of each. ``ends_in_relu``: so does the network.
    """

    layers: tuple[str, ...]
    sizes: tuple[int, ...]
    ends_in_relu: bool


def chain_of_network(network: Network) -> ChainOfLayers:
    """The chain that all products of a network lie in.

    Raises:
        SettingsError: with every layer that cannot be learned, and why.
    """
    found = _Walk(network)
    problems = dict(found.problems)
    for layer, operators in network.multiplying_layers.items():
        if operators[0].kind != "linear":
            problems.setdefault(layer, operators[0].kind)
        elif layer not in found.layers:
            problems.setdefault(layer, "not on the one path of linear layers and ReLU that ends the network")
    if problems:
        named = "; ".join(f"{layer} ({reason})" for layer, reason in problems.items())
        raise SettingsError(
            f"layers of {network.name} whose widths cannot be learned: {named}; learned are chains of linear "
            "layers with ReLU between them"
        )
    if not found.layers:
        raise SettingsError(f"{network.name} has no layers whose widths could be learned")
    first = network.product_layers[found.layers[0]][0]
    outputs = [network.product_layers[layer][0].output_shape for layer in found.layers]
    sizes = [_width(first.input_shapes[0]), *map(_width, outputs)]
    return ChainOfLayers(tuple(found.layers), tuple(sizes), found.ends_in_relu)


class _Walk:
    """From the network's output towards its inputs, as far as there are linear layers and ReLU."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self.layers: list[str] = []
        self.problems: dict[str, str] = {}
        self.ends_in_relu = False
        self._readers: dict[str, int] = {}
        for operator in network.operators:
            for name in operator.inputs:
                self._readers[name] = self._readers.get(name, 0) + 1
        for name in network.outputs:
            self._readers[name] = self._readers.get(name, 0) + 1
        at = network.outputs[0]
        has_relu, following = False, None
        while (operator := network.operator_by_name.get(at)) is not None:  # type: ignore[assignment]
            if operator.kind == "linear" and self._readers[at] == 1:
                self._add(operator)
                if following is None:
                    self.ends_in_relu = has_relu
                elif not has_relu:
                    self.problems[following.layer] = f"no ReLU between {operator.layer} and it"
                has_relu, following = False, operator
            elif operator.kind not in PASSING or self._readers[at] != 1:
                return
            has_relu = has_relu or operator.kind == "relu"
            at = operator.inputs[0]

    def _add(self, operator: Operator) -> None:
        self.layers.insert(0, operator.layer)
        if len(self._network.product_layers[operator.layer]) > 1:
            self.problems[operator.layer] = "it is called several times"
        if self._network.bias_of(operator) is None:
            self.problems[operator.layer] = "it has no bias"
        if len(operator.output_shape) != NUMBER_OF_DIMENSIONS:
            self.problems[operator.layer] = f"its outputs have {len(operator.output_shape)} dimensions"


def _width(shape: tuple[int | BatchSize, ...]) -> int:
    size = shape[-1]
    assert isinstance(size, int)
    return size
