"""The picture of a model that cannot be traced: which modules it calls for one batch."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from narrower.errors import ModelError
from narrower.graph.describe import module_types
from narrower.graph.network import (
    TABLE_KINDS,
    Attribute,
    BatchSize,
    Network,
    Operator,
    Parameter,
    Shape,
    numel,
)
from narrower.graph.own_copy import own_copy
from narrower.graph.program import Program, Untraced
from narrower.graph.trace import trace

PRODUCT_MODULES: dict[type[nn.Module], str] = {
    nn.Linear: "linear",
    nn.Conv1d: "conv1d",
    nn.Conv2d: "conv2d",
    nn.Conv3d: "conv3d",
}
# The kind of a module whose lower-case class name is not the kind already.
KINDS = {
    "batchnorm1d": "batch_norm",
    "batchnorm2d": "batch_norm",
    "batchnorm3d": "batch_norm",
    "layernorm": "layer_norm",
    "groupnorm": "group_norm",
    "leakyrelu": "leaky_relu",
    "logsoftmax": "log_softmax",
    "maxpool1d": "max_pool1d",
    "maxpool2d": "max_pool2d",
    "avgpool1d": "avg_pool1d",
    "avgpool2d": "avg_pool2d",
    "adaptiveavgpool1d": "adaptive_avg_pool1d",
    "adaptiveavgpool2d": "adaptive_avg_pool2d",
    "dropout1d": "dropout",
    "dropout2d": "dropout",
    "identity": "alias",
}
WITH_PARAMETERS = (*PRODUCT_MODULES.values(), "batch_norm", "layer_norm", "group_norm", "prelu", "embedding")


def trace_or_call(model: nn.Module, example: Tensor | Sequence[Tensor], name: str | None = None) -> Program:
    """Trace ``model``; where that fails, record which of its modules it calls for the example.

    Raises:
        ModelError: neither works; the message says why it cannot be traced.
    """
    try:
        return trace(model, example, name)
    except ModelError as error:
        examples = (example,) if isinstance(example, Tensor) else tuple(example)
        return _called(model, examples, name or type(model).__name__, error)


def _called(model: nn.Module, examples: tuple[Tensor, ...], name: str, why: ModelError) -> Program:
    module = own_copy(model).eval()
    operators: list[Operator] = []
    paths = {child: path for path, child in module.named_modules() if not any(True for _ in child.children())}
    hooks = [
        child.register_forward_hook(partial(_record, operators, path, len(examples[0])))
        for child, path in paths.items()
    ]
    counter = FlopCounterMode(display=False)
    try:
        # the counter does not see the products inside attention's other kernels
        with torch.no_grad(), counter, sdpa_kernel(SDPBackend.MATH):
            output = call_unchanged(module, examples)
    except Exception as error:
        raise why from error
    finally:
        for hook in hooks:
            hook.remove()
    if not isinstance(output, Tensor):
        raise ModelError(f"{why}; it returns a {type(output).__name__}, not a tensor") from why
    parameters = (
        *(Parameter(own, tuple(tensor.shape)) for own, tensor in module.named_parameters()),
        *(Parameter(own, tuple(tensor.shape), True) for own, tensor in module.named_buffers()),
    )
    rest = Operator(
        name="functions",
        kind="code outside of modules",
        target="",
        layer=name,
        module="",
        module_type=type(model).__name__,
        inputs=(),
        parameters=(),
        input_shapes=(),
        output_shape=_shape(output, len(examples[0])),
        has_no_products=True,
    )
    network = Network(
        name=name,
        inputs=tuple((f"x{i}", _shape(x, len(x))) for i, x in enumerate(examples)),
        operators=(*operators, rest),
        outputs=("functions",),
        parameters=parameters,
        module_types=module_types(module),
    )
    _check_products(network, counter.get_total_flops(), len(examples[0]), why)
    tensors = {own: tensor.detach() for own, tensor in module.state_dict().items()}
    return Program(
        network,
        fx.Graph(),
        tensors,
        {own: own for own in tensors},
        tuple(own for own, _ in network.inputs),
        Untraced(module, str(why)),
    )


def call_unchanged(
    module: nn.Module, arguments: Sequence[Tensor], replaced: Mapping[str, Tensor] | None = None
) -> Any:
    """Call a module that may write into its buffers and arguments: it gets copies of them.

    ``replaced`` holds tensors that stand in for parameters, by name.
    """
    buffers = {name: buffer.clone() for name, buffer in module.named_buffers()}
    copies = tuple(argument.clone() for argument in arguments)
    return torch.func.functional_call(module, {**buffers, **(replaced or {})}, copies)


def _record(
    operators: list[Operator], path: str, batch: int, module: nn.Module, inputs: Any, output: Any
) -> None:
    """A forward hook: write down one call of a module that has no modules inside."""
    if not isinstance(output, Tensor):
        raise ModelError(f"{path}: a {type(module).__name__} returns more than a tensor")
    kind = PRODUCT_MODULES.get(type(module), type(module).__name__.lower())
    kind = KINDS.get(kind, kind)
    held = [f"{path}.{own}" for own, _ in (*module.named_parameters(), *module.named_buffers())]
    if kind not in WITH_PARAMETERS and any(True for _ in module.parameters()):
        raise ModelError(f"{path}: nothing is known of what a {type(module).__name__} computes")
    attributes: list[tuple[str, Attribute]] = [
        (own, f"{path}.{own}")
        for own, _ in module.named_parameters()
        if kind in PRODUCT_MODULES.values() or kind in TABLE_KINDS
    ]
    if "pool" in kind and isinstance(window := getattr(module, "kernel_size", None), int | tuple):
        attributes.append(("kernel_size", window))
    operators.append(
        Operator(
            name=f"call_{len(operators)}",
            kind=kind,
            target=kind,
            layer=path,
            module=path,
            module_type=type(module).__name__,
            inputs=(),
            parameters=tuple(held),
            input_shapes=tuple(_shape(x, batch) for x in inputs if isinstance(x, Tensor)),
            output_shape=_shape(output, batch),
            attributes=tuple(attributes),
            has_no_products=kind not in PRODUCT_MODULES.values(),
        )
    )


def _shape(tensor: Tensor, batch: int) -> Shape:
    """The first dimension is the batch, or a multiple of it."""
    first, *others = tensor.shape or (1,)
    return (BatchSize(first // batch), *others) if first % batch == 0 else tuple(tensor.shape)


def _check_products(network: Network, counted_flops: int, batch: int, why: ModelError) -> None:
    """Refuse a model that multiplies outside of its modules: what it costs could not be known."""
    known = 0
    for operators in network.product_layers.values():
        for operator in operators:
            weight = network.weight_of(operator)
            assert weight is not None
            known += 2 * numel(operator.output_shape, batch) * (weight.numel // weight.shape[0])
    if counted_flops > known:
        raise ModelError(
            f"{why}; nor can it be followed module by module: it multiplies outside of its linear and "
            "convolution modules"
        ) from why
