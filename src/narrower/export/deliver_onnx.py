"""Write a plan as ONNX or QONNX, run it, and compare it with our own outputs."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from narrower.export.check import compare
from narrower.export.edge_gate import edge_differences
from narrower.export.execute import run_onnx, run_qonnx
from narrower.export.guard import slowdown
from narrower.export.hls4ml_form import hls4ml_form
from narrower.export.onnx_metadata import add_metadata
from narrower.export.onnx_model import OnnxFile, build_onnx, to_onnx
from narrower.export.own_outputs import own_outputs
from narrower.export.pair_sums import note
from narrower.export.readers import check_reader
from narrower.export.subject import Case, Delivery
from narrower.export.ties import Ties, find_ties
from narrower.plan.plan import Plan
from narrower.store.files import write_bytes
from narrower.tasks.task import leading

HLS4ML_FILE = "model.hls4ml.onnx"


def deliver_onnx(case: Case, directory: Path) -> Delivery:
    """Write the plan in integer kernels, or in float32 where these would be slower, and run it twice."""
    path = directory / "model.onnx"
    size, plan = case.wishes.batch_size, case.subject.plan.formats
    built = build_onnx(case.program, plan, batch_size=size, packing=case.wishes.packing or "speed")
    if built.edges and not case.wishes.keeps_integers:
        times = slowdown(case.program, plan, case.arguments, size)
        if times is not None:
            return _float32_onnx(case, directory, times)
    add_metadata(built.model, case.subject.data)
    write_bytes(path, built.model.SerializeToString())
    outputs, plain = (run_onnx(path, case.arguments, optimised=optimised) for optimised in (True, False))
    checks = (
        compare(outputs, case.outputs, "ONNX Runtime", "default session options, one thread"),
        compare(plain, case.outputs, "ONNX Runtime", "graph optimisations off, one thread"),
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
    ties = None if checks[0].passed(case.mode) else _ties(case, built, outputs)
    return Delivery(path, checks, size, notes, inexact=built.inexact, ties=ties)


def _ties(case: Case, built: OnnxFile, outputs: NDArray[np.float32]) -> Ties | None:
    """Where outputs differ, whether ties do that, and what it does to the data set's metric."""
    found = find_ties(case.program, case.subject.plan.formats, built, case.arguments, outputs)
    if found is None:
        return None
    data, count = case.subject.data, case.own_samples
    targets = torch.cat([part.targets for part in (data.test, data.validation, data.train)])[:count]
    metric = leading(data.task)
    own, theirs = (
        metric.value(metric.sums(torch.from_numpy(each[:count]), targets), count)
        for each in (case.outputs, outputs)
    )
    return replace(found, metric=metric.name, own_value=own, value=theirs)


def _float32_onnx(case: Case, directory: Path, times: float) -> Delivery:
    """The network without roundings, where integer kernels take so many times as long."""
    path, size = directory / "model.onnx", case.wishes.batch_size
    model = to_onnx(case.program, Plan(), batch_size=size)
    add_metadata(model, case.subject.data)
    write_bytes(path, model.SerializeToString())
    outputs = own_outputs(case.program, Plan(), case.arguments)
    check = compare(run_onnx(path, case.arguments), outputs, "ONNX Runtime", "float32, one thread")
    said = (
        "written in float32, without the roundings of the plan: in integer kernels it would take "
        f"{times:.2f} times as long here at batch size {size or 1}; --keep-integers writes it all the same"
    )
    return Delivery(path, (check,), size, (said,), written=Plan())


def deliver_qonnx(case: Case, directory: Path) -> Delivery:
    """Write the roundings of the plan as QONNX has them, and run it node by node.

    For hls4ml the form that it takes is written beside it.
    """
    path, inputs = directory / "model.qonnx.onnx", case.only_input("QONNX")
    size, plan, reader = case.wishes.batch_size or 1, case.subject.plan.formats, case.wishes.reader
    if reader:
        check_reader(case.program, plan, reader)
    model = to_onnx(case.program, plan, dialect="qonnx", batch_size=size)
    notes: tuple[str, ...] = ()
    if reader == "hls4ml":
        formed = hls4ml_form(model)
        add_metadata(formed, case.subject.data)
        write_bytes(directory / HLS4ML_FILE, formed.SerializeToString())
        notes = (f"{HLS4ML_FILE} is what hls4ml.converters.convert_from_onnx_model takes",)
    elif reader == "finn":
        notes = ("FINN rounds ties upwards: where data are ties, it differs from what was scored",)
    add_metadata(model, case.subject.data)
    write_bytes(path, model.SerializeToString())
    check = compare(run_qonnx(path, inputs), case.outputs, "QONNX executor", "node by node")
    return Delivery(path, (check,), size, notes)
