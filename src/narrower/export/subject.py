"""What is exported and how, and what an exporter hands back."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from narrower.data.datasets import DataSet
from narrower.errors import ExportError
from narrower.export.check import Check, Mode
from narrower.export.pipelined import NO_CLOCK, Clock
from narrower.export.rounding import Packing
from narrower.export.ties import Ties
from narrower.graph.program import Program
from narrower.plan.plan import Plan
from narrower.tasks.classification.task import CLASSIFICATION


@dataclass(frozen=True)
class Subject:
    """What is exported: a trained model with a plan for it, and data of the kind it was made for.

    Widths in the plan are those that the model has already.
    """

    model: nn.Module
    model_name: str
    plan: Plan
    data: DataSet
    trial: int | None = None


@dataclass(frozen=True, slots=True)
class Wishes:
    """How it is exported.

    ``samples`` None: 10,000 for small networks, 1,000 for others. ``batch_size`` None: open in ONNX, 1 in
    QONNX. ``packing``: "speed" keeps weights in whole bytes, for which ONNX Runtime has kernels and C no bits
    to take apart. None: "speed" in ONNX, "size" in C. Unless ``keeps_integers``, a plan with edges in bytes
    is written to ONNX in float32 where it would be slower. ``clock`` of Verilog. ``reader`` of QONNX:
    hls4ml, finn, or none that is known.
    """

    samples: int | None = None
    batch_size: int | None = None
    packing: Packing | None = None
    allow_mismatch: bool = False
    keeps_integers: bool = False
    clock: Clock = NO_CLOCK
    reader: str = ""


@dataclass(frozen=True)
class Case:
    """A subject ready for export: its lowered program, and arguments with the outputs they must give."""

    subject: Subject
    program: Program
    wishes: Wishes
    arguments: tuple[Tensor, ...]
    own_samples: int
    outputs: NDArray[np.float32]

    @property
    def mode(self) -> Mode:
        """What must be equal where operators remain that runtimes round differently."""
        return "class" if self.subject.data.task == CLASSIFICATION else "close"

    def only_input(self, what: str) -> Tensor:
        """The one input of what is written as ``what``.

        Raises:
            ExportError: there are several.
        """
        if len(self.arguments) > 1:
            raise ExportError(
                f"{what} is written for networks with one input; this one has {len(self.arguments)}: allowed "
                "are onnx and safetensors"
            )
        return self.arguments[0]


@dataclass(frozen=True, slots=True)
class Delivery:
    """What an exporter wrote and measured."""

    path: Path
    checks: tuple[Check, ...]
    batch_size: int | None = None
    notes: tuple[str, ...] = ()
    is_exact: bool | None = None  # None: as the plan's operators are
    inexact: tuple[str, ...] = ()  # what this artefact rounds otherwise
    ties: Ties | None = None  # looked for where outputs are not as they must be
    written: Plan | None = None  # None: the plan of the subject
