"""What training the plans of a run in their number formats gave: the content of ``finetuned.json``."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from statistics import stdev
from typing import Any, ClassVar

from narrower.report.curves import Epoch
from narrower.report.optional_record import read_optional
from narrower.report.record import STRICT
from narrower.store.run_directory import RunDirectory

NAME = "finetuned.json"


@dataclass(frozen=True, slots=True)
class FinetunedMember:
    """One plan before and after.

    ``before`` are its metrics with the float model's weights, ``after`` with its own; both on the samples
    that the search scored on. ``was_member`` and ``is_member`` say whether it is on the front of all before
    and after; a plan whose training made it worse in all objectives stays as it was before. What is on the
    front after was looked at on the test part: ``test_value`` and its interval are those of what is
    delivered, ``weights`` its file, or None where it has the float model's weights. ``steps`` are those that
    it was trained for, ``curve`` the metric that leads after each round, and ``epochs`` how it went.

    ``seed_values`` are the leading metric of trainings with several seeds, the delivered one first; the
    interval is then that of their mean. ``certain`` says whether the plan leads, at 95 %, every plan of the
    front that costs no more; None where that has no meaning.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    number: int
    plan: dict[str, dict[str, str | float]]
    before: dict[str, float]
    after: dict[str, float] | None
    steps: int
    curve: tuple[float, ...]
    was_member: bool
    is_member: bool
    interval: tuple[float, float] | None = None
    test_value: float | None = None
    test_interval: tuple[float, float] | None = None
    weights: str | None = None
    failure: str | None = None
    epochs: tuple[Epoch, ...] = ()
    seed_values: tuple[float, ...] = ()
    certain: bool | None = None

    @property
    def spread(self) -> float | None:
        """The standard deviation of the leading metric over seeds."""
        return stdev(self.seed_values) if len(self.seed_values) > 1 else None


@dataclass(frozen=True, slots=True)
class FinetunedRecord:
    """A whole finetuning; ``steps`` are those of all plans together.

    ``choosing`` is the share of the training part that chose epochs and taught nothing; 0: nothing was.
    ``folds`` above 1: plans after were scored by cross-validation, on ``samples`` in all. ``further_steps``
    are those of other seeds and of folds, ``rivals`` how many plans were trained whose intervals reach the
    front. ``order`` names what chose the plans that were trained at all; None: all were.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    recipe: dict[str, Any]
    rounds: tuple[tuple[int, int], ...]  # plans, and steps after which they stopped
    steps: int
    steps_of_all: int  # if every plan had been trained to the end
    choosing: float
    metric: str
    objectives: tuple[str, ...]
    samples: int
    part: str
    seconds: float
    members: tuple[FinetunedMember, ...]
    seeds: int = 1
    folds: int = 1
    further_steps: int = 0
    rivals: int = 0
    order: str | None = None

    def to_dict(self) -> Mapping[str, Any]:
        """The JSON form."""
        return asdict(self)

    @property
    def front(self) -> tuple[FinetunedMember, ...]:
        """What is on the front now."""
        return tuple(member for member in self.members if member.is_member)


def read_finetuned(run: RunDirectory) -> FinetunedRecord | None:
    """What was recorded in a run; None where nothing was finetuned.

    Raises:
        RunError: the record cannot be read.
    """
    return read_optional(run.path / NAME, FinetunedRecord)


def summary_lines(record: FinetunedRecord) -> list[str]:
    """How it went, in sentences."""
    trained = [member for member in record.members if member.steps]
    rounds = ", ".join(f"{plans:,} plans to step {stop:,}" for plans, stop in record.rounds)
    saved = 1 - record.steps / record.steps_of_all if record.steps_of_all else 0.0
    lines = [
        f"trained in their number formats: {len(trained):,} plans, {record.steps:,} steps in all ({rounds}) "
        f"in {record.seconds:.1f} s"
        + (f"; {saved:.0%} fewer steps than training each to the end" if len(record.rounds) > 1 else ""),
        f"taught by the training part, scored on {record.samples:,} samples of the {record.part} part"
        + (f"; {record.choosing:.0%} of the training part chose epochs alone" if record.choosing else ""),
    ]
    if record.rivals:
        lines.append(f"{record.rivals:,} of the plans are no members: their 95 % intervals reach the front")
    if record.order is not None:
        lines.append(f"the plans that were trained were chosen by {record.order}, without training")
    if record.folds > 1:
        lines[1] = (
            f"scored by cross-validation in {record.folds} folds of {record.samples:,} samples (the training "
            f"and the {record.part} part), with a float model for each: {record.further_steps:,} further "
            "steps; delivered is what the training part taught"
        )
    if record.seeds > 1:
        spreads = [member.spread for member in record.front if member.spread is not None]
        widest = f"; spread of one plan at most {max(spreads):.4f}" if spreads else ""
        lines.append(
            f"members of the front trained with {record.seeds} seeds, {record.further_steps:,} further steps"
            f"{widest}; intervals are those of the mean"
        )
    failed = [member for member in record.members if member.failure is not None]
    if failed:
        lines.append(f"{len(failed):,} could not be trained, the first: {failed[0].failure}")
    return lines


def columns(record: FinetunedRecord) -> tuple[str, ...]:
    """The names of the columns of ``rows``."""
    costs = [name for name in record.objectives if name != record.metric]
    metric = record.metric
    return (
        "number",
        *costs,
        f"{metric} before",
        f"{metric} after",
        *(("± over seeds",) if record.seeds > 1 else ()),
        "95 %",
        f"test {metric}",
        "front",
        "plan",
    )


def rows(record: FinetunedRecord, plan_text: Callable[[Mapping[str, Any]], str]) -> list[tuple[Any, ...]]:
    """Every plan of the front before or after, from the cheapest on; ``plan_text`` writes a plan."""
    costs = [name for name in record.objectives if name != record.metric]
    shown = [member for member in record.members if member.was_member or member.is_member]
    shown.sort(key=lambda member: [(member.after or member.before)[name] for name in costs])
    return [
        (
            member.number,
            *(f"{(member.after or member.before)[name]:,.6g}" for name in costs),
            f"{member.before[record.metric]:.4f}",
            f"{member.after[record.metric]:.4f}" if member.after else "not trained",
            *(("" if member.spread is None else f"{member.spread:.4f}",) if record.seeds > 1 else ()),
            "{:.4f}–{:.4f}".format(*member.interval) if member.interval else "",
            f"{member.test_value:.4f}" if member.test_value is not None else "",
            _place(member),
            plan_text(member.plan),
        )
        for member in shown
    ]


def _place(member: FinetunedMember) -> str:
    """When a plan is on the front, and how sure that is."""
    words = {(True, True): "before and after", (True, False): "before", (False, True): "after"}
    place = words[member.was_member, member.is_member]
    if member.is_member and member.certain is not None:
        place += ", certain" if member.certain else ", possible"
    return place + (", as it was" if member.is_member and member.weights is None else "")
