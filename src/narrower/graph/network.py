"""The frozen, torch-free picture of a model: operators, layers, shapes, parameters, data flow."""

from dataclasses import dataclass
from functools import cached_property
from math import prod

Attribute = int | float | bool | str | None | tuple[int, ...]


MATRIX = 2  # dimensions


@dataclass(frozen=True, slots=True)
class BatchSize:
    """A dimension whose size is ``multiple`` times the batch size."""

    multiple: int = 1


Shape = tuple[int | BatchSize, ...]


def numel(shape: Shape, batch: int = 1) -> int:
    """Number of elements at a batch size."""
    return prod(size.multiple * batch if isinstance(size, BatchSize) else size for size in shape)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A tensor that the model holds: a parameter, or a buffer such as a running mean.

    ``name`` is the first of its names where it is shared.
    """

    name: str
    shape: tuple[int, ...]
    is_buffer: bool = False

    @property
    def numel(self) -> int:
        return prod(self.shape)


@dataclass(frozen=True, slots=True)
class Operator:
    """One node of the ATen program that computes a tensor.

    ``kind`` is the usual name of the operation (linear, conv2d, batch_norm, relu, ...), else that of ATen.
    ``layer`` is the name by which plans address it: the path of the submodule that owns its weight, or, for
    an operator without one, the path of the module that called it and the kind (``blocks.0.matmul``).
    ``inputs`` names the tensors it reads (operators or network inputs), ``parameters`` what it reads of the
    model, both in the order of its arguments. ``source`` is the user's line (``model.py:88``) where known.
    ``has_no_products`` where PyTorch says that it multiplies no matrices.
    """

    name: str
    kind: str
    target: str
    layer: str
    module: str
    module_type: str
    inputs: tuple[str, ...]
    parameters: tuple[str, ...]
    input_shapes: tuple[Shape, ...]
    output_shape: Shape
    attributes: tuple[tuple[str, Attribute], ...] = ()
    source: str | None = None
    has_no_products: bool = False

    def attribute(self, name: str) -> Attribute:
        """One named argument, such as ``groups`` of a convolution."""
        return dict(self.attributes)[name]


@dataclass(frozen=True)
class Network:
    """A model as its operators in the order in which they run."""

    name: str
    inputs: tuple[tuple[str, Shape], ...]
    operators: tuple[Operator, ...]
    outputs: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    module_types: tuple[tuple[str, str], ...]  # every submodule that ran: path and class name
    whole_valued: frozenset[str] = frozenset()  # operators and inputs whose values are no real numbers

    @cached_property
    def parameter_by_name(self) -> dict[str, Parameter]:
        return {parameter.name: parameter for parameter in self.parameters}

    @cached_property
    def operator_by_name(self) -> dict[str, Operator]:
        return {operator.name: operator for operator in self.operators}

    @cached_property
    def layers(self) -> dict[str, tuple[Operator, ...]]:
        """Operators by layer; a layer that is called twice has two."""
        return self._layers_of(frozenset(operator.kind for operator in self.operators))

    @cached_property
    def product_layers(self) -> dict[str, tuple[Operator, ...]]:
        """The layers that multiply and accumulate, and whose operands a plan can quantize."""
        return self._layers_of(PRODUCT_KINDS)

    @cached_property
    def recurrent_layers(self) -> dict[str, tuple[Operator, ...]]:
        """The layers that multiply and accumulate at every step of a sequence."""
        return self._layers_of(RECURRENT_KINDS)

    @cached_property
    def rounded_layers(self) -> dict[str, tuple[Operator, ...]]:
        """The layers that read something a plan can round: products, recurrent layers and tables."""
        return self._layers_of(ROUNDED_KINDS)

    @cached_property
    def multiplying_layers(self) -> dict[str, tuple[Operator, ...]]:
        """All layers that multiply and accumulate."""
        return self._layers_of(PRODUCT_KINDS | RECURRENT_KINDS)

    def _layers_of(self, kinds: frozenset[str]) -> dict[str, tuple[Operator, ...]]:
        found: dict[str, list[Operator]] = {}
        for operator in self.operators:
            if operator.kind in kinds:
                found.setdefault(operator.layer, []).append(operator)
        return {layer: tuple(operators) for layer, operators in found.items()}

    def weights_of(self, operator: Operator) -> tuple[Parameter, ...]:
        """What a plan rounds as the weight of an operator: of a recurrent layer all of its matrices."""
        return self._all_of(operator, "weight")

    def biases_of(self, operator: Operator) -> tuple[Parameter, ...]:
        """What a plan rounds as the bias of an operator: of a recurrent layer all of its biases."""
        return self._all_of(operator, "bias")

    def _all_of(self, operator: Operator, operand: str) -> tuple[Parameter, ...]:
        if operator.kind in RECURRENT_KINDS:
            held = [self.parameter_by_name[name] for name in dict.fromkeys(operator.parameters)]
            return tuple(p for p in held if len(p.shape) == (MATRIX if operand == "weight" else 1))
        if operator.kind in TABLE_KINDS:
            name = dict(operator.attributes).get(operand)
            return (self.parameter_by_name[name],) if isinstance(name, str) else ()
        found = self._product_parameter(operator, operand)
        return () if found is None else (found,)

    def weight_of(self, operator: Operator) -> Parameter | None:
        """The weight of a product; None for a product of two activations."""
        return self._product_parameter(operator, "weight")

    def bias_of(self, operator: Operator) -> Parameter | None:
        """The bias of a product; None where it has none."""
        return self._product_parameter(operator, "bias")

    def _product_parameter(self, operator: Operator, attribute: str) -> Parameter | None:
        if operator.kind not in PRODUCT_KINDS:
            return None
        name = dict(operator.attributes).get(attribute)
        return self.parameter_by_name[name] if isinstance(name, str) else None


PRODUCT_KINDS = frozenset(
    {
        "linear",
        "conv1d",
        "conv2d",
        "conv3d",
        "conv_transpose1d",
        "conv_transpose2d",
        "conv_transpose3d",
        "matmul",
        "scaled_dot_product_attention",
    }
)
# Layers that multiply weights with every step of a sequence.
RECURRENT_KINDS = frozenset({"lstm", "gru", "rnn_tanh", "rnn_relu"})
TABLE_KINDS = frozenset({"embedding"})  # layers that read rows of their weight, and multiply nothing
ROUNDED_KINDS = PRODUCT_KINDS | RECURRENT_KINDS | TABLE_KINDS
