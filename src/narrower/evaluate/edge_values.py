"""What the edges of a network hold when nothing is rounded: a part of their values, with both ends."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, fx

from narrower.graph.program import Program

SAMPLES_AT_ONCE = 64
MOST_VALUES = 2**18  # of an edge that are looked at, besides its smallest and largest


def edge_values(program: Program, inputs: Sequence[Tensor]) -> dict[str, Tensor]:
    """For each edge of a lowered program values that it takes for some samples, as one row.

    The smallest and largest are the first two; of the others there is a regular part.
    """
    count = len(inputs[0])
    most = max(1, MOST_VALUES * SAMPLES_AT_ONCE // max(1, count))
    module = fx.GraphModule(torch.nn.Module(), program.graph)
    watching = _Watching(module, most)
    held = [node for node in program.graph.nodes if node.op == "placeholder"]
    with torch.inference_mode():
        for start in range(0, count, SAMPLES_AT_ONCE):
            batch = [argument[start : start + SAMPLES_AT_ONCE] for argument in inputs]
            watching.run(
                *[program.tensors[n.name] if n.name in program.tensors else batch.pop(0) for n in held]
            )
    return {name: watching.values(name) for name in watching.ends}


class _Watching(fx.Interpreter):
    def __init__(self, module: fx.GraphModule, most: int) -> None:
        super().__init__(module)
        self._most = most
        self._parts: dict[str, list[Tensor]] = {}
        self.ends: dict[str, Tensor] = {}

    def run_node(self, n: fx.Node) -> Any:
        """Run a node, and look at what it writes where that is an edge."""
        value = super().run_node(n)
        if "edge" in n.meta and isinstance(value, Tensor) and value.numel():
            self._look(n.meta["edge"], value.detach().flatten())
        return value

    def _look(self, name: str, flat: Tensor) -> None:
        ends = torch.stack(flat.aminmax())
        if name in self.ends:
            before = self.ends[name]
            ends = torch.stack([torch.minimum(before[0], ends[0]), torch.maximum(before[1], ends[1])])
        self.ends[name] = ends
        self._parts.setdefault(name, []).append(flat[:: max(1, -(-len(flat) // self._most))].clone())

    def values(self, name: str) -> Tensor:
        return torch.cat([self.ends[name], *self._parts[name]])
