"""The page of a run: what was found, how sure it is, and how it was made."""

from pathlib import Path

from markupsafe import Markup

from narrower.report.candidates_section import candidates_section
from narrower.report.choices_section import importance_section, parallel_section
from narrower.report.findings import Findings
from narrower.report.finetuned_section import finetuned_section
from narrower.report.found_sections import front_section, plan_section, widths_section
from narrower.report.learned_section import learned_section
from narrower.report.network_picture import MOST_OPERATORS, network_picture
from narrower.report.page import Fold, Page, Section, Table, render_page
from narrower.report.plan_text import count, metric_name, metric_value
from narrower.report.record import RunRecord
from narrower.report.why_sections import hypervolume_section, layers_section, sensitivity_section
from narrower.store.files import write_text

HASHED = ("space", "model weights", "data set")


def write_report(findings: Findings, path: Path) -> None:
    """Write the page.

    Raises:
        OutputError: it cannot be written.
    """
    write_text(path, render_page(run_page(findings)))


def run_page(findings: Findings) -> Page:
    """The page as a value."""
    record, advice = findings.record, findings.advice
    return Page(
        title=f"{record.model} on {record.data_set}",
        subtitle=f"{findings.run.path.name}: {_wanted(record)}"
        + " and ".join(metric_name(o["metric"]) for o in record.objectives),
        headline=advice.headline,
        sentences=advice.sentences,
        facts=_facts(findings),
        sections=tuple(
            section
            for section in (
                plan_section(findings),
                front_section(findings),
                candidates_section(findings.run),
                finetuned_section(findings.run),
                *_choices(findings),
                parallel_section(findings),
                importance_section(findings),
                layers_section(findings),
                _network_section(findings),
                hypervolume_section(findings),
                _origin_section(findings),
            )
            if section is not None
        ),
        warnings=_warnings(findings),
        footer=f"Drawn from {findings.run.path} by narrower {_versions(findings).get('narrower', '')}. "
        "This file needs no network.",
    )


def _network_section(findings: Findings) -> Section | None:
    """The network under the plan to take."""
    chosen, operators = findings.advice.chosen, findings.record.network
    if chosen is None or not 0 < len(operators) <= MOST_OPERATORS:
        return None
    picture = network_picture(operators, findings.plan(chosen), f"The network of trial {chosen.number:,}")
    return Section(
        "The network",
        (
            f"Operators in the order of the data, under trial {chosen.number:,}: data/weight/bias bits of "
            "the layers that it quantizes; point at a box for its shape.",
        ),
        pictures=(Markup(picture),),
    )


def _choices(findings: Findings) -> tuple[Section | None, ...]:
    """What was chosen for the layers: by a training weight by weight, or by a search layer by layer."""
    learned = learned_section(findings)
    return (widths_section(findings), sensitivity_section(findings)) if learned is None else (learned,)


def _facts(findings: Findings) -> tuple[tuple[str, str], ...]:
    record = findings.record
    summary, leading = record.summary, record.metric.name
    return (
        ("plans tried", f"{summary.trials:,} of {count(summary.space_size)}"),
        ("on the front", f"{len(record.members):,}"),
        (f"{metric_name(leading)} in float32", metric_value(leading, record.float32_value)),
        ("scored on", f"{record.samples:,} {record.part} samples"),
        ("sampler", f"{record.sampler}, seed {record.seed}"),
        ("time", f"{summary.seconds:,.1f} s"),
    )


def _wanted(record: RunRecord) -> str:
    if record.sum_direction is None:
        return "the plans that no other plan beats on "
    return "the plan with the best scaled sum of "


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


def _origin_section(findings: Findings) -> Section:
    facts, record = findings.table.facts, findings.record
    environment = facts.get("environment")
    known = environment if isinstance(environment, dict) else {}
    rows = [
        ("seed", str(record.seed)),
        *((name, str(facts.get(name, "not recorded"))) for name in ("samples", "threads", "batch size")),
        ("began", str(known.get("created", "not recorded"))),
        ("git", str(known.get("git") or "not in a repository")),
        ("machine", str(known.get("platform", "not recorded"))),
        ("Python", str(known.get("python", "not recorded"))),
        *((name, version or "not installed") for name, version in _versions(findings).items()),
        *((f"SHA-256 of {name}", str(facts.get(name, "not recorded"))) for name in HASHED),
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
