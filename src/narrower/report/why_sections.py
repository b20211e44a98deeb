"""Why the front is what it is: what the quality depends on, what layers cost, how the front grew."""

from collections.abc import Mapping

from narrower.report.figures import hypervolume_figures, layer_figures, sensitivity_figure
from narrower.report.findings import Findings
from narrower.report.page import Section, Table
from narrower.report.plan_text import difference_text, metric_name, metric_value, percent


def sensitivity_section(findings: Findings) -> Section | None:
    """What the leading metric depends on."""
    figure = sensitivity_figure(findings)
    if figure is None:
        return None
    found, metric = findings.sensitivity, findings.record.metric
    name = metric_name(metric.name)
    if found.explained is None:
        how = (
            "Differences between plain means over the trials: these trials do not tell the choices apart, so "
            "that choices which were made together share their effects."
        )
    else:
        how = (
            "From a least-squares fit with one effect for each value of each choice over all trials; these "
            f"effects explain {percent(found.explained)} of the variance of the {name}, the rest is their "
            "interplay."
        )
    first = found.effects[0]
    lost = [-metric.sign * effect for effect in first.effects]
    worst = max(range(len(lost)), key=lost.__getitem__)
    lead = f"The {name} depends most on {first.feature.name}"
    if lost[worst] > 0:
        lead += (
            f": {first.labels[worst]} instead of {first.labels[-1]} costs "
            f"{difference_text(metric.name, lost[worst])} on average"
        )
    return Section(f"What the {name} depends on", (f"{lead}.", how), (figure,))


def layers_section(findings: Findings) -> Section:
    """What each layer costs, before and after."""
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
        (_layers_table(findings, bitops, sizes, is_shared),),
    )


def _layers_table(
    findings: Findings, bitops: Mapping[str, float], sizes: Mapping[str, float], is_shared: bool
) -> Table:
    record, chosen = findings.record, findings.advice.chosen
    return Table(
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
    )


def _cell(value: float | None) -> str:
    return "–" if value is None else f"{value:,.6g}" if value % 1 else f"{value:,.0f}"


def hypervolume_section(findings: Findings) -> Section | None:
    """How the front grew."""
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
            f"and the dearest plan), here relative to {last}. Trials needed for 95 % of it: "
            f"{curve.first_at(0.95):,}; for 99 %: {curve.first_at(0.99):,}.{order}",
        ),
        figures,
    )
