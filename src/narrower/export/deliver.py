"""Write an artefact, run it, compare it with our own evaluation, and say so beside it."""

from collections.abc import Callable
from pathlib import Path

import torch

from narrower.cost.network_cost import NetworkCost
from narrower.data.datasets import DataSet
from narrower.errors import ExportError, unknown_name
from narrower.evaluate.batch_size import fitting_batch_size
from narrower.export.check import compare
from narrower.export.compressed import load_compressed, save_packed
from narrower.export.deliver_logic import deliver_logic
from narrower.export.deliver_onnx import deliver_onnx, deliver_qonnx
from narrower.export.exactness import inexact_operators
from narrower.export.gate_samples import LEAST, affordable_count, gate_samples
from narrower.export.manifest import Manifest
from narrower.export.own_outputs import own_outputs
from narrower.export.subject import Case, Delivery, Subject, Wishes
from narrower.graph.lower import lower
from narrower.graph.trace import trace
from narrower.plan.plan import plan_to_dict
from narrower.store.files import check_output_directory, explaining, write_json
from narrower.tasks.classification.task import CLASSIFICATION


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
    if wishes.reader and kind != "qonnx":
        raise ExportError(f"--for {wishes.reader} is for QONNX: --to qonnx")
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
        mode="exact" if is_exact else case.mode,
        inexact=() if is_exact else inexact,
        checks=delivery.checks,
        samples_of_data_set=min(case.own_samples, delivery.checks[0].samples),
        bytes_on_disk=_bytes_on_disk(delivery.path),
        computed_bytes=NetworkCost(case.program.network).of(written.formats)["model_size"],
        notes=(
            *_said_of_outputs(subject.data),
            *delivery.notes,
            *(() if delivery.ties is None else (delivery.ties.note,)),
        ),
        output_names=subject.data.output_names,
        words=subject.data.task.words,
        prepared=subject.data.prepared,
        ties=delivery.ties,
    )
    write_json(directory / f"{delivery.path.name}.manifest.json", manifest.to_dict())
    if not wishes.allow_mismatch:
        manifest.require_passed()
    return manifest


def _said_of_outputs(data: DataSet) -> tuple[str, ...]:
    return () if data.prepared is None else data.prepared.said_of_outputs(data.output_names)


def _prepare(subject: Subject, wishes: Wishes) -> Case:
    program = lower(trace(subject.model, subject.data.examples, subject.model_name))
    count = affordable_count(program.network) if wishes.samples is None else wishes.samples
    if count < LEAST:
        raise ExportError(f"an artefact is compared on at least {LEAST:,} samples, not {count:,}")
    arguments, own = gate_samples(subject.data, count)
    outputs = own_outputs(program, subject.plan.formats, arguments)
    return Case(subject, program, wishes, arguments, own, outputs)


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


def _c(case: Case, directory: Path) -> Delivery:
    from narrower.export.device.deliver import deliver_c
    from narrower.export.device.prepared_lines import Described

    target, samples = directory / "c", case.only_input("C")
    check_output_directory(target)
    subject = case.subject
    with explaining(target):
        checks, notes = deliver_c(
            case.program,
            subject.plan.formats,
            subject.model_name,
            case.wishes.packing or "size",
            Described(subject.data.output_names, subject.data.prepared),
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
    "onnx": deliver_onnx,
    "qonnx": deliver_qonnx,
    "safetensors": _safetensors,
    "verilog": deliver_logic,
    "c": _c,
}
