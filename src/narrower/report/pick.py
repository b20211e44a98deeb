"""Choose one plan of a front, and say why it is this one."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from narrower.errors import RunError, unknown_name
from narrower.report.record import Member, RunRecord
from narrower.searching.objective import is_quality


@dataclass(frozen=True, slots=True)
class Pick:
    """The chosen member and the reason in words."""

    member: Member
    why: str


def pick_within(record: RunRecord, limits: Mapping[str, float]) -> Pick:
    """The best member, in the leading metric, whose metrics are at most ``limits``.

    Raises:
        UnknownNameError: a metric that the run did not record.
        RunError: no member is within the limits.
    """
    members = _members(record)
    for metric in limits:
        if metric not in members[0].metrics:
            raise unknown_name("metric", metric, sorted(members[0].metrics))
    within = [m for m in members if all(m.metrics[name] <= limit for name, limit in limits.items())]
    said = " and ".join(f"{name} <= {limit:g}" for name, limit in limits.items())
    if not within:
        name = next(iter(limits))
        least = min(member.metrics[name] for member in members)
        raise RunError(f"no member of the front has {said}; the smallest {name} on it is {least:g}")
    best = min(within, key=lambda m: (record.lost(record.value(m)), m.number))
    of = f"{len(within)} of {len(members)} members with {said}" if limits else f"{len(members)} members"
    return Pick(best, f"the best {record.metric.name} of the {of}")


def pick_drop(record: RunRecord, drop: float) -> Pick:
    """The cheapest member that loses at most ``drop`` of float32's leading metric.

    0.01 is one percentage point of a share, and one percent of the value of everything else.

    Raises:
        RunError: every member loses more, or there is no cost among the objectives.
    """
    members, float32, name = _members(record), record.float32_value, record.metric.name
    cost, allowed = _cost(record), record.allowed(drop)
    within = [m for m in members if record.lost(record.value(m)) <= allowed]
    if not within:
        best = min((record.value(m) for m in members), key=record.lost)
        raise RunError(
            f"every member loses more than {allowed:g} of float32's {name} {float32:.4f}; "
            f"the best has {best:.4f}"
        )
    sign = -1 if cost["direction"] == "maximize" else 1
    cheapest = min(within, key=lambda m: (sign * m.metrics[cost["metric"]], m.number))
    lost = record.lost(record.value(cheapest))
    return Pick(
        cheapest,
        f"the {'largest' if sign < 0 else 'smallest'} {cost['metric']} of the {len(within)} "
        f"of {len(members)} members that lose at most {allowed:g} of float32's {name} "
        f"{float32:.4f}; it loses {lost:.4f}",
    )


def pick_knee(record: RunRecord) -> Pick:
    """The member that lies furthest beyond the line (or plane) through the extremes of the front.

    Every objective is scaled to 0 (best on the front) and 1 (worst on it); the sum of these is least at the
    knee (Das 1999, with the extremes as anchors).
    """
    members = _members(record)
    signs = [1 if o["direction"] == "minimize" else -1 for o in record.objectives]
    names = [o["metric"] for o in record.objectives]
    losses = np.array([[s * m.metrics[n] for s, n in zip(signs, names, strict=True)] for m in members])
    low, high = losses.min(axis=0), losses.max(axis=0)
    scaled = (losses - low) / np.where(high > low, high - low, 1.0)
    sums = scaled.sum(axis=1)
    index = int(sums.argmin())
    placed = ", ".join(f"{n} {v:.2f}" for n, v in zip(names, scaled[index], strict=True))
    return Pick(
        members[index],
        f"the knee: with each objective scaled to 0 (best on the front) and 1 (worst), its sum "
        f"{sums[index]:.2f} is the smallest ({placed})",
    )


def pick_trial(record: RunRecord, number: int) -> Pick:
    """The member of this number.

    Raises:
        RunError: the front has none of this number.
    """
    members = _members(record)
    for member in members:
        if member.number == number:
            return Pick(member, f"one of {len(members)} members of the front")
    allowed = ", ".join(str(number) for number in sorted(member.number for member in members))
    raise RunError(f"trial {number} is not on the front; allowed: {allowed}")


def _members(record: RunRecord) -> tuple[Member, ...]:
    if not record.members:
        raise RunError("the front is empty: no trial was admitted")
    return record.members


def _cost(record: RunRecord) -> dict[str, str]:
    for objective in record.objectives:
        if not is_quality(objective["metric"]):
            return objective
    raise RunError("the run has no cost among its objectives; pick with --max")
