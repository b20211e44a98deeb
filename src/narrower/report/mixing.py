"""By how much plans that mix formats beat those with the same widths in every layer."""

from narrower.report.plan_text import metric_name, metric_value
from narrower.report.record import RunRecord
from narrower.report.trial_table import TrialTable
from narrower.report.uniform import UniformTrial
from narrower.searching.objective import is_quality


def mixing_sentence(record: RunRecord, table: TrialTable, uniform: tuple[UniformTrial, ...]) -> str | None:
    """What the front's cheapest plan costs that is as good as the best uniform plan, beside that plan.

    By the first objective that is a cost; None where there is none, or no uniform plan was tried.
    """
    cost = next((o for o in record.objectives if not is_quality(o["metric"])), None)
    name, sign = record.metric.name, record.metric.sign
    if cost is None or not uniform or not record.members or name not in table.metrics:
        return None
    metric, better = cost["metric"], 1 if cost["direction"] == "maximize" else -1
    quality, costs = sign * table.metrics[name], better * table.metrics[metric]
    best = max(uniform, key=lambda trial: (quality[trial.row], costs[trial.row]))
    as_good = [m for m in record.members if sign * record.value(m) >= quality[best.row]]
    if not as_good:
        return None
    rival = max(as_good, key=lambda member: better * member.metrics[metric])
    at = f"{metric_value(name, sign * quality[best.row])} at {_cost(metric, better * costs[best.row])}"
    who = f"the best of {len(uniform):,} plans with the same widths in every layer ({best.label}) has {at}"
    paid, least = better * float(costs[best.row]), rival.metrics[metric]
    if better * least <= better * paid:
        return f"mixing formats gains nothing: {who}, and no plan that was tried is as good for less"
    reached = metric_value(name, record.value(rival))
    share = f", {abs(1 - least / paid):.1%} {'more' if better > 0 else 'less'}" if paid else ""
    return (
        f"mixing formats pays: {who}; trial {rival.number:,} has {reached} at {_cost(metric, least)}{share}"
    )


def _cost(metric: str, value: float) -> str:
    return f"{metric_name(metric)} {metric_value(metric, float(value))}"
