"""The arguments of an ATen operator by their names."""

from typing import Any

import torch
from torch import fx


def argument(node: fx.Node, name: str) -> Any:
    """An argument by its name in ATen's schema, or its default."""
    assert isinstance(node.target, torch._ops.OpOverload)
    if name in node.kwargs:
        return node.kwargs[name]
    for position, described in enumerate(node.target._schema.arguments):
        if described.name == name:
            return node.args[position] if position < len(node.args) else described.default_value
    raise AssertionError(name)
