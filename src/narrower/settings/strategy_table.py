"""What a settings file may say of how to search: metrics, sampler, samples, hardware, backend, training."""

from math import isfinite
from typing import Annotated, Any, Literal, Self

from pydantic import Field, PlainValidator, ValidationInfo, field_validator, model_validator

from narrower.evaluate.backends.backend import BACKENDS
from narrower.searching.objective import ARTEFACT_METRICS, listed_metric, listed_metrics
from narrower.searching.samplers.catalogue import ENDING, ENUMERATIONS, SAMPLERS, spelled_sampler
from narrower.settings import checks, not_here
from narrower.settings.basic_train import BasicTrain
from narrower.settings.table import Count, Positive, Switch, Table, given_keys
from narrower.settings.training_tables import CandidateTraining
from narrower.tasks.catalogue import task_metrics

NotZero = Annotated[
    float, PlainValidator(checks.number("a number above 0", lambda x: isfinite(x) and x != 0))
]
Finite = Annotated[float, PlainValidator(checks.number("a finite number", isfinite))]
Direction = Annotated[str, PlainValidator(checks.one_of(("maximize", "minimize")))]
LEARNED = "learned"  # in the place of a sampler: a training proposes the plans
OWN_TASK = "own task"  # of the context in which a file is read
DATA_LOADERS = {
    "val_dataloader": "validation",
    "test_dataloader": "test",
    "train_dataloader": "train",
}


class BasicEvaluation(Table):
    """``[search.strategy.sw_runner.basic_evaluation]``: the samples that plans are scored on."""

    data_loader: Annotated[str, PlainValidator(checks.one_of(tuple(DATA_LOADERS)))] = "val_dataloader"
    num_samples: Count | None = None


class SwRunner(Table):
    """``[search.strategy.sw_runner]``."""

    basic_evaluation: BasicEvaluation = BasicEvaluation()
    basic_train: BasicTrain | None = None


class AverageBitwidth(Table):
    """``[search.strategy.hw_runner.average_bitwidth]``."""

    compare_to: Annotated[int, PlainValidator(checks.whole_number(32, 32))] = 32
    convention: Annotated[str, PlainValidator(checks.one_of(("narrower", "chop")))] = "narrower"


class Latency(Table):
    """``[search.strategy.hw_runner.latency]``: how latency is measured; ``limit`` is in seconds."""

    batch_size: Count = 1
    threads: Annotated[int, PlainValidator(checks.whole_number(1, 64))] = 1
    limit: Positive = 20.0


class Device(Table):
    """``[search.strategy.hw_runner.device]``: the processor that flash, RAM and cycles are counted on."""

    processor: Annotated[str, PlainValidator(checks.one_of(("cortex-m4", "rv32imac")))] = "cortex-m4"
    pack: Annotated[Literal["size", "speed"], PlainValidator(checks.one_of(("size", "speed")))] = "size"


class Logic(Table):
    """``[search.strategy.hw_runner.logic]``: the clock of ``registers`` and ``latency_ns``."""

    clock_ns: Positive = 5.0


class HwRunner(Table):
    """``[search.strategy.hw_runner]``."""

    measure_front: (
        Annotated[
            tuple[str, ...], PlainValidator(checks.list_of(checks.one_of(ARTEFACT_METRICS), "['latency']"))
        ]
        | None
    ) = None
    latency: Latency = Latency()
    device: Device = Device()
    logic: Logic = Logic()
    average_bitwidth: AverageBitwidth = AverageBitwidth()


def _spelled(name: str) -> str | None:
    return LEARNED if name.lower() == LEARNED else spelled_sampler(name)


class StrategySetup(Table):
    """``[search.strategy.setup]``."""

    n_jobs: Annotated[int | Literal["auto"], PlainValidator(checks.jobs)] = 1
    n_trials: Count | None = None
    timeout: Positive | None = None
    sampler: Annotated[str, PlainValidator(checks.spelled_as((*SAMPLERS, LEARNED), _spelled))]
    sum_scaled_metrics: Switch = False
    direction: Direction | None = None
    batch: Count | None = None
    drop_dominated: Switch = False
    allow_uncounted: Switch = False
    uniform_first: Switch = False  # plans with the same formats in every layer before the sampler begins
    sensitivity_first: Switch = False  # the guided sampler begins where layers lose bits at least loss
    part: Annotated[str, PlainValidator(checks.part)] | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.n_trials is None and self.sampler not in (*ENDING, LEARNED):
            raise ValueError(f"n_trials is missing; the sampler {self.sampler!r} needs to know when to end")
        if self.drop_dominated and self.sampler not in ENUMERATIONS:
            raise ValueError(
                f"drop_dominated = true needs a sampler that does not learn ({', '.join(ENUMERATIONS)}), "
                f"not {self.sampler!r}"
            )
        if self.sensitivity_first and self.sampler != "guided":
            raise ValueError(f"sensitivity_first = true is for the sampler 'guided', not {self.sampler!r}")
        if self.part is not None and self.sampler not in ENUMERATIONS:
            raise ValueError(
                f"part = {self.part!r} needs a sampler that does not learn ({', '.join(ENUMERATIONS)}), not "
                f"{self.sampler!r}: give each part a seed of its own instead"
            )
        if self.sum_scaled_metrics and self.direction is None:
            raise ValueError("direction is missing; sum_scaled_metrics = true needs 'maximize' or 'minimize'")
        return self


class BackendTable(Table):
    """``[search.strategy.backend]``: where plans are scored."""

    name: Annotated[str, PlainValidator(checks.one_of(tuple(BACKENDS)))] | None = None
    address: Annotated[str, PlainValidator(checks.ray_address)] = "local"
    max_workers: Annotated[int, PlainValidator(checks.whole_number(1, 2**16))] | None = None
    accept_other_bits: Switch = False
    device: Annotated[str, PlainValidator(checks.device)] | None = None

    @model_validator(mode="after")
    def _on_a_device(self) -> Self:
        if self.device not in (None, "cpu") and self.name not in (None, "device"):
            raise ValueError(f"device = {self.device!r} means something with name = 'device' only")
        return self

    @model_validator(mode="after")
    def _of_ray(self) -> Self:
        for key in ("address", "max_workers", "accept_other_bits"):
            if self.name != "ray" and key in given_keys(self):
                raise ValueError(f"{key} means something with name = 'ray' only")
        return self


class MetricSettings(Table):
    """``[search.strategy.metrics]``: an objective, and bounds of it. Without a direction, the metric's own.

    A negative scale means something in a sum only.
    """

    scale: NotZero = 1.0
    direction: Direction | None = None
    lower_bound: Finite | None = None
    upper_bound: Finite | None = None


class Bound(Table):
    """``[search.strategy.constraints]``: bounds of a metric, both included."""

    min: Finite | None = None
    max: Finite | None = None

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("expected min, max or both, as in bitops.max = 5000")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min ({self.min:g}) is above max ({self.max:g})")
        return self


def _is_of_own_task(metric: str, info: ValidationInfo) -> bool:
    """Whether a metric that is not listed may be one of the task of the user's own that is searched for."""
    return bool((info.context or {}).get(OWN_TASK)) and metric.isidentifier()


@checks.allows(checks.TEXT)
def _metric_name(value: Any, info: ValidationInfo) -> str:
    if isinstance(value, str) and (":" in value or _is_of_own_task(value, info)):
        return checks.text(value)
    allowed = (*listed_metrics(), "package.module:function")
    return checks.one_of(allowed, not_here.METRICS)(value)


MetricName = Annotated[str, PlainValidator(_metric_name)]
_listed_strategy = checks.one_of(("optuna", *SAMPLERS), not_here.STRATEGIES)


@checks.allows(checks.allowed_by(_listed_strategy))
def _strategy_name(value: Any) -> str:
    """The samplers are those of Optuna or stand beside it; one that is named here is taken out before."""
    return "optuna" if value == "optuna" else _listed_strategy(value)


class Strategy(Table):
    """``[search.strategy]``."""

    name: Annotated[str, PlainValidator(_strategy_name)] = "optuna"
    eval_mode: Annotated[
        bool,
        PlainValidator(checks.yes_or_no),
    ] = True
    training: CandidateTraining | None = None
    sw_runner: SwRunner = SwRunner()
    hw_runner: HwRunner = HwRunner()
    setup: StrategySetup
    backend: BackendTable = BackendTable()
    metrics: Annotated[dict[MetricName, MetricSettings], Field(min_length=1)]
    constraints: dict[MetricName, Bound] = Field(default_factory=dict)

    @field_validator("metrics")
    @classmethod
    def _directed(cls, metrics: dict[str, MetricSettings], info: ValidationInfo) -> dict[str, MetricSettings]:
        for name, metric in metrics.items():
            if _is_of_own_task(name, info):
                continue
            if listed_metric(name) is None and metric.direction is None:
                raise ValueError(f"{name}.direction is missing; allowed: maximize, minimize")
        return metrics

    @field_validator("constraints")
    @classmethod
    def _shares(cls, constraints: dict[str, Bound]) -> dict[str, Bound]:
        for metric, bound in constraints.items():
            listed = task_metrics().get(metric)
            for name, value in (("min", bound.min), ("max", bound.max)):
                if listed is not None and listed.is_share and value is not None and not 0 <= value <= 1:
                    raise ValueError(f"{metric}.{name}: found {value:g}; allowed: a share from 0 to 1")
        return constraints
