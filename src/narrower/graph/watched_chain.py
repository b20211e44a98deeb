"""Trace a model that is a chain of well-known modules by watching one call, in a fraction of the time.

``torch.export`` takes longer to import than PyTorch. Most small networks are chains of linear layers, batch
norms and activations, whatever classes they are made of. One is recognised while it runs: each module gets
what the one before it returned, and nothing else asks a tensor for anything, not even for its shape. Then no
other batch can take another way, and the program is that of ``trace``.
"""

import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from inspect import signature
from itertools import chain
from operator import getitem
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.modules import module as torch_module
from torch.overrides import TorchFunctionMode

from narrower.graph.describe import describe
from narrower.graph.network import BatchSize
from narrower.graph.own_copy import own_copy
from narrower.graph.program import Program
from narrower.graph.values import Value

aten = torch.ops.aten
ELEMENTWISE: dict[type[nn.Module], Any] = {
    nn.ReLU: aten.relu.default,
    nn.Tanh: aten.tanh.default,
    nn.Sigmoid: aten.sigmoid.default,
    nn.Dropout: aten.clone.default,
}
BATCH_NORM_RESULTS = 3
THIS_FILE = Path(__file__).name


def watched_chain(model: nn.Module, example: Tensor, name: str) -> Program | None:
    """The program of ``model`` for a batch of at least 2 samples; None where it is no such chain."""
    if not all(_is_known(module) for module in _holders(model)):
        return None
    watched = own_copy(model).eval()
    if len(example) < 2 or not _is_plain(watched):  # noqa: PLR2004 - as for trace
        return None
    inputs = list(signature(watched.forward).parameters)
    calls = _watch(watched, example.clone()) if len(inputs) == 1 else None
    if not calls:
        return None
    held = dict(chain(watched.named_parameters(), watched.named_buffers()))
    called = {id(module) for module in (call.module for call in calls)}
    if any(id(module) not in called for module in _holders(watched)):
        return None  # torch.export has names of its own for what is never read
    return _program(watched, calls, held, inputs[0], example, name)


@dataclass(frozen=True, slots=True)
class _Call:
    path: str
    module: nn.Module
    output: Value
    line: str | None  # of the code that called it, as a stack trace shows it


@dataclass(slots=True)
class _Watch:
    """What was called so far; ``last`` is what the next module must get."""

    last: Tensor
    calls: list[_Call] = field(default_factory=list)
    is_inside: bool = False
    is_chain: bool = True

    def enter(self, _module: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        self.is_chain &= len(arguments) == 1 and not keywords and arguments[0] is self.last
        self.is_inside = True

    def leave(self, path: str, module: nn.Module, output: Any) -> None:
        with torch._C.DisableTorchFunction():
            self.is_inside = False
            self.is_chain &= isinstance(output, Tensor) and not (
                getattr(module, "inplace", False) and not self.calls
            )
            if self.is_chain:
                value = Value((BatchSize(), *output.shape[1:]), output.dtype)
                self.calls.append(_Call(path, module, value, _calling_line()))
                self.last = output


class _Strict(TorchFunctionMode):
    """Notices whatever is done with tensors outside of the modules."""

    def __init__(self, watch: _Watch) -> None:
        super().__init__()
        self._watch = watch

    def __torch_function__(
        self, function: Callable[..., Any], _types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        self._watch.is_chain &= self._watch.is_inside
        return function(*args, **(kwargs or {}))


def _watch(model: nn.Module, example: Tensor) -> list[_Call]:
    """The modules that were called; none where they were no chain."""
    watch = _Watch(example)
    for path, module in model.named_modules():
        if _is_known(module):
            module.register_forward_pre_hook(watch.enter, with_kwargs=True)

            def leave(module: nn.Module, _inputs: Any, output: Any, path: str = path) -> None:
                watch.leave(path, module, output)

            module.register_forward_hook(leave)
    mode: AbstractContextManager[Any] = _Strict(watch)
    with torch.no_grad():
        try:
            with mode:
                output = model(example)
        except Exception:
            return []  # tracing will say what is wrong
    for module in model.modules():
        module._forward_hooks.clear()
        module._forward_pre_hooks.clear()
        module._forward_pre_hooks_with_kwargs.clear()
    return watch.calls if watch.is_chain and output is watch.last else []


def _holders(model: nn.Module) -> list[nn.Module]:
    """The modules that hold parameters or buffers themselves."""
    return [module for module in model.modules() if module._parameters or module._buffers]


def _is_known(module: nn.Module) -> bool:
    return type(module) in (nn.Linear, nn.BatchNorm1d, *ELEMENTWISE) or _is_identity(module)


def _is_identity(module: nn.Module) -> bool:
    return type(module).forward is nn.Identity.forward


def _is_plain(model: nn.Module) -> bool:
    """Whether modules do what their classes say and share nothing."""
    hooks = (torch_module._global_forward_hooks, torch_module._global_forward_pre_hooks)
    tensors = [*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False)]
    names = {name.replace(".", "_") for name, _ in tensors}
    return (
        not any(hooks)
        and len(names) == len(tensors) == len({id(tensor) for _, tensor in tensors})
        and all(
            not (module._forward_hooks or module._forward_pre_hooks or module.training)
            and "forward" not in vars(module)
            and (type(module) is not nn.BatchNorm1d or _has_statistics(module))
            for module in model.modules()
        )
    )


def _has_statistics(module: nn.BatchNorm1d) -> bool:
    return module.running_mean is not None and module.momentum is not None


def _calling_line() -> str | None:
    """The innermost line of code outside of PyTorch that the call came from, below this file."""
    frame: FrameType | None = sys._getframe()
    while frame is not None and Path(frame.f_code.co_filename).name == THIS_FILE:
        frame = frame.f_back
    while frame is not None and Path(frame.f_code.co_filename).name != THIS_FILE:
        if "/torch/" not in frame.f_code.co_filename:
            return f'File "{frame.f_code.co_filename}", line {frame.f_lineno}, in forward'
        frame = frame.f_back
    return None


def _program(
    model: nn.Module,
    calls: list[_Call],
    held: Mapping[str, Tensor],
    input_name: str,
    example: Tensor,
    name: str,
) -> Program | None:
    """The graph with the names that ``torch.export`` gives."""
    graph = fx.Graph()
    names = {
        ("p_" if isinstance(tensor, nn.Parameter) else "b_") + own.replace(".", "_"): own
        for own, tensor in held.items()
    }
    placeholders: dict[str, fx.Node] = {}
    for node_name, own in names.items():
        placeholders[own] = _placeholder(graph, node_name, held[own].detach())
    value = Value((BatchSize(), *example.shape[1:]), example.dtype)
    last = _placeholder(graph, input_name, value)
    for call in calls:
        last = _called(graph, call, placeholders, last)
    graph.output((last,))
    if len({node.name for node in graph.nodes}) != len(graph.nodes):
        return None  # two want the same name
    tensors = {node_name: held[own].detach() for node_name, own in names.items()}
    network = describe(name, model, graph, names, (input_name,))
    return Program(network, graph, tensors, names, (input_name,))


def _base(target: Any) -> str:
    return str(target._schema.name).split("::")[-1]


def _placeholder(graph: fx.Graph, name: str, value: Tensor | Value) -> fx.Node:
    node = graph.placeholder(name)
    node.name = name  # also where it is one of Python's own
    node.meta["val"] = value
    return node


def _called(graph: fx.Graph, call: _Call, placeholders: Mapping[str, fx.Node], x: fx.Node) -> fx.Node:
    module = call.module
    if _is_identity(module):
        return x

    def own(tensor: str) -> fx.Node | None:
        return placeholders.get(f"{call.path}.{tensor}" if call.path else tensor)

    def node(target: Any, arguments: tuple[Any, ...], value: Any, called: str | None = None) -> fx.Node:
        made = graph.create_node("call_function", target, arguments, name=called or _base(target))
        made.meta = {"val": value, "nn_module_stack": {call.path: (call.path, type(module))}}
        if call.line is not None:
            made.meta["stack_trace"] = call.line
        return made

    if isinstance(module, nn.Linear):
        operands = (own("weight"), own("bias")) if module.bias is not None else (own("weight"),)
        return node(aten.linear.default, (x, *operands), call.output)
    if isinstance(module, nn.BatchNorm1d):
        statistics = [own(tensor) for tensor in ("weight", "bias", "running_mean", "running_var")]
        empty = Value((0,), call.output.dtype)
        before = sum(n.target is aten._native_batch_norm_legit_no_training.default for n in graph.nodes)
        normed = node(
            aten._native_batch_norm_legit_no_training.default,
            (x, *statistics, module.momentum, module.eps),
            (call.output, empty, empty),
        )
        first = f"getitem_{BATCH_NORM_RESULTS * before}" if before else "getitem"
        return node(getitem, (normed, 0), call.output, first)
    return node(ELEMENTWISE[type(module)], (x,), call.output)
