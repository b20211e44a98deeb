"""``narrower show`` and ``narrower runs``: what was found."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated

import typer

from narrower.cli.console import messages, print_json, print_table
from narrower.plan import OPERANDS
from narrower.report.record import Member, RunRecord, read_record
from narrower.store.run_directory import RUNS, RunDirectory, list_runs

QUALITY = ("accuracy", "loss")
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def show(run: Annotated[Path, typer.Argument(help="Directory of a run.")], as_json: Json = False) -> None:
    """Print the front of a run."""
    directory = RunDirectory(run)
    record = read_record(directory)
    if as_json:
        print_json(record.to_dict())
    else:
        print_record(record, directory)


def runs(as_json: Json = False) -> None:
    """List the searches below runs/."""
    rows: list[tuple[str | None, ...]] = []
    for run in list_runs():
        if run.front.is_file():
            record = read_record(run)
            rows.append(
                (str(run.path), record.model, record.data_set, record.sampler, record.summary.completeness)
            )
        else:
            rows.append((str(run.path), None, None, None, "not ended: narrower search --resume"))
    columns = ("run", "model", "data set", "sampler", "trials")
    if as_json:
        print_json([dict(zip(columns, row, strict=True)) for row in rows])
    elif rows:
        print_table(columns, rows)
    else:
        messages().print(f"no runs below {RUNS}/", markup=False)


def print_record(record: RunRecord, run: RunDirectory) -> None:
    """Print the result table and the summary."""
    print_table(
        (
            "number",
            "software_metrics",
            "hardware_metrics",
            "scaled_metrics",
            "accuracy, 95 %",
            "test accuracy, 95 %",
            "member",
            "plan",
        ),
        [_row(record, member) for member in record.members],
        title=f"front of {record.model} on {record.data_set}: {len(record.members)} plans",
    )
    say = messages().print
    for line in (*summary_lines(record), f"everything: {run.path}/"):
        say(line, markup=False)


def summary_lines(record: RunRecord) -> list[str]:
    """How the search went, in sentences."""
    summary = record.summary
    floats = record.float32
    lines = [
        f"{record.sampler}: {summary.completeness} plans in {summary.seconds:.1f} s, "
        f"scored on {record.samples:,} samples of the {record.part} part",
        f"float32: accuracy {floats['accuracy']:.4f}, test accuracy {floats['test_accuracy']:.4f}, "
        f"bitops {floats['bitops']:,.0f}, {floats['model_size']:,.0f} bytes",
    ]
    if summary.stopped in ("timeout", "interrupted"):
        lines.append(f"stopped early: {summary.stopped}; go on with narrower search --resume")
    if summary.loss_accuracy_rank_correlation is not None:
        lines.append(
            f"rank correlation of loss and accuracy: {summary.loss_accuracy_rank_correlation:.3f} "
            f"(Spearman, {summary.correlation_plans} plans)"
        )
    if summary.replayed:
        lines.append(f"taken over from the run: {summary.replayed:,} trials")
    if summary.taken_over:
        lines.append(f"taken over from earlier runs: {summary.taken_over:,} results")
    if summary.repeated or summary.drawn:
        lines.append(
            f"proposals that repeated a plan: {summary.repeated:,}; "
            f"plans drawn in their place: {summary.drawn:,}"
        )
    lines += [f"cut before evaluation: {count:,} plans, {reason}" for reason, count in summary.cut.items()]
    if summary.failed:
        lines.append(f"failed: {summary.failed:,} trials; the first: {summary.first_failure}")
    return lines


def _row(record: RunRecord, member: Member) -> tuple[object, ...]:
    named = [objective["metric"] for objective in record.objectives]
    hardware = [*named, "average_bitwidth", "memory_density"]
    return (
        member.number,
        _metrics(member.metrics, ("loss", "accuracy")),
        _metrics(member.metrics, [name for name in dict.fromkeys(hardware) if name not in QUALITY]),
        _metrics(member.scaled, member.scaled),
        _interval(member.accuracy_interval),
        None
        if member.test_accuracy is None or member.test_interval is None
        else f"{member.test_accuracy:.4f} ({_interval(member.test_interval)})",
        {True: "certain", False: "possible", None: None}[member.certain],
        short_plan(member.plan),
    )


def _metrics(values: Mapping[str, float], names: Iterable[str]) -> str:
    """Some of the metrics, spelled as a Python dictionary with four significant digits."""
    return str({name: float(f"{values[name]:.4g}") for name in names if name in values})


def _interval(bounds: tuple[float, float]) -> str:
    return f"{bounds[0]:.4f}–{bounds[1]:.4f}"


def short_plan(plan: dict[str, dict[str, str | float]]) -> str:
    """A plan in one cell: layer, then data/weight/bias widths."""
    bits = {
        layer: "/".join(_bits(str(table.get(operand, "float32"))) for operand in OPERANDS)
        for layer, table in plan.items()
    }
    return "; ".join(f"{layer} {widths}" for layer, widths in bits.items())


def _bits(text: str) -> str:
    return text.partition("(")[2].partition(",")[0] or "32"
