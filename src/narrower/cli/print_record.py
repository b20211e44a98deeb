"""How the record of a search is printed: its front as a table, then what there is to say of it."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import mean, stdev
from typing import Any

from narrower.cli.console import number_text, print_table, tell
from narrower.errors import RunError
from narrower.report import finetuned as finetuned_report
from narrower.report.edges import COLUMNS, edge_rows
from narrower.report.findings import read_findings
from narrower.report.finetuned import FinetunedRecord, read_finetuned
from narrower.report.plan_text import short_plan
from narrower.report.record import Member, RunRecord, Summary
from narrower.searching.objective import ARTEFACT_METRICS
from narrower.store.run_directory import RunDirectory
from narrower.tasks.task import LOSS

CERTAINTY = {True: "certain", False: "possible", None: None}
MOST_STACKED = 8  # layers of a plan that are listed one below the other
MOST_NAMED = 3  # layers that are listed one by one


def print_record(record: RunRecord, run: RunDirectory) -> None:
    """Print the result table and the summary."""
    metric = record.metric.name
    print_table(
        (
            "number",
            "software_metrics",
            "hardware_metrics",
            "scaled_metrics",
            f"{metric}, 95 %",
            f"test {metric}, 95 %",
            *(f"{part}{name}, 95 %" for name in record.with_intervals for part in ("", "test ")),
            *(("trained alone",) if _was_made_again(record) else ()),
            *((f"{metric} of seeds",) if _has_seeds(record) else ()),
            "member",
            "plan",
        ),
        [_row(record, member) for member in record.members],
        title=f"front of {record.model} on {record.data_set}: {_plans(len(record.members))}",
        narrow=(
            ("number", "software_metrics", "hardware_metrics", "scaled_metrics", "plan"),
            [_stacked_row(record, member) for member in record.members],
        ),
    )
    _print_edges(run)
    for line in (*summary_lines(record, run), *mixing_lines(run), *artefact_lines(record)):
        tell(line)
    if (finetuned := read_finetuned(run)) is not None:
        print_finetuned(finetuned)
    tell(f"everything: {run.path}/")


def _print_edges(run: RunDirectory) -> None:
    """The edges of the plan to take; nothing where it rounds none, or trials cannot be read."""
    try:
        chosen = read_findings(run).advice.chosen
    except RunError:
        return
    if chosen is not None and chosen.edges:
        title = f"edges of trial {chosen.number:,}, the plan that 'narrower report' says to take"
        print_table(COLUMNS, edge_rows(chosen), title=title)


def print_finetuned(record: FinetunedRecord) -> None:
    """The front before and after training in number formats, side by side."""
    print_table(
        finetuned_report.columns(record),
        finetuned_report.rows(record, short_plan),
        title=f"before and after training in number formats: {_plans(len(record.front))} on the front now",
    )
    for line in finetuned_report.summary_lines(record):
        tell(line)


def _plans(number: int) -> str:
    return "1 plan" if number == 1 else f"{number:,} plans"


def mixing_lines(run: RunDirectory) -> list[str]:
    """By how much mixing formats pays; nothing where the trials cannot be read or do not tell."""
    try:
        sentence = read_findings(run).mixing
    except RunError:
        return []
    return [] if sentence is None else [sentence]


def summary_lines(record: RunRecord, run: RunDirectory) -> list[str]:
    """How the search went, in sentences."""
    summary = record.summary
    floats, metric = record.float32, record.metric.name
    lines = [
        f"{record.sampler}: {summary.completeness} plans in {summary.seconds:.1f} s, "
        f"scored on {record.samples:,} samples of the {record.part} part",
        f"float32: {metric} {number_text(record.float32_value)}, "
        f"test {metric} {number_text(record.float32_test_value)}, "
        f"bitops {floats['bitops']:,.0f}, {floats['model_size']:,.0f} bytes",
    ]
    if record.loss not in (None, record.described_task.loss_name):
        lines.append(f"loss: {record.loss}")
    if summary.note is not None:
        lines.append(f"{record.sampler}: {summary.note}")
    if summary.training is not None:
        lines.append(f"weights of candidates: {summary.training}")
        if not has_own_weights(record):
            lines.append("the front's members have no weights: the search was stopped before")
    if summary.stopped in ("timeout", "interrupted"):
        lines.append(f"stopped early: {summary.stopped}; go on with narrower search --resume {run.path}")
    if summary.loss_rank_correlation is not None:
        lines.append(
            f"rank correlation of loss and {metric}: {summary.loss_rank_correlation:.3f} "
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
    return lines + _left_out(summary)


def _left_out(summary: Summary) -> list[str]:
    """What has no result, and why."""
    lines = [f"cut before evaluation: {count:,} plans, {reason}" for reason, count in summary.cut.items()]
    if summary.dominated:
        lines.append(
            f"dropped early: {summary.dominated:,} plans that could no longer reach the front; "
            f"{summary.saved_share:.0%} of the evaluation saved"
        )
    if summary.lost_workers:
        lines.append(
            f"worker processes that ended early and were replaced: {summary.lost_workers:,}; their share was "
            "scored again (often memory is short: try fewer --jobs)"
        )
    if summary.failed:
        lines.append(f"failed: {summary.failed:,} trials; the first: {summary.first_failure}")
    return lines


def artefact_lines(record: RunRecord) -> list[str]:
    """What was measured on the artefacts of the front's members, as far as it needs saying."""
    lines: list[str] = []
    latencies = [member.latency for member in record.members if member.latency is not None]
    if latencies:
        ratios, first = [latency["ratio"] for latency in latencies], latencies[0]
        lines.append(
            f"latency: ONNX Runtime, batch size {first['batch_size']}, threads {first['threads']}; "
            f"{min(ratios):.2f} to {max(ratios):.2f} times float32 in the same minutes"
        )
    if without := without_kernel([kernel for latency in latencies for kernel in latency["kernels"]]):
        lines.append(f"no integer kernel, computed in float32: {without}")
    for member in record.members:
        lines += [f"trial {member.number}: no {name}: {why}" for name, why in member.unmeasured.items()]
    return lines


def without_kernel(kernels: Iterable[Mapping[str, Any]]) -> str:
    """Widths without an integer kernel in ONNX Runtime, and their layers; empty where there are none."""
    layers: dict[str, list[str]] = {}
    for kernel in kernels:
        if kernel["kernel"] is None:
            layers.setdefault(f"{kernel['data_bits']} x {kernel['weight_bits']} bits", []).append(
                kernel["layer"]
            )
    return "; ".join(f"{widths} in {_listed(names)}" for widths, names in sorted(layers.items()))


def _listed(names: Sequence[str]) -> str:
    different = sorted(set(names))
    return ", ".join(different) if len(different) <= MOST_NAMED else f"{len(different)} layers"


def _row(record: RunRecord, member: Member) -> tuple[object, ...]:
    return (
        member.number,
        str(_rounded(member.metrics, _software(record))),
        str(_rounded(member.metrics, _hardware(record))),
        str(_rounded(member.scaled, member.scaled)),
        _interval(member.interval),
        None
        if member.test_value is None or member.test_interval is None
        else f"{number_text(member.test_value)} ({_interval(member.test_interval)})",
        *(cell for name in record.with_intervals for cell in _others(member, name)),
        *((_alone(member),) if _was_made_again(record) else ()),
        *((_of_seeds(member),) if _has_seeds(record) else ()),
        CERTAINTY[member.certain],
        short_plan(member.plan),
    )


def _stacked_row(record: RunRecord, member: Member) -> tuple[str, ...]:
    """The same in fewer columns: one metric, or one layer, in a line."""
    software = [
        f"{record.metric.name} {number_text(record.value(member))}",
        f" {_interval(member.interval)}",
    ]
    if member.test_value is not None and member.test_interval is not None:
        software += [f"test {number_text(member.test_value)}", f" {_interval(member.test_interval)}"]
    for name in record.with_intervals:
        software += [*_lines(member.metrics, [name]), f" {_interval(member.intervals.get(name))}"]
        if name in member.on_test:
            software.append(f"test {number_text(member.on_test[name])}")
            software.append(f" {_interval(member.on_test_intervals.get(name))}")
    if (alone := _alone(member)) is not None:
        software.append(f"alone {alone}")
    if (seeds := _of_seeds(member)) is not None:
        software.append(f"seeds {seeds}")
    shown = (record.metric.name, *record.with_intervals)
    layers = short_plan(member.plan).replace("; ", "\n" if len(member.plan) <= MOST_STACKED else "; ")
    certainty = CERTAINTY[member.certain]
    return (
        f"{member.number:,}",
        "\n".join(
            [*software, *_lines(member.metrics, [name for name in _software(record) if name not in shown])]
        ),
        "\n".join(_lines(member.metrics, _hardware(record))),
        "\n".join(_lines(member.scaled, member.scaled)),
        layers if certainty is None else f"{layers}\nmember: {certainty}",
    )


def _others(member: Member, name: str) -> tuple[str, str]:
    """A searched metric of the samples with its interval, and the same on the test part."""
    value = member.on_test.get(name)
    on_test = (
        "–" if value is None else f"{number_text(value)} ({_interval(member.on_test_intervals.get(name))})"
    )
    return _interval(member.intervals.get(name)), on_test


def _software(record: RunRecord) -> list[str]:
    """The metrics of the samples, the loss first."""
    names = [metric.name for metric in record.described_task.metrics]
    measured = [name for member in record.members for name in (*member.intervals, *member.on_test_intervals)]
    return sorted(dict.fromkeys([*names, *measured]), key=lambda name: name != LOSS)


def _hardware(record: RunRecord) -> list[str]:
    """The objectives that are not measured on the samples, and what is told of every run."""
    named = [objective["metric"] for objective in record.objectives]
    every = dict.fromkeys([*named, "average_bitwidth", "memory_density", *ARTEFACT_METRICS])
    return [name for name in every if name not in _software(record)]


def has_own_weights(record: RunRecord) -> bool:
    """Whether any member has weights of its own."""
    return any(member.weights is not None for member in record.members)


def _was_made_again(record: RunRecord) -> bool:
    """Whether any member was trained again, apart from all others."""
    return any(member.alone_value is not None for member in record.members)


def _has_seeds(record: RunRecord) -> bool:
    """Whether members were trained with several seeds."""
    return any(member.seed_values for member in record.members)


def _of_seeds(member: Member) -> str | None:
    values = member.seed_values
    return f"{number_text(mean(values))} ± {number_text(stdev(values))}" if len(values) > 1 else None


def _alone(member: Member) -> str | None:
    if member.alone_value is None:
        return None
    spread = "" if member.alone_spread is None else f" ± {number_text(member.alone_spread)}"
    return f"{number_text(member.alone_value)}{spread}"


def _rounded(values: Mapping[str, float], names: Iterable[str]) -> dict[str, float]:
    """Some of the metrics: whole numbers as they are, others with four significant digits."""
    some = {name: values[name] for name in names if name in values}
    return {name: value if value % 1 == 0 else float(f"{value:.4g}") for name, value in some.items()}


def _lines(values: Mapping[str, float], names: Iterable[str]) -> list[str]:
    return [f"{name} {value:,.12g}" for name, value in _rounded(values, names).items()]


def _interval(bounds: tuple[float, float] | None) -> str:
    if bounds is None:
        return "–"
    return f"{number_text(bounds[0])}{' to ' if bounds[0] < 0 else '–'}{number_text(bounds[1])}"
