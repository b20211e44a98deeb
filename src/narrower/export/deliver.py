"""Write an artefact, run it, compare it with our own evaluation, and say so beside it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from narrower.cost.network_cost import NetworkCost
from narrower.data.arguments import Arguments, each_argument
from narrower.data.datasets import DataSet, Part
from narrower.errors import ExportError, unknown_name
from narrower.evaluate.batch_size import fitting_batch_size
from narrower.evaluate.evaluator import Evaluator
from narrower.export.chain_of_program import has_learned_widths, learned_chain
from narrower.export.compressed import load_compressed, save_packed
from narrower.export.edge_gate import edge_differences
from narrower.export.exactness import inexact_operators
from narrower.export.execute import run_onnx, run_qonnx
from narrower.export.gate_samples import LEAST, affordable_count, gate_samples
from narrower.export.guard import slowdown
from narrower.export.manifest import Check, Manifest, compare
from narrower.export.onnx_model import build_onnx, to_onnx
from narrower.export.pair_sums import note
from narrower.export.pipelined import NO_CLOCK, Clock
from narrower.export.rounding import Packing
from narrower.graph.lower import lower
from narrower.graph.program import Program
from narrower.graph.trace import trace
from narrower.plan.plan import Plan, plan_to_dict
from narrower.preparation.learning.deployed import LearnedChain
from narrower.preparation.learning.entering import entering
from narrower.store.files import check_output_directory, explaining, write_bytes, write_json
from narrower.tasks.classification.task import CLASSIFICATION

Kind = Literal["onnx", "qonnx", "safetensors", "verilog", "c"]


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
    is written to ONNX in float32 where it would be slower. ``clock`` of Verilog.
    """

    samples: int | None = None
    batch_size: int | None = None
    packing: Packing | None = None
    allow_mismatch: bool = False
    keeps_integers: bool = False
    clock: Clock = NO_CLOCK


@dataclass(frozen=True)
class Case:
    """A subject ready for export: its lowered program, and arguments with the outputs they must give."""

    subject: Subject
    program: Program
    wishes: Wishes
    arguments: tuple[Tensor, ...]
    own_samples: int
    outputs: NDArray[np.float32]

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
    written: Plan | None = None  # None: the plan of the subject


def export_plan(subject: Subject, kind: str, directory: Path, wishes: Wishes | None = None) -> Manifest:
    """Write the artefact and ``manifest.json`` into ``directory``, after running and comparing it.

    Raises:
        UnknownNameError: no such kind of artefact.
        ExportError: the plan cannot be expressed, or the artefact computes something else.
        OutputError: it cannot be written.
    """
    if kind not in EXPORTERS:
        raise unknown_name("kind of artefact", kind, EXPORTERS)
    check_output_directory(directory)
    wishes = wishes or Wishes()
    is_classification = subject.data.task == CLASSIFICATION
    if kind == "verilog" and not is_classification:
        raise ExportError(
            "logic gives as many digits of its outputs as classes need to be told apart; a "
            f"{subject.data.task.words.name} cannot be built in it"
        )
    case = _prepare(subject, wishes)
    delivery = EXPORTERS[kind](case, directory)
    written = subject.plan if delivery.written is None else delivery.written
    inexact = (*inexact_operators(case.program, written.formats), *delivery.inexact)
    is_exact = not inexact if delivery.is_exact is None else delivery.is_exact
    manifest = Manifest(
        artefact=str(delivery.path),
        kind=kind,
        model=subject.model_name,
        trial=subject.trial,
        plan=plan_to_dict(written),
        batch_size=delivery.batch_size,
        mode="exact" if is_exact else "class" if is_classification else "close",
        inexact=() if is_exact else inexact,
        checks=delivery.checks,
        samples_of_data_set=min(case.own_samples, delivery.checks[0].samples),
        bytes_on_disk=_bytes_on_disk(delivery.path),
        computed_bytes=NetworkCost(case.program.network).of(written.formats)["model_size"],
        notes=delivery.notes,
        output_names=subject.data.output_names,
        words=subject.data.task.words,
    )
    write_json(directory / f"{delivery.path.name}.manifest.json", manifest.to_dict())
    if not wishes.allow_mismatch:
        manifest.require_passed()
    return manifest


def _prepare(subject: Subject, wishes: Wishes) -> Case:
    program = lower(trace(subject.model, subject.data.examples, subject.model_name))
    count = affordable_count(program.network) if wishes.samples is None else wishes.samples
    if count < LEAST:
        raise ExportError(f"an artefact is compared on at least {LEAST:,} samples, not {count:,}")
    arguments, own = gate_samples(subject.data, count)
    outputs = own_outputs(program, subject.plan.formats, arguments)
    return Case(subject, program, wishes, arguments, own, outputs)


def own_outputs(program: Program, plan: Plan, inputs: Arguments) -> NDArray[np.float32]:
    """Our own evaluation of a plan, bit for bit what a search scores."""
    first, *more = each_argument(inputs)
    part = Part(first, torch.zeros(len(first), dtype=torch.long), tuple(more))
    evaluator = Evaluator(program, part, batch_size=fitting_batch_size(program, len(first)))
    outputs = evaluator.outputs(plan, inputs)
    return np.asarray(outputs.numpy())


def _onnx(case: Case, directory: Path) -> Delivery:
    path = directory / "model.onnx"
    size, plan = case.wishes.batch_size, case.subject.plan.formats
    built = build_onnx(case.program, plan, batch_size=size, packing=case.wishes.packing or "speed")
    if built.edges and not case.wishes.keeps_integers:
        times = slowdown(case.program, plan, case.arguments, size)
        if times is not None:
            return _float32_onnx(case, directory, times)
    write_bytes(path, built.model.SerializeToString())
    checks = tuple(
        compare(run_onnx(path, case.arguments, optimised=optimised), case.outputs, "ONNX Runtime", conditions)
        for optimised, conditions in (
            (True, "default session options, one thread"),
            (False, "graph optimisations off, one thread"),
        )
    )
    notes = note(built.saturating_matrices, built.saturating_convolutions)
    found = edge_differences(case.program, plan, case.arguments)
    if found is not None:
        notes = (*notes, found.note)
    if built.fine_biases:
        notes = (
            *notes,
            "in float32, because their biases have more fraction bits than data and weight together: "
            + ", ".join(built.fine_biases),
        )
    return Delivery(path, checks, size, notes, inexact=built.inexact)


def _float32_onnx(case: Case, directory: Path, times: float) -> Delivery:
    """The network without roundings, where integer kernels take so many times as long."""
    path, size = directory / "model.onnx", case.wishes.batch_size
    write_bytes(path, to_onnx(case.program, Plan(), batch_size=size).SerializeToString())
    outputs = own_outputs(case.program, Plan(), case.arguments)
    check = compare(run_onnx(path, case.arguments), outputs, "ONNX Runtime", "float32, one thread")
    said = (
        "written in float32, without the roundings of the plan: in integer kernels it would take "
        f"{times:.2f} times as long here at batch size {size or 1}; --keep-integers writes it all the same"
    )
    return Delivery(path, (check,), size, (said,), written=Plan())


def _qonnx(case: Case, directory: Path) -> Delivery:
    path, inputs = directory / "model.qonnx.onnx", case.only_input("QONNX")
    size = case.wishes.batch_size or 1
    model = to_onnx(case.program, case.subject.plan.formats, dialect="qonnx", batch_size=size)
    write_bytes(path, model.SerializeToString())
    check = compare(run_qonnx(path, inputs), case.outputs, "QONNX executor", "node by node")
    return Delivery(path, (check,), size)


def _safetensors(case: Case, directory: Path) -> Delivery:
    """The file is loaded back, and the module called at the batch size of our evaluation."""
    path = directory / "model.safetensors"
    subject = case.subject
    save_packed(subject.model, subject.model_name, subject.plan, path, subject.data.examples)
    module = load_compressed(path, subject.model)
    size = fitting_batch_size(case.program, len(case.outputs))
    batches = zip(*(torch.split(argument, size) for argument in case.arguments), strict=True)
    with torch.inference_mode():
        outputs = torch.cat([module(*batch) for batch in batches]).numpy()
    check = compare(outputs, case.outputs, "PyTorch", "loaded back")
    return Delivery(path, (check,), is_exact=True)


def _verilog(case: Case, directory: Path) -> Delivery:
    from narrower.export.verilog import deliver_verilog

    target, samples = directory / "verilog", case.only_input("Verilog")
    check_output_directory(target)
    learned = learned_chain(case.program, case.subject.plan.formats)
    if learned is not None or has_learned_widths(case.subject.plan):
        if case.wishes.clock != NO_CLOCK:
            raise ExportError("--pipeline, --clock-ns: learned networks are written as logic with no clock")
        with explaining(target):
            if learned is None:
                return _learned_program_verilog(case, samples, target)
            return _learned_verilog(case, learned, target)
    with explaining(target):
        path, checks, notes = deliver_verilog(
            case.program, case.subject.plan.formats, samples, case.outputs, target, case.wishes.clock
        )
    return Delivery(path, checks, None, notes, is_exact=True)


def _learned_program_verilog(case: Case, samples: Tensor, target: Path) -> Delivery:
    from narrower.export.learned_program_logic import ProgramLogic

    logic = ProgramLogic(case.program, case.subject.plan.formats)
    checks = logic.deliver(samples, case.outputs, target)
    notes = (
        f"{logic.luts:,.0f} look-up tables (da4ml)",
        f"inputs that have bits are whole numbers, each in steps of its own; the outputs are in steps of "
        f"2**-{logic.fraction}",
    )
    return Delivery(target, checks, None, notes, is_exact=True)


def _learned_verilog(case: Case, chain: LearnedChain, target: Path) -> Delivery:
    """Logic and whole numbers are compared, and these with our own outputs."""
    from narrower.export.learned_logic import deliver_learned_verilog, learned_luts

    inputs = entering(case.program, case.arguments).numpy()
    checks = deliver_learned_verilog(chain, inputs, target)
    whole, fraction = chain.whole_outputs(inputs)
    scores = np.ldexp(whole.astype(np.float64), -fraction).astype(np.float32)
    own = compare(scores, case.outputs, "whole numbers", "against our own scores")
    used = int((chain.layers[0].data_widths > 0).sum())
    notes = (
        f"{learned_luts(chain):,.0f} look-up tables (da4ml)",
        f"the {used} inputs are whole numbers, each in steps of its own; the outputs are in steps of "
        f"2**-{fraction}",
    )
    return Delivery(target, (*checks, own), None, notes, is_exact=True)


def _c(case: Case, directory: Path) -> Delivery:
    from narrower.export.device.deliver import deliver_c

    target, samples = directory / "c", case.only_input("C")
    check_output_directory(target)
    subject = case.subject
    with explaining(target):
        checks, notes = deliver_c(
            case.program,
            subject.plan.formats,
            subject.model_name,
            case.wishes.packing or "size",
            subject.data.output_names,
            samples,
            case.outputs,
            target,
        )
    return Delivery(target, checks, None, notes)


def _bytes_on_disk(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    written = (*(path / "src").rglob("*.v"), *path.glob("*.[ch]"))
    return sum(file.stat().st_size for file in written)


EXPORTERS: dict[str, Callable[[Case, Path], Delivery]] = {
    "onnx": _onnx,
    "qonnx": _qonnx,
    "safetensors": _safetensors,
    "verilog": _verilog,
    "c": _c,
}
