"""The shape of every value of a lowered program."""

from typing import Any

from torch import Tensor, fx
from torch._guards import detect_fake_mode
from torch._subclasses import FakeTensorMode
from torch.utils._pytree import tree_map_only

from narrower.graph.program import Program


def with_shapes(program: Program) -> Program:
    """A copy whose nodes all say the shape and type of what they compute.

    Lowering puts nodes in that do not: what they compute is asked of tensors without numbers.
    """
    copied = program.copy()
    mode = detect_fake_mode([node.meta.get("val") for node in copied.graph.nodes])
    if mode is None:
        return copied
    with mode:
        for node in copied.graph.nodes:
            if node.op == "call_function" and "val" not in node.meta:
                node.meta["val"] = _computed(node, mode)
    return copied


def _computed(node: fx.Node, mode: FakeTensorMode) -> Any:
    arguments = fx.map_arg((node.args, dict(node.kwargs)), lambda source: source.meta["val"])
    args, kwargs = tree_map_only(Tensor, lambda value: _fake(value, mode), arguments)
    return node.target(*args, **kwargs)  # type: ignore[operator]


def _fake(value: Tensor, mode: FakeTensorMode) -> Tensor:
    return value if hasattr(value, "fake_mode") else mode.from_tensor(value, static_shapes=True)
