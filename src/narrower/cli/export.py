"""``narrower export``: one plan of a run as an artefact that runs elsewhere."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from narrower.cli.complete import Run
from narrower.cli.console import answer, note, print_json
from narrower.cli.numbers import MOST
from narrower.errors import RunError
from narrower.store.files import check_output_directory
from narrower.store.run_directory import RunDirectory

if TYPE_CHECKING:
    from narrower.export.check import Check
    from narrower.export.manifest import Manifest

LEARNED = "learned.json"

TrialNumber = Annotated[
    int | None,
    typer.Option(
        "--trial",
        min=0,
        max=MOST,
        help="Number of a trial, as 'narrower show' has.",
        show_default="the plan that 'narrower report' says to take",
    ),
]
Kind = Annotated[str, typer.Option("--to", "--kind", help="onnx, qonnx, safetensors, verilog or c.")]
Output = Annotated[Path | None, typer.Option("--output", help="Directory; below the run unless given.")]
Mismatch = Annotated[
    bool, typer.Option("--allow-mismatch", help="Keep an artefact that differs, and record by how much.")
]
BatchSize = Annotated[
    int | None,
    typer.Option(
        "--batch-size", min=1, max=MOST, help="Fix the batch size (ONNX; QONNX has 1 unless given)."
    ),
]
Samples = Annotated[
    int | None,
    typer.Option("--samples", min=1000, max=MOST, help="Samples that the artefact is compared on."),
]
Small = Annotated[bool, typer.Option("--small", help="Pack weights of 4 bits and less two to a byte (ONNX).")]
Pack = Annotated[
    Literal["size", "speed"] | None,
    typer.Option(help="Weights at their widths, or in bytes (C: size unless given; ONNX: speed)."),
]
Integers = Annotated[
    bool,
    typer.Option("--keep-integers", help="Keep integer kernels (ONNX) where float32 would be faster here."),
]
Stages = Annotated[
    int,
    typer.Option(
        "--pipeline", min=0, max=MOST, help="Stages with registers between them (Verilog); 0: no clock."
    ),
]
ClockNs = Annotated[
    float,
    typer.Option("--clock-ns", min=0, help="Nanoseconds of a clock that says how many stages (Verilog)."),
]
Reader = Annotated[
    str,
    typer.Option("--for", help="Who reads QONNX: hls4ml or finn. What it cannot hold is refused by name."),
]
Json = Annotated[bool, typer.Option("--json", help="Print the manifest.")]


def export(
    run: Run,
    trial: TrialNumber = None,
    to: Kind = "onnx",
    output: Output = None,
    allow_mismatch: Mismatch = False,
    batch_size: BatchSize = None,
    samples: Samples = None,
    small: Small = False,
    keep_integers: Integers = False,
    pack: Pack = None,
    pipeline: Stages = 0,
    clock_ns: ClockNs = 0.0,
    reader: Reader = "",
    as_json: Json = False,
) -> None:
    """Export a trial of RUN, run the artefact and compare it with what the search scored.

    The comparison is written beside the artefact. A mismatch is an error.
    """
    directory = RunDirectory(run)
    if trial is None:
        trial = _advised(directory)
    target = output or run / "exports" / f"trial-{trial}"
    check_output_directory(target)
    from narrower.export.deliver import export_plan
    from narrower.export.pipelined import Clock
    from narrower.export.subject import Wishes

    packing, clock = "size" if small else pack, Clock(pipeline, clock_ns)
    wishes = Wishes(samples, batch_size, packing, allow_mismatch, keep_integers, clock, reader)
    if (run / LEARNED).is_file():
        from narrower.study.learned_artefact import export_member

        manifest = export_member(run, trial, to, target, wishes)
    else:
        from narrower.study.run_subjects import run_subjects

        (subject,) = run_subjects(directory, [trial], say=note)
        manifest = export_plan(subject, to, target, wishes)
    if as_json:
        print_json(manifest.to_dict())
    else:
        _print_manifest(manifest)


def _advised(run: RunDirectory) -> int:
    """The plan that a report says to take.

    Raises:
        RunError: the front is empty.
    """
    from narrower.report.findings import read_findings

    chosen = read_findings(run).advice.chosen
    if chosen is None:
        raise RunError(f"{run.path}: the front is empty; --trial names any other trial")
    note(f"trial {chosen.number}: the plan that 'narrower report' says to take")
    return chosen.number


def _print_manifest(manifest: "Manifest") -> None:
    answer(
        f"{manifest.artefact}: {manifest.bytes_on_disk:,} bytes on disk; its parameters take "
        f"{manifest.computed_bytes:,.0f} bytes (model_size)",
    )
    for check in manifest.checks:
        _print_check(check)
    what = {
        "exact": "every element must be equal",
        "class": "every class must be equal",
        "close": "every element must be equal up to rounding",
    }[manifest.mode]
    answer(f"{what}: {'passed' if manifest.passed else 'NOT passed, kept all the same'}")
    for line in (*manifest.inexact, *manifest.notes):
        answer(f"note: {line}")


def _print_check(check: "Check") -> None:
    answer(
        f"{check.runtime} ({check.conditions}), {check.samples:,} samples: "
        f"{check.differing_elements:,} of {check.elements:,} elements differ, by at most "
        f"{check.largest_difference:g}; {check.differing_classes:,} classes differ",
    )
