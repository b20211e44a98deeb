"""What a search found, as frozen values: the content of ``front.json``."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Literal

from narrower.report.task_keys import with_task_keys
from narrower.searching.plan_edges import PlanEdge
from narrower.tasks.described import DescribedTask, MetricNote, described_task
from narrower.tasks.intervals import WILSON
from narrower.tasks.task import SampleMetric

# For reading a record back: what it does not know is a mistake, and so is what is no number.
STRICT: dict[str, Any] = {"extra": "forbid", "strict": True, "allow_inf_nan": False}


@dataclass(frozen=True, slots=True)
class LayerCost:
    """What one layer of the float32 network costs, per sample; ``flops`` is None where no rule covers it."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    layer: str
    kind: str
    parameters: int
    macs: int
    flops: int | None
    bitops: int
    bytes: float


@dataclass(frozen=True, slots=True)
class DrawnOperator:
    """One operator of the network: which others it reads, and the shape of its value for one sample."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    name: str
    kind: str
    layer: str
    inputs: tuple[str, ...]
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Member:
    """One plan of the front.

    ``metrics`` are those of the samples that the search scored on, ``interval`` is the 95 % interval of
    the leading one; ``test_value`` is its value on the test part, which no choice was made on. ``equals``
    counts the other trials with the same objectives. ``certain`` says whether the member is better, at 95 %,
    than the plans that are better in everything else; None where that has no meaning.
    ``layer_bitops`` and ``layer_bytes`` are the shares of the layers under the plan; None where they were not
    recorded. Where candidates have weights of their own that were not kept, the member was trained again
    alone: ``alone_value`` is what it reached on the samples of the search, ``alone_spread`` its deviation
    over seeds, and ``weights`` the file in the run that holds it; ``test_value`` is that of this file.
    ``seed_values`` is the leading metric of trainings with several seeds, where candidates were trained and
    that was asked for; the interval is then that of their mean.
    ``edges`` are all edges of the network, where the plan rounds some.
    ``latency`` holds the details where it was measured on the member's artefact; ``unmeasured`` says of other
    metrics that were to be measured there why they could not be.
    ``intervals`` are those of other metrics of the samples; ``on_test`` and ``on_test_intervals`` are the
    same on the test part.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    number: int
    plan_index: int
    plan: dict[str, dict[str, str | float]]
    metrics: dict[str, float]
    scaled: dict[str, float]
    interval: tuple[float, float] | None
    test_value: float | None
    test_interval: tuple[float, float] | None
    equals: int
    certain: bool | None
    layer_bitops: dict[str, int] | None = None
    layer_bytes: dict[str, float] | None = None
    alone_value: float | None = None
    alone_spread: float | None = None
    weights: str | None = None
    latency: Mapping[str, Any] | None = None
    unmeasured: Mapping[str, str] = field(default_factory=dict)
    seed_values: tuple[float, ...] = ()
    edges: tuple[PlanEdge, ...] = ()
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    on_test: dict[str, float] = field(default_factory=dict)
    on_test_intervals: dict[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Summary:
    """How the search went, in numbers."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    space_size: int
    trials: int
    exhausted: bool
    failed: int
    replayed: int
    taken_over: int
    repeated: int
    drawn: int
    cut: dict[str, int]
    stopped: str
    seconds: float
    evaluation_seconds: float
    first_failure: str | None
    loss_rank_correlation: float | None
    correlation_plans: int
    dominated: int = 0
    saved_share: float = 0.0  # of the evaluation, by dropping dominated plans
    jobs: int = 1
    note: str | None = None  # what the sampler has to say of what it proposed
    training: str | None = None  # how candidates got their weights; None where all shared the model's
    lost_workers: int = 0  # processes that ended early; what they had to score was scored again

    @property
    def completeness(self) -> str:
        """Whether every admissible plan was tried, in words."""
        if not self.exhausted:
            return f"{self.trials:,} of {self.space_size:,}, not complete"
        left = self.space_size - self.trials
        return f"complete: {self.trials:,} of {self.space_size:,}" + (
            f" ({left:,} not admitted by constraints)" if left else ""
        )


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One search: what was asked, how it went, what it found.

    ``layers`` are the layers of the float32 network. ``sum_direction`` is set where the objectives were
    added up. ``worst_costs`` are the worst values of the objectives' costs that space and constraints allow.
    What records of earlier versions lack is empty or None: not known.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    model: str
    data_set: str
    outputs: int
    sampler: str
    samples: int
    part: str
    seed: int
    objectives: tuple[dict[str, Any], ...]
    float32: dict[str, float]
    members: tuple[Member, ...]
    summary: Summary
    warnings: tuple[str, ...]
    layers: tuple[LayerCost, ...] = ()
    sum_direction: Literal["maximize", "minimize"] | None = None
    constraints: tuple[dict[str, Any], ...] | None = None
    worst_costs: dict[str, float] | None = None
    output_names: tuple[str, ...] | None = None  # what the model's outputs stand for
    loss: str | None = None  # what the loss is: "cross entropy", "negative log likelihood", ...
    task: str = "classification"  # records of earlier versions are of nothing else
    network: tuple[DrawnOperator, ...] = ()
    task_metrics: tuple[MetricNote, ...] | None = None  # of a task of the user's own
    float32_intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    interval_notes: dict[str, str] = field(default_factory=dict)  # how intervals were found, by metric

    @property
    def described_task(self) -> DescribedTask:
        """The words and metrics of the task."""
        return described_task(self.task, self.task_metrics)

    @property
    def metric(self) -> SampleMetric:
        """The metric that plans are told apart by."""
        return self.described_task.metrics[0]

    @property
    def with_intervals(self) -> tuple[str, ...]:
        """The objectives but the leading metric whose intervals are known."""
        names = dict.fromkeys(objective["metric"] for objective in self.objectives)
        known = {name for member in self.members for name in (*member.intervals, *member.on_test_intervals)}
        return tuple(name for name in names if name in known and name != self.metric.name)

    @property
    def further(self) -> tuple[str, ...]:
        """Metrics but the leading one that any member has an interval of, or a value on the test part."""
        named = [name for m in self.members for name in (*m.intervals, *m.on_test, *m.on_test_intervals)]
        return tuple(dict.fromkeys(named))

    def interval_of(self, member: Member, metric: str) -> tuple[float, float] | None:
        """The 95 % interval of a member's metric; None where it is not known."""
        return member.interval if metric == self.metric.name else member.intervals.get(metric)

    def test_of(self, member: Member, metric: str) -> tuple[float | None, tuple[float, float] | None]:
        """A member's metric on the test part, and its interval."""
        if metric == self.metric.name:
            return member.test_value, member.test_interval
        return member.on_test.get(metric), member.on_test_intervals.get(metric)

    @property
    def told_by_shares(self) -> bool:
        """Whether the metric by which plans are told apart is a share: members are then compared by it."""
        searched = [objective["metric"] for objective in self.objectives]
        if self.metric.name in searched:
            return self.metric.is_share
        return bool(self.with_intervals) and self.interval_notes.get(self.with_intervals[0]) == WILSON

    @property
    def float32_value(self) -> float:
        """The leading metric of the model in float32."""
        return self.float32[self.metric.name]

    @property
    def float32_test_value(self) -> float:
        """The same on the test part."""
        return self.float32[f"test_{self.metric.name}"]

    def value(self, member: Member) -> float:
        """The leading metric of a member."""
        return member.metrics[self.metric.name]

    def lost(self, value: float) -> float:
        """How much worse a value of the leading metric is than that of the model in float32."""
        return self.metric.sign * (self.float32_value - value)

    def allowed(self, drop: float) -> float:
        """How much may be lost: of shares so much, of everything else such a part of float32's value."""
        return drop if self.metric.is_share else drop * abs(self.float32_value)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form, whose keys are those of the task."""
        return with_task_keys(asdict(self), self.task) | {"completeness": self.summary.completeness}
