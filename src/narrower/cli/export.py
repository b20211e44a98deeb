"""``narrower export``: one plan of a run as an artefact that runs elsewhere."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from narrower.cli.console import answer, note, print_json
from narrower.cli.numbers import MOST
from narrower.errors import RunError, SettingsError
from narrower.plan.plan import plan_from_dict, plan_to_dict
from narrower.report.finetuned import read_finetuned
from narrower.report.whole_run import read_whole_run
from narrower.store.files import check_output_directory
from narrower.store.run_directory import RunDirectory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from narrower.export.deliver import Subject
    from narrower.export.manifest import Check, Manifest

LEARNED = "learned.json"

Run = Annotated[Path, typer.Argument(help="Directory of a run.")]
TrialNumber = Annotated[
    int, typer.Option("--trial", min=0, max=MOST, help="Number of a trial, as 'narrower show' has.")
]
Kind = Annotated[str, typer.Option("--to", help="onnx, qonnx, safetensors or verilog.")]
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
Json = Annotated[bool, typer.Option("--json", help="Print the manifest.")]


def export(
    run: Run,
    trial: TrialNumber,
    to: Kind = "onnx",
    output: Output = None,
    allow_mismatch: Mismatch = False,
    batch_size: BatchSize = None,
    samples: Samples = None,
    small: Small = False,
    as_json: Json = False,
) -> None:
    """Export a trial of RUN, run the artefact and compare it with what the search scored.

    The comparison is written beside the artefact. A mismatch is an error.
    """
    directory, target = RunDirectory(run), output or run / "exports" / f"trial-{trial}"
    check_output_directory(target)
    from narrower.export.deliver import Wishes, export_plan

    wishes = Wishes(samples, batch_size, "size" if small else "speed", allow_mismatch)
    if (run / LEARNED).is_file():
        from narrower.study.learned_artefact import export_member

        manifest = export_member(run, trial, to, target, wishes)
    else:
        (subject,) = run_subjects(directory, [trial])
        manifest = export_plan(subject, to, target, wishes)
    if as_json:
        print_json(manifest.to_dict())
    else:
        _print_manifest(manifest)


def run_subjects(run: RunDirectory, numbers: "Sequence[int] | None" = None) -> "list[Subject]":
    """Plans of a run with its model, weights and data; None: its whole front.

    Raises:
        RunError: there is no such trial, or its weights were not kept.
    """
    record = read_whole_run(run, note)
    wanted = [member.number for member in record.members] if numbers is None else list(numbers)
    from narrower.export.compressed import load_parts
    from narrower.export.deliver import Subject
    from narrower.searching.recorded_space import recorded_space
    from narrower.settings.load import load_settings
    from narrower.store.trials import TrialStore
    from narrower.study.pose import pose
    from narrower.study.problem import given_weights
    from narrower.study.run_facts import check_made_of

    try:
        settings = load_settings(run.settings).settings
    except SettingsError as error:
        raise RunError(
            f"{run.path}: a search from Python does not keep its model: export it with "
            f"narrower.export.deliver.export_plan ({error})"
        ) from error
    with TrialStore.open(run.trials, read_only=True) as store:
        facts, total = store.facts(), store.count()
        for number in wanted:
            if number >= total:
                raise RunError(f"{run.path}: no trial {number}; there are {total:,}, from 0 to {total - 1:,}")
        found = list(store.trials(wanted))
    problem = given_weights(pose(settings), run.weights)
    check_made_of(problem, run, facts)
    space = recorded_space(facts, run.trials)
    plans = {trial.number: plan_from_dict(space.plan(trial.plan_index)) for trial in found}
    if problem.shares_weights:
        tuned = read_finetuned(run)
        files = {m.number: run.path / m.weights for m in tuned.members if m.weights} if tuned else {}
        for number in sorted(files.keys() & set(wanted)):
            note(f"trial {number}: with the weights that it has after training in its formats")
        models = {n: load_parts(files[n], problem.model)[0] if n in files else problem.model for n in wanted}
        return [Subject(models[n], problem.model_name, plans[n], problem.data, n) for n in wanted]
    kept = {n: run.member(n) for n in wanted}
    for number, path in kept.items():
        if not path.is_file():
            raise RunError(
                f"{run.path}: trial {number} had weights of its own, and only those of the front's "
                "members are kept (narrower show lists them)"
            )
    subjects = []
    for number, path in kept.items():
        model, stored = load_parts(path, problem.model)
        if plan_to_dict(stored) != plan_to_dict(plans[number]):
            raise RunError(f"{path}: holds another plan than trial {number} of {run.trials.name}")
        subjects.append(Subject(model, problem.model_name, stored, problem.data, number))
    return subjects


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
