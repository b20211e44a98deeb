"""All that a report shows of a run, with the importance of its choices, which Optuna computes."""

from dataclasses import replace

from narrower.report.findings import Findings, read_findings
from narrower.searching.importance import ped_anova
from narrower.store.run_directory import RunDirectory


def reported(run: RunDirectory) -> Findings:
    """Read a run and say which choices tell its best plans from the others.

    Raises:
        RunError: there is none, or it cannot be read.
    """
    findings = read_findings(run)
    table, metric = findings.table, findings.record.metric
    rows = table.admitted & (table.metrics[metric.name] == table.metrics[metric.name])
    options = table.options[rows]
    levels = {
        feature.name: [feature.level_of[option] for option in options[:, feature.slot].tolist()]
        for feature in findings.features
    }
    values = table.metrics[metric.name][rows].tolist()
    shares = ped_anova(levels, values, is_larger_better=findings.is_larger_better(metric.name))
    return replace(findings, importance=tuple(shares.items()))
