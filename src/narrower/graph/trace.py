"""From a model to its ATen program and network."""

import inspect
import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.export import ExportedProgram
from torch.export.graph_signature import OutputKind

from narrower.errors import ModelError
from narrower.graph.computed_weights import fold_weights
from narrower.graph.describe import describe
from narrower.graph.first_gradient import take_first_gradient
from narrower.graph.own_copy import own_copy
from narrower.graph.products import decompositions, split_fused_products
from narrower.graph.program import Program


def trace(model: nn.Module, example: Tensor | Sequence[Tensor], name: str | None = None) -> Program:
    """Trace ``model`` in evaluation mode with a batch size that stays open.

    ``example`` holds the model's arguments; the first dimension of each is the batch, of at least 2 samples.
    Dropout is gone, in-place operators have become functional ones, products are taken out of larger
    operators (``graph/products.py``), and linear, convolution, attention and recurrent layers stay whole.
    Weights that are computed from parameters are constants.

    Raises:
        ModelError: the model cannot be traced; the message holds the reason.
    """
    examples = (example,) if isinstance(example, Tensor) else tuple(example)
    if any(len(argument) < 2 for argument in examples):  # noqa: PLR2004 - torch.export specialises sizes 0 and 1
        raise ModelError("tracing needs an example batch of at least 2 samples: 1 would become a constant")
    frozen = own_copy(model).eval()
    batch = torch.export.Dim("batch")
    take_first_gradient()
    try:
        with _whole_attention(), _quietly():
            exported = torch.export.export(
                frozen, examples, dynamic_shapes=_open_batch(frozen, examples, batch)
            )
            exported = exported.run_decompositions(decompositions(exported.graph))
    except Exception as error:
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise ModelError(f"{type(model).__name__} cannot be traced by torch.export: {reason}") from error
    signature = exported.graph_signature
    parameter_names = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
    tensors: dict[str, Tensor] = {
        node: exported.state_dict[parameter].detach()
        if parameter in exported.state_dict
        else exported.constants[parameter].detach()
        for node, parameter in parameter_names.items()
    }
    for node, constant in signature.inputs_to_lifted_tensor_constants.items():
        tensors[node] = exported.constants[constant].detach()
        parameter_names[node] = constant
    graph = _without_bookkeeping(exported)
    split_fused_products(graph, tensors)
    input_names = tuple(signature.user_inputs)
    program = Program(
        describe(name or type(model).__name__, model, graph, parameter_names, input_names),
        graph,
        tensors,
        parameter_names,
        input_names,
    )
    return fold_weights(program, model)


def _open_batch(model: nn.Module, examples: Sequence[Tensor], batch: Any) -> tuple[Any, ...]:
    """Which size of each argument stays open; those that ``*arguments`` takes are one tuple."""
    each: tuple[Any, ...] = tuple({0: batch} for _ in examples)
    kinds = [parameter.kind for parameter in inspect.signature(model.forward).parameters.values()]
    if inspect.Parameter.VAR_POSITIONAL not in kinds[: len(each)]:
        return each
    first = kinds.index(inspect.Parameter.VAR_POSITIONAL)
    return (*each[:first], each[first:])


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep PyTorch from warning, logging and printing the graph as far as it got: the reason says enough."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


@contextmanager
def _whole_attention() -> Iterator[None]:
    """Keep multi-head attention off its fused path, which no graph shows."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


def _without_bookkeeping(exported: ExportedProgram) -> fx.Graph:
    """Drop shape assertions, what nothing reads, and what is written into arguments and buffers."""
    graph: fx.Graph = exported.graph
    output = graph.output_node()
    values: Any = output.args[0]
    kinds = [specification.kind for specification in exported.graph_signature.output_specs]
    output.args = (tuple(v for v, kind in zip(values, kinds, strict=True) if kind == OutputKind.USER_OUTPUT),)
    for node in reversed(graph.nodes):
        if node.op == "call_function" and not node.users:
            graph.erase_node(node)
    graph.lint()
    return graph
