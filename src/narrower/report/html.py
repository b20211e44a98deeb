"""The page of a run: what was found, how sure it is, and how it was made."""

from pathlib import Path

from narrower.report.figures import (
    hypervolume_figures,
    layer_figures,
    sensitivity_figure,
    width_figures,
)
from narrower.report.findings import Findings
from narrower.report.front_figure import front_figure
from narrower.report.page import Fold, Page, Section, Table, render_page
from narrower.report.plan_text import metric_name, metric_value, percent, points, short_plan
from narrower.report.record import Member
from narrower.store.run_directory import write_text

CERTAINTY = {True: "certain", False: "possible", None: "–"}


def write_report(findings: Findings, path: Path) -> None:
    """Write the page.

    Raises:
        RunError: it cannot be written.
    """
    write_text(path, render_page(run_page(findings)))


def run_page(findings: Findings) -> Page:
    """The page as a value."""
    record, advice = findings.record, findings.advice
    return Page(
        title=f"{record.model} on {record.data_set}",
        subtitle=f"{findings.run.path.name}: the plans that no other plan beats on "
        + " and ".join(metric_name(o["metric"]) for o in record.objectives),
        headline=advice.headline,
        sentences=advice.sentences,
        facts=_facts(findings),
        sections=tuple(
            section
            for section in (
                _plan_section(findings),
                _front_section(findings),
                _widths_section(findings),
                _sensitivity_section(findings),
                _layers_section(findings),
                _hypervolume_section(findings),
                _origin_section(findings),
            )
            if section is not None
        ),
        warnings=_warnings(findings),
        footer=f"Drawn from {findings.run.path} by narrower {_versions(findings).get('narrower', '')}. "
        "This file needs no network.",
    )


def _facts(findings: Findings) -> tuple[tuple[str, str], ...]:
    record = findings.record
    summary, floats = record.summary, record.float32
    return (
        ("plans tried", f"{summary.trials:,} of {summary.space_size:,}"),
        ("on the front", f"{len(record.members):,}"),
        ("accuracy in float32", percent(floats["accuracy"])),
        ("scored on", f"{record.samples:,} {record.part} samples"),
        ("sampler", f"{record.sampler}, seed {record.seed}"),
        ("time", f"{summary.seconds:,.1f} s"),
    )


def _warnings(findings: Findings) -> tuple[str, ...]:
    record = findings.record
    warnings = list(record.warnings)
    if record.constraints is None:
        warnings.append(
            "The run does not record its constraints (it was written by an earlier version): trials that were"
            " not admitted are drawn like all others, and count in the hypervolume."
        )
    if record.summary.stopped in ("timeout", "interrupted"):
        warnings.append(f"The search was stopped early ({record.summary.stopped}).")
    if record.summary.failed:
        warnings.append(f"{record.summary.failed:,} trials failed; the first: {record.summary.first_failure}")
    return tuple(warnings)


def _plan_section(findings: Findings) -> Section | None:
    chosen = findings.advice.chosen
    if chosen is None:
        return None
    run = findings.run.path
    return Section(
        f"The plan, trial {chosen.number:,}",
        (
            "Number formats by layer; layers that are not listed stay in float32. "
            "fixed(8,frac=4) is a signed fixed-point number of 8 bits, 4 of them behind the point.",
        ),
        tables=(_plan_table(findings, chosen),),
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
    plan = findings.plan(member)
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


def _front_section(findings: Findings) -> Section:
    return Section(
        "The front",
        (
            "Each blue point is a plan that no other plan beats; bars are 95 % intervals of the accuracy on "
            f"the {findings.record.samples:,} samples that the search scored on. Orange squares give every "
            "layer the same widths: the distance from them to the front is what choosing layer by layer "
            "gains. Point at a plan to see it: data/weight/bias bits for each layer.",
        ),
        tuple(front_figure(findings, cost) for cost in findings.costs),
        (_front_table(findings),),
    )


def _front_table(findings: Findings) -> Table:
    record = findings.record
    names = [o["metric"] for o in record.objectives if o["metric"] != "accuracy"]
    members = findings.members[::-1]
    chosen = findings.advice.chosen
    return Table(
        (
            "trial",
            "accuracy",
            "95 % interval",
            "on the test part",
            "95 % interval",
            *(metric_name(name) for name in names),
            "member",
            "data/weight/bias bits",
        ),
        tuple(
            (
                f"{member.number:,}",
                percent(member.metrics["accuracy"]),
                _range(member.accuracy_interval),
                "–" if member.test_accuracy is None else percent(member.test_accuracy),
                "–" if member.test_interval is None else _range(member.test_interval),
                *(metric_value(name, member.metrics[name]) for name in names),
                CERTAINTY[member.certain],
                short_plan(findings.plan(member)),
            )
            for member in members
        ),
        (True, True, True, True, True, *(True for _ in names), False, False),
        frozenset(
            row for row, member in enumerate(members) if chosen is not None and member.number == chosen.number
        ),
        "“certain”: more accurate, at 95 % by McNemar's test, than every plan that is better in all else; "
        "“possible”: chance alone may have put it here.",
    )


def _range(bounds: tuple[float, float]) -> str:
    return f"{100 * bounds[0]:.1f}–{100 * bounds[1]:.1f}"


def _widths_section(findings: Findings) -> Section | None:
    figures = width_figures(findings)
    if not figures:
        return None
    return Section(
        "Widths by layer",
        (
            "One column for each plan of the front, from the least accurate to the most accurate; darker (in "
            "the dark theme brighter) is wider. Layers that stay narrow in every column are those that need "
            "the fewest bits.",
        ),
        figures,
    )


def _sensitivity_section(findings: Findings) -> Section | None:
    figure = sensitivity_figure(findings)
    if figure is None:
        return None
    found = findings.sensitivity
    if found.explained is None:
        how = (
            "Differences between plain means over the trials: these trials do not tell the choices apart, so "
            "that choices which were made together share their effects."
        )
    else:
        how = (
            "From a least-squares fit with one effect for each value of each choice over all trials; these "
            f"effects explain {percent(found.explained)} of the variance of the accuracy, the rest is their "
            "interplay."
        )
    first = found.effects[0]
    worst = min(range(len(first.effects)), key=lambda level: first.effects[level])
    lead = f"The accuracy depends most on {first.feature.name}"
    if first.effects[worst] < 0:
        lead += (
            f": {first.labels[worst]} instead of {first.labels[-1]} costs "
            f"{points(-first.effects[worst])} on average"
        )
    return Section("What the accuracy depends on", (f"{lead}.", how), (figure,))


def _layers_section(findings: Findings) -> Section:
    record, chosen = findings.record, findings.advice.chosen
    if not record.layers:
        return Section("Costs by layer", ("The run does not record the costs of its layers.",))
    bitops = (chosen.layer_bitops if chosen is not None else None) or {}
    sizes = (chosen.layer_bytes if chosen is not None else None) or {}
    is_shared = sum(row.bytes for row in record.layers) != record.float32["model_size"]
    notes = ["Per sample. Layers without products have no bit operations."]
    if chosen is not None and not bitops:
        notes.append("The costs by layer of the plan to take are not recorded.")
    if is_shared:
        notes.append("Parameters that layers share are listed with each of them and counted once in the sum.")
    return Section(
        "Costs by layer",
        (" ".join(notes),),
        layer_figures(findings),
        (
            Table(
                (
                    "layer",
                    "kind",
                    "parameters",
                    "macs",
                    "flops",
                    "bitops, float32",
                    "planned",
                    "bytes, float32",
                    "planned",
                ),
                (
                    *(
                        (
                            row.layer,
                            row.kind,
                            f"{row.parameters:,}",
                            f"{row.macs:,}",
                            "not known" if row.flops is None else f"{row.flops:,}",
                            f"{row.bitops:,}",
                            _cell(bitops.get(row.layer)),
                            _cell(row.bytes),
                            _cell(sizes.get(row.layer)),
                        )
                        for row in record.layers
                    ),
                    (
                        "sum",
                        "",
                        f"{sum(row.parameters for row in record.layers):,}" if not is_shared else "",
                        _cell(record.float32["macs"]),
                        _cell(record.float32["flops"]),
                        _cell(record.float32["bitops"]),
                        _cell(chosen.metrics.get("bitops") if chosen else None),
                        _cell(record.float32["model_size"]),
                        _cell(chosen.metrics.get("model_size") if chosen else None),
                    ),
                ),
                (False, False, *(True,) * 7),
            ),
        ),
    )


def _cell(value: float | None) -> str:
    return "–" if value is None else f"{value:,.6g}" if value % 1 else f"{value:,.0f}"


def _hypervolume_section(findings: Findings) -> Section | None:
    curve = findings.curve
    figures = hypervolume_figures(findings)
    if curve is None or not figures:
        return None
    reference = ", ".join(
        f"{metric_name(name)} {metric_value(name, value)}" for name, value in findings.reference.items()
    )
    is_complete = findings.record.summary.exhausted
    last = "that of the exact front" if is_complete else "that of all trials of this run"
    order = (
        " Enumeration goes through the space in order: the curve shows the order, no skill of a sampler."
        if findings.record.sampler == "brute_force"
        else ""
    )
    return Section(
        "How the front grew",
        (
            f"The hypervolume is what the front dominates up to the reference point ({reference}: chance, "
            f"and the dearest plan), here relative to {last}. 95 % of it took {curve.first_at(0.95):,} "
            f"trials, 99 % took {curve.first_at(0.99):,}.{order}",
        ),
        figures,
    )


def _origin_section(findings: Findings) -> Section:
    facts, record = findings.table.facts, findings.record
    environment = facts.get("environment")
    known = environment if isinstance(environment, dict) else {}
    rows = [
        ("seed", str(record.seed)),
        ("samples", str(facts.get("samples", "not recorded"))),
        ("began", str(known.get("created", "not recorded"))),
        ("git", str(known.get("git") or "not in a repository")),
        ("machine", str(known.get("platform", "not recorded"))),
        ("Python", str(known.get("python", "not recorded"))),
        ("threads, batch size", f"{facts.get('threads')}, {facts.get('batch size')}"),
        *((name, version or "not installed") for name, version in _versions(findings).items()),
        *((f"SHA-256 of {name}", str(facts.get(name))) for name in ("space", "model weights", "data set")),
    ]
    settings = findings.run.settings
    return Section(
        "How it was made",
        tables=(Table(("what", "value"), tuple(rows), (False, False)),),
        folds=(Fold("Settings (settings.toml)", settings.read_text(encoding="utf-8")),)
        if settings.is_file()
        else (),
    )


def _versions(findings: Findings) -> dict[str, str]:
    environment = findings.table.facts.get("environment")
    return environment.get("versions", {}) if isinstance(environment, dict) else {}
