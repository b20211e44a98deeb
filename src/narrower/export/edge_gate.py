"""How often integer kernels write another step than our evaluation, for each edge on its own.

Where scales are no powers of two, a kernel multiplies its whole-number sum by one fused factor, and our
evaluation rounds float32 numbers: ties, and what lies next to them, may go to the neighbouring step. Each
edge is compared given what the runtime read, so that no difference is counted again in what follows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper
from torch import Tensor, fx

from narrower.data.arguments import Arguments, each_argument
from narrower.evaluate.definition import RoundingInterpreter
from narrower.export.execute import onnx_session
from narrower.export.onnx_model import OnnxFile, build_onnx
from narrower.graph.program import Program
from narrower.plan.plan import Plan

MOST_SAMPLES = 64


@dataclass(frozen=True, slots=True)
class EdgeDifferences:
    """Numbers that integer kernels write, and how many are another step than ours, by how many steps."""

    samples: int
    elements: int
    differing: int
    most_steps: int

    @property
    def note(self) -> str:
        """What to say of them."""
        said = f"{self.differing:,} of {self.elements:,} numbers on edges ({self.samples} samples)"
        if not self.differing:
            return f"integer kernels: {said} are another step than in our evaluation of what they read"
        steps = "one step" if self.most_steps == 1 else f"up to {self.most_steps} steps"
        return f"integer kernels: {said} are {steps} away from our evaluation of what they read"


def edge_differences(program: Program, plan: Plan, inputs: Arguments) -> EdgeDifferences | None:
    """Run some samples in ONNX Runtime's integer kernels and compare edge by edge; None without bytes."""
    built = build_onnx(program, plan)
    if not built.edges:
        return None
    samples = [each[:MOST_SAMPLES] for each in each_argument(inputs)]
    watching = _Watching(program, plan, built, _bytes(built, samples))
    watching.outputs(*samples)
    return EdgeDifferences(len(samples[0]), watching.elements, watching.differing, watching.most_steps)


def _bytes(built: OnnxFile, samples: Sequence[Tensor]) -> dict[str, NDArray[np.uint8]]:
    """What the runtime writes on each edge."""
    model = built.model
    for value, _ in built.edges.values():
        model.graph.output.append(helper.make_tensor_value_info(value, TensorProto.UINT8, None))
    session = onnx_session(model.SerializeToString())
    values = [value for value, _ in built.edges.values()]
    names = [described.name for described in session.get_inputs()]
    feed = {name: each.contiguous().numpy() for name, each in zip(names, samples, strict=True)}
    found = session.run(values, feed)
    return dict(zip(built.edges, found, strict=True))


class _Watching(RoundingInterpreter):
    """Our evaluation, which goes on at every edge with what the runtime wrote there."""

    def __init__(
        self, program: Program, plan: Plan, built: OnnxFile, written: Mapping[str, NDArray[np.uint8]]
    ) -> None:
        super().__init__(fx.GraphModule(torch.nn.Module(), program.graph), plan, program)
        self._edges, self._written = built.edges, written
        self.elements = self.differing = self.most_steps = 0

    def write(self, edge: str, value: Tensor) -> Tensor:
        """Compare ours with what the runtime wrote, which takes its place."""
        rounded = super().write(edge, value)
        if edge not in self._written:
            return rounded
        stored = self._edges[edge][1]
        theirs = torch.from_numpy(self._written[edge].astype(np.float32)).reshape(value.shape) - stored.zero
        steps = ((rounded.double() / stored.scale).round() - theirs).abs()
        self.elements += steps.numel()
        self.differing += int((steps > 0).sum())
        self.most_steps = max(self.most_steps, int(steps.max()))
        return theirs * stored.scale
