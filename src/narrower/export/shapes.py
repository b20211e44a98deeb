"""The shape of every value of a lowered program."""

from typing import Any

import torch
from torch import Tensor, fx
from torch._guards import detect_fake_mode
from torch._subclasses import FakeTensorMode
from torch.fx.experimental.symbolic_shapes import DimDynamic, ShapeEnv, StatelessSymbolicContext
from torch.utils._pytree import tree_map_only

from narrower.graph.network import BatchSize
from narrower.graph.program import Program
from narrower.graph.values import Value

EXAMPLES = 3  # samples of a batch whose size stays open


def with_shapes(program: Program) -> Program:
    """A copy whose nodes all say the shape and type of what they compute.

    Lowering puts nodes in that do not: what they compute is asked of tensors without numbers.
    """
    copied = program.copy()
    if any(isinstance(node.meta.get("val"), Value) for node in copied.graph.nodes):
        _stand_in(copied)
    mode = detect_fake_mode([node.meta.get("val") for node in copied.graph.nodes])
    if mode is None:
        return copied
    with mode:
        for node in copied.graph.nodes:
            if node.op == "call_function" and "val" not in node.meta:
                node.meta["val"] = _computed(node, mode)
    return copied


def _stand_in(program: Program) -> None:
    """Put tensors without numbers where only shapes are known, with a batch size that stays open."""
    mode, batch = FakeTensorMode(shape_env=ShapeEnv()), DimDynamic.DYNAMIC
    for node in program.graph.nodes:
        value = node.meta.pop("val", None)
        if node.op == "placeholder":
            if isinstance(value, Value):
                sizes = [EXAMPLES if isinstance(size, BatchSize) else size for size in value.shape]
                kinds = [batch if isinstance(size, BatchSize) else DimDynamic.STATIC for size in value.shape]
                context: Any = StatelessSymbolicContext(dynamic_sizes=kinds)
                node.meta["val"] = mode.from_tensor(
                    torch.empty(sizes, dtype=value.dtype), symbolic_context=context
                )
            else:
                node.meta["val"] = mode.from_tensor(value, static_shapes=True)


def _computed(node: fx.Node, mode: FakeTensorMode) -> Any:
    arguments = fx.map_arg((node.args, dict(node.kwargs)), lambda source: source.meta["val"])
    args, kwargs = tree_map_only(Tensor, lambda value: _fake(value, mode), arguments)
    return node.target(*args, **kwargs)  # type: ignore[operator]


def _fake(value: Tensor, mode: FakeTensorMode) -> Tensor:
    return value if hasattr(value, "fake_mode") else mode.from_tensor(value, static_shapes=True)
