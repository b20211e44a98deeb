"""What was found: the plan to take, the front, its widths by layer."""

from collections.abc import Iterator
from shlex import quote

from narrower.plan.plan import OUTPUT
from narrower.report.edges import edge_table
from narrower.report.figures import width_figures
from narrower.report.findings import Findings
from narrower.report.front_figure import front_figure
from narrower.report.further_metrics import further_table
from narrower.report.page import Fold, Section, Table
from narrower.report.plan_text import metric_name, objective_text, short_plan, with_interval
from narrower.report.record import Member
from narrower.searching.objective import Constraint
from narrower.tasks.task import test_name

MOST_LAYERS_IN_A_ROW = 6  # longer plans do not fit into a cell
CERTAINTY = {True: "certain", False: "possible", None: "–"}


def plan_section(findings: Findings) -> Section | None:
    """The plan to take, layer by layer."""
    chosen = findings.advice.chosen
    if chosen is None:
        return None
    run = quote(str(findings.run.path))
    return Section(
        f"The plan, trial {chosen.number:,}",
        (
            "Number formats by layer; layers that are not listed stay in float32. "
            "fixed(8,frac=4) is a signed fixed-point number of 8 bits, 4 of them behind the point.",
        ),
        tables=tuple(t for t in (_plan_table(findings, chosen), edge_table(chosen)) if t is not None),
        folds=(
            Fold(
                "Commands that deliver it",
                f"narrower export {run} --trial {chosen.number}\n"
                f"narrower show {run} --csv > front.csv\n"
                f"narrower pick {run} --knee",
            ),
        ),
    )


def _plan_table(findings: Findings, member: Member) -> Table:
    whole = findings.plan(member)
    tables = {
        layer: {key: text for key, text in table.items() if key != OUTPUT} for layer, table in whole.items()
    }
    plan = {layer: table for layer, table in tables.items() if table}
    aspects = [
        aspect
        for aspect in ("data", "weight", "bias", "width")
        if any(aspect in table for table in plan.values())
    ]
    return Table(
        ("layer", *aspects),
        tuple(
            (
                layer,
                *(
                    f"×{table.get('width', 1.0):g}"
                    if aspect == "width"
                    else str(table.get(aspect, "float32"))
                    for aspect in aspects
                ),
            )
            for layer, table in plan.items()
        ),
        (False,) * (1 + len(aspects)),
    )


def front_section(findings: Findings) -> Section:
    """The front as plots and as a table."""
    return Section(
        "The front",
        (" ".join(_front_notes(findings)), *_constraint_note(findings)),
        tuple(front_figure(findings, cost) for cost in findings.costs),
        tuple(
            t for t in (_front_table(findings), further_table(findings.record, findings.members[::-1])) if t
        ),
        () if _plans_fit(findings) else (_plans_fold(findings),),
    )


def _front_notes(findings: Findings) -> Iterator[str]:
    yield "Each blue point is a plan that no other plan beats."
    record, quality = findings.record, findings.quality
    if quality == record.metric.name or any(record.interval_of(m, quality) for m in findings.members):
        yield (
            f"Bars are 95 % intervals of the {metric_name(quality)} on the "
            f"{findings.record.samples:,} samples that the search scored on."
        )
    if findings.uniform:
        yield (
            "Orange squares give every layer the same widths: the distance from them to the front is what "
            "choosing layer by layer gains."
        )
        if findings.mixing is not None:
            yield f"{findings.mixing[0].upper()}{findings.mixing[1:]}."
    elif len(findings.table.space.slots) > 1:
        yield "No plan with the same widths in every layer was among the trials."
    yield "Point at a plan to see it: data/weight/bias bits for each layer."


def _plans_fit(findings: Findings) -> bool:
    return len(findings.table.space.slots) <= MOST_LAYERS_IN_A_ROW


def _plans_fold(findings: Findings) -> Fold:
    members = findings.members[::-1]
    lines = [f"trial {member.number:,}: {short_plan(findings.plan(member))}" for member in members]
    return Fold("Plans of the front: data/weight/bias bits", "\n".join(lines))


def _constraint_note(findings: Findings) -> tuple[str, ...]:
    bounds = [Constraint(**constraint) for constraint in findings.record.constraints or ()]
    if not bounds:
        return ()
    said = ", ".join(_bound(constraint) for constraint in bounds)
    left_out = int((~findings.table.admitted).sum())
    cut = sum(findings.record.summary.cut.values())
    return (
        f"Admitted were plans with {said}. {cut:,} plans were cut before they were evaluated, {left_out:,} "
        "trials turned out not to be admitted; neither are drawn.",
    )


def _bound(constraint: Constraint) -> str:
    bounds = []
    if constraint.minimum is not None:
        bounds.append(f"{metric_name(constraint.metric)} ≥ {constraint.minimum:g}")
    if constraint.maximum is not None:
        bounds.append(f"{metric_name(constraint.metric)} ≤ {constraint.maximum:g}")
    return ", ".join(bounds)


def _front_table(findings: Findings) -> Table:
    record = findings.record
    leading = record.metric.name
    names = [o["metric"] for o in record.objectives if o["metric"] != leading]
    members, known = findings.members[::-1], record.with_intervals
    chosen, with_plans = findings.advice.chosen, _plans_fit(findings)
    return Table(
        (
            "trial",
            f"{metric_name(leading)} (95 %)",
            "on the test part (95 %)",
            *(metric_name(name) + (" (95 %)" if name in known else "") for name in names),
            *(f"{metric_name(name)} on the test part (95 %)" for name in known),
            "member",
            *(["data/weight/bias bits"] if with_plans else []),
        ),
        tuple(
            (
                f"{member.number:,}",
                with_interval(leading, record.value(member), member.interval),
                with_interval(leading, member.test_value, member.test_interval),
                *(objective_text(name, member.metrics[name], member.intervals.get(name)) for name in names),
                *(
                    with_interval(name, member.on_test.get(name), member.on_test_intervals.get(name))
                    for name in known
                ),
                CERTAINTY[member.certain],
                *([short_plan(findings.plan(member))] if with_plans else []),
            )
            for member in members
        ),
        (True, True, True, *(True for _ in (*names, *known)), False, *([False] if with_plans else [])),
        frozenset(
            row for row, member in enumerate(members) if chosen is not None and member.number == chosen.number
        ),
        f"“certain”: better, at 95 % by {test_name(is_share=record.told_by_shares)}, than the plans that are "
        "better in all else; “possible”: chance alone may have put it here.",
    )


def widths_section(findings: Findings) -> Section | None:
    """Widths by layer and plan of the front."""
    figures = width_figures(findings)
    if not figures:
        return None
    return Section(
        "Widths by layer",
        (
            "One column for each plan of the front, from the worst to the best; darker (in "
            "the dark theme brighter) is wider. Layers that stay narrow in every column are those that need "
            "the fewest bits.",
        ),
        figures,
    )
