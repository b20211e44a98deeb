"""Where an artefact's outputs differ: how often a rounding went to the other of two nearest steps.

Sums in another order, and functions such as SiLU and cosine, differ in last bits between runtimes. A number
that lies so near the middle between two steps may be rounded to either. Our evaluation is run once more, and
goes on at every rounding with what the runtime rounded there: what is left is no more than last bits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper
from torch import Tensor, fx

from narrower.data.arguments import Arguments, each_argument
from narrower.evaluate.definition import RoundingInterpreter
from narrower.export.check import CLOSE
from narrower.export.execute import SAMPLES_AT_A_TIME, onnx_session
from narrower.export.onnx_model import OnnxFile
from narrower.graph.program import Program
from narrower.plan.formats.number_format import NumberFormat
from narrower.plan.plan import Plan
from narrower.transform.quantizers.quantize import quantize

MOST_TIES = 1e-3  # of the rounded numbers: more is no chance of last bits
Given = dict[tuple[str, NumberFormat], Tensor]


@dataclass(frozen=True, slots=True)
class Ties:
    """Roundings of an artefact beside ours of the same numbers.

    ``differing`` of the ``rounded`` numbers went to another step; of these ``unexplained`` did not lie within
    rounding of the middle between two neighbouring steps. Given what the runtime rounded, outputs differ by
    ``largest_difference`` of ``largest_output``. ``elsewhere`` counts outputs that the runtime computed
    otherwise while it was watched. ``metric`` is the data set's on the samples that are its own, in our
    evaluation and in the artefact.
    """

    samples: int
    rounded: int
    differing: int
    unexplained: int
    elsewhere: int
    largest_difference: float
    largest_output: float
    metric: str = ""
    own_value: float | None = None
    value: float | None = None

    @property
    def explain(self) -> bool:
        """Whether all that differs goes back to ties."""
        return (
            0 < self.differing <= MOST_TIES * self.rounded
            and not self.unexplained
            and not self.elsewhere
            and self.largest_difference <= CLOSE * self.largest_output
        )

    @property
    def note(self) -> str:
        """What to say of them."""
        said = (
            f"ties: {self.differing:,} of {self.rounded:,} rounded numbers ({self.samples:,} samples) went "
            "to another step than in our evaluation of what the runtime read"
        )
        if self.unexplained:
            return f"{said}, {self.unexplained:,} of them from nowhere near the middle between two steps"
        if self.elsewhere:
            return f"{said}; {self.elsewhere:,} outputs are others when the runtime is watched"
        said += (
            f", all from the middle between two, up to last bits; given these, outputs differ by at most "
            f"{self.largest_difference:g}"
        )
        if self.value is None or self.own_value is None:
            return said
        return (
            f"{said}; {self.metric} on the data set's own samples {self.value:.6g}, ours {self.own_value:.6g}"
        )


def find_ties(
    program: Program, plan: Plan, built: OnnxFile, inputs: Arguments, outputs: NDArray[np.float32]
) -> Ties | None:
    """Run the artefact once more, watched, on all samples; ``outputs`` are what it gave unwatched.

    None where nothing is rounded that could be watched.
    """
    if not built.roundings:
        return None
    watched = _Watched(built)
    ours = _Following(fx.GraphModule(torch.nn.Module(), program.graph), plan, program)
    largest = difference = 0.0
    elsewhere, place = 0, 0
    for batch in zip(*(torch.split(each, watched.size) for each in each_argument(inputs)), strict=True):
        if watched.is_static and len(batch[0]) < watched.size:
            break
        theirs, ours.given = watched.run(batch)
        own = ours.outputs(*batch).numpy()
        elsewhere += int((theirs != outputs[place : place + len(own)]).sum())
        place += len(own)
        gaps = np.abs(own.astype(np.float64) - theirs)
        difference = max(difference, float(np.nan_to_num(gaps, nan=np.inf).max(initial=0.0)))
        largest = max(largest, float(np.abs(own).max(initial=0.0)))
    return Ties(place, ours.rounded, ours.differing, ours.unexplained, elsewhere, difference, largest)


class _Watched:
    """The artefact in ONNX Runtime, with what it rounds among its outputs."""

    def __init__(self, built: OnnxFile) -> None:
        self._keys = list(built.roundings)
        self._names = list(dict.fromkeys(built.roundings.values()))
        self._of_keys = [self._names.index(built.roundings[key]) for key in self._keys]
        model = type(built.model)()
        model.CopyFrom(built.model)
        for name in self._names:
            model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
        self._output = model.graph.output[0].name
        first = model.graph.input[0].type.tensor_type.shape.dim[0]
        self.is_static = first.dim_value > 0
        self.size: int = first.dim_value if self.is_static else SAMPLES_AT_A_TIME
        self._session = onnx_session(model.SerializeToString())

    def run(self, batch: Sequence[Tensor]) -> tuple[NDArray[np.float32], Given]:
        """Outputs of some samples, and what was rounded on the way."""
        names = [described.name for described in self._session.get_inputs()]
        feed = {name: each.contiguous().numpy() for name, each in zip(names, batch, strict=True)}
        outputs, *rounded = self._session.run([self._output, *self._names], feed)
        found = {key: torch.from_numpy(rounded[p]) for key, p in zip(self._keys, self._of_keys, strict=True)}
        return outputs, found


class _Following(RoundingInterpreter):
    """Our evaluation, which goes on at every rounding with what the runtime rounded there."""

    def __init__(self, module: fx.GraphModule, plan: Plan, program: Program) -> None:
        super().__init__(module, plan, program)
        self.given: Mapping[tuple[str, NumberFormat], Tensor] = {}
        self.rounded = self.differing = self.unexplained = 0
        self._seen: set[tuple[str, NumberFormat]] = set()

    def outputs(self, *inputs: Tensor) -> Tensor:
        """Run one batch."""
        self._seen.clear()
        return super().outputs(*inputs)

    def run_node(self, n: fx.Node) -> Any:
        """Run a node; where it writes an edge, go on with what the runtime wrote."""
        if "edge" not in n.meta:
            return super().run_node(n)
        value = self._run(n)
        return self.read(n, value, self._plan.layer(n.meta["edge"]).output)

    def read(self, source: fx.Node, value: Any, number_format: NumberFormat) -> Any:
        """Compare our rounding of a value with the runtime's, which takes its place."""
        rounded = super().read(source, value, number_format)
        key = (source.name, number_format)
        theirs = self.given.get(key)
        if theirs is None or theirs.shape != rounded.shape:
            return rounded
        if key not in self._seen:
            self._seen.add(key)
            self._count(value, rounded, theirs, number_format)
        return theirs

    def _count(self, value: Tensor, ours: Tensor, theirs: Tensor, number_format: NumberFormat) -> None:
        self.rounded += ours.numel()
        differs = ours != theirs
        if not differs.any():
            return
        middle = (ours.double() + theirs.double()) / 2
        near = (value.double() - middle).abs() <= CLOSE * float(value.abs().max())
        between = quantize(middle.float(), number_format)
        near &= (between == ours) | (between == theirs)  # no third step lies between the two
        self.differing += int(differs.sum())
        self.unexplained += int((differs & ~near).sum())
