"""Which plan to take and why, in sentences that follow from the numbers."""

from collections.abc import Mapping
from dataclasses import dataclass

from narrower.errors import RunError
from narrower.report.pick import pick_drop, pick_knee
from narrower.report.plan_text import (
    count,
    difference_text,
    interval_text,
    is_share,
    metric_name,
    metric_value,
)
from narrower.report.record import Member, RunRecord
from narrower.report.trial_table import TrialTable
from narrower.report.uniform import UniformTrial
from narrower.searching.objective import is_quality
from narrower.tasks.intervals import share_interval
from narrower.tasks.task import test_name

DROP = 0.01  # what may be lost: one percentage point of a share, one percent of everything else
KNEE = (
    "of all plans on it, it gives away the least in all objectives together, each scaled to its range on it"
)


@dataclass(frozen=True, slots=True)
class Advice:
    """The plan to take, the knee of the front (None where there is no bend to speak of), and why."""

    headline: str
    sentences: tuple[str, ...]
    chosen: Member | None
    knee: Member | None


def advise(record: RunRecord, table: TrialTable, uniform: tuple[UniformTrial, ...]) -> Advice:
    """Advise the cheapest plan that is about as good as float32, failing that the best, and the knee."""
    if not record.members:
        return Advice(
            "No plan to take",
            ("No trial was admitted, so the front is empty.", _coverage(record)),
            None,
            None,
        )
    costs = _costs(record)
    knee = pick_knee(record).member if len(record.members) > 2 else None  # noqa: PLR2004 - two have no bend
    best = min(record.members, key=lambda member: record.lost(record.value(member)))
    if len(record.members) == 1 or not costs:
        chosen = record.members[0] if len(record.members) == 1 else knee or best
        reason = f"It is {_only(record, is_knee=chosen is knee)}."
    else:
        try:
            chosen, reason = pick_drop(record, DROP).member, _within(record, costs[0])
        except RunError:
            chosen = best
            lost = difference_text(record.metric.name, record.lost(record.value(best)))
            reason = f"No plan stays within {_near(record)}; this one, the best, loses {lost}."
    sentences = (
        f"{reason} {_achieves(record, chosen, costs)}",
        _knee_sentence(record, chosen, knee, costs),
        _uniform_sentence(record, chosen, table, uniform),
        _trust(record, chosen),
    )
    return Advice(
        f"Take trial {chosen.number:,}: {', '.join(_values((record.metric.name, *costs), chosen.metrics))}",
        tuple(sentence for sentence in sentences if sentence),
        chosen,
        knee,
    )


def _costs(record: RunRecord) -> tuple[str, ...]:
    """The objectives that are costs, in their order."""
    return tuple(o["metric"] for o in record.objectives if not is_quality(o["metric"]))


def _directions(record: RunRecord) -> dict[str, str]:
    return {o["metric"]: o["direction"] for o in record.objectives}


def _only(record: RunRecord, *, is_knee: bool) -> str:
    if record.sum_direction is not None:
        return "the plan with the best sum of the scaled objectives"
    if len(record.members) == 1:
        return "the only plan on the front: no other is better in any objective"
    return (
        f"the knee of the front: {KNEE}"
        if is_knee
        else f"the plan of the front with the best {metric_name(record.metric.name)}"
    )


def _within(record: RunRecord, cost: str) -> str:
    near = sum(record.lost(record.value(member)) <= record.allowed(DROP) for member in record.members)
    if near == 1:
        return f"It is the only plan of the front that stays within {_near(record)}."
    best = "largest" if _directions(record)[cost] == "maximize" else "smallest"
    return (
        f"Of the {near} plans of the front that stay within {_near(record)}, it has the {best} "
        f"{metric_name(cost)}."
    )


def _near(record: RunRecord) -> str:
    amount = "1 percentage point" if record.metric.is_share else "1 %"
    return f"{amount} of float32's {metric_name(record.metric.name)}"


def _achieves(record: RunRecord, member: Member, costs: tuple[str, ...]) -> str:
    """Quality and costs beside float32's."""
    name, floats = record.metric.name, record.float32_value
    text = (
        f"Its {metric_name(name)} is {metric_value(name, record.value(member))} (95 % interval "
        f"{interval_text(name, member.interval)}) against {metric_value(name, floats)}"
    )
    if record.metric.is_share:
        text += f" ({interval_text(name, share_interval(floats, record.samples))})"
    text += " in float32"
    for cost in costs:
        text += f", its {metric_name(cost)} {metric_value(cost, member.metrics[cost])}"
        if cost in record.float32:
            text += f" instead of {metric_value(cost, record.float32[cost])}"
            text += _ratio(record.float32[cost], member.metrics[cost])
    return f"{text}. {_on_test(record, member)}"


def _ratio(before: float, after: float) -> str:
    if before <= 0 or after <= 0 or before == after:
        return ""
    return f" ({before / after:.3g} times less)" if after < before else f" ({after / before:.3g} times more)"


def _on_test(record: RunRecord, member: Member) -> str:
    name = record.metric.name
    if member.test_value is None or member.test_interval is None:
        return (
            f"Its {metric_name(name)} on the test part is not known: the weights of trained candidates are "
            "not kept."
        )
    floats, allowed = record.float32_test_value, record.allowed(DROP)
    lost = record.metric.sign * (floats - member.test_value)
    text = (
        f"On the test part, on which no choice was made, it has {metric_value(name, member.test_value)} "
        f"({interval_text(name, member.test_interval)}) against {metric_value(name, floats)}"
    )
    if lost > allowed >= record.lost(record.value(member)):
        return (
            f"{text}: there it loses {difference_text(name, lost)}, more than "
            f"{'1 point' if is_share(name) else '1 %'}, for the best of many plans is also the luckiest."
        )
    return f"{text}."


def _knee_sentence(record: RunRecord, chosen: Member, knee: Member | None, costs: tuple[str, ...]) -> str:
    if knee is None or not costs:
        return ""
    if knee is chosen:
        return f"It is also the knee of the front: {KNEE}."
    name = record.metric.name
    less = record.value(chosen) - record.value(knee)
    difference = (
        f"{difference_text(name, abs(less))} {'less' if less > 0 else 'more'} than trial {chosen.number:,}"
    )
    return (
        f"Where that is too dear, consider the knee of the front, trial {knee.number:,}: "
        f"{_listed(costs, knee.metrics)} at {metric_value(name, record.value(knee))}, {difference}. "
        f"The knee: {KNEE}."
    )


def _uniform_sentence(
    record: RunRecord, chosen: Member, table: TrialTable, uniform: tuple[UniformTrial, ...]
) -> str:
    costs = _costs(record)
    if not costs or not uniform:
        return ""
    name, sign = record.metric.name, record.metric.sign
    quality, first = sign * table.metrics[name], table.metrics[costs[0]]
    as_good = [trial for trial in uniform if quality[trial.row] >= sign * record.value(chosen)]
    if as_good:
        cheapest = max if _directions(record)[costs[0]] == "maximize" else min
        rival = cheapest(as_good, key=lambda trial: first[trial.row])
    else:
        rival = max(uniform, key=lambda trial: quality[trial.row])
    if int(table.numbers[rival.row]) == chosen.number:
        return f"Trial {chosen.number:,} has the same widths in every layer ({rival.label})."
    dear = _listed(costs, {cost: float(table.metrics[cost][rival.row]) for cost in costs})
    reached = f"{metric_value(name, sign * quality[rival.row])} at {dear} ({rival.label})"
    lost = difference_text(name, abs(sign * record.value(chosen) - quality[rival.row]))
    if not as_good:
        return (
            "No plan with the same widths in every layer that was tried is as good: the best of "
            f"{len(uniform):,} has {reached}, {lost} {'less' if sign > 0 else 'more'}."
        )
    return f"Of the plans with the same widths in every layer, the cheapest that is as good has {reached}."


def _listed(costs: tuple[str, ...], metrics: Mapping[str, float]) -> str:
    return " and ".join(_values(costs, metrics))


def _values(names: tuple[str, ...], metrics: Mapping[str, float]) -> list[str]:
    return [f"{metric_name(name)} {metric_value(name, metrics[name])}" for name in names]


def _trust(record: RunRecord, chosen: Member) -> str:
    text = _coverage(record)
    if chosen.certain is False:
        text += (
            f" Chance alone may have put trial {chosen.number:,} on the front: it is not better, at 95 % "
            f"by {test_name(is_share=record.told_by_shares)}, than every cheaper plan."
        )
    if chosen.equals:
        others = "one other plan has" if chosen.equals == 1 else f"{chosen.equals:,} other plans have"
        text += f" In these objectives {others} the same values."
    return text


def _coverage(record: RunRecord) -> str:
    summary = record.summary
    samples = f"{record.samples:,} samples of the {record.part} part"
    if summary.exhausted:
        return (
            f"Every plan that space and constraints allow was tried: on these {samples} the front is exact."
        )
    return (
        f"Only {summary.trials:,} of {count(summary.space_size)} plans were tried (on {samples}): there may "
        f"be better ones.{'' if summary.note is None else f' By the sampler: {summary.note}.'}"
    )
