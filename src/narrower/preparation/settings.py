"""How plans get their weights, as settings: one frozen value for each way. Its ``repr`` is recorded."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol, get_args

from narrower.errors import SettingsError
from narrower.plan.formats.calibration import ADJUSTED_ON
from narrower.preparation.learning.settings import LearnSettings, WeightGranularity
from narrower.training.recipe import Recipe
from narrower.transform.importance import Importance

LEARNED_OPERANDS = ("data", "weight")
FEWEST_FOLDS, FLOAT = 2, Recipe()
IMPORTANCES: tuple[str, ...] = get_args(Importance)


class PreparationSettings(Protocol):
    """What every such value says about itself."""

    shares_weights: ClassVar[bool]  # whether all plans are scored with the same weights
    proposes: ClassVar[bool]  # whether a training finds the plans as well, in the place of a sampler

    @property
    def seeds(self) -> int:
        """Trainings of each plan."""

    @property
    def trains_float32(self) -> bool:
        """Whether the float32 network that plans are compared with is trained as they are."""

    @property
    def needs_weights(self) -> bool:
        """Whether plans start from a trained model."""


@dataclass(frozen=True, slots=True)
class SharedSettings:
    """All plans are scored with the model's own weights; nothing is trained."""

    shares_weights: ClassVar[bool] = True
    proposes: ClassVar[bool] = False
    seeds: ClassVar[int] = 1
    trains_float32: ClassVar[bool] = False

    @property
    def needs_weights(self) -> bool:
        """They are the model's."""
        return True

    def __repr__(self) -> str:
        return "none"


@dataclass(frozen=True, slots=True)
class AdjustedSettings:
    """The model's weights are changed for the formats of each plan, on ``samples`` of the training part.

    ``ways`` are some of ``ADJUSTMENTS``; nothing is trained.
    """

    ways: tuple[str, ...]
    samples: int = ADJUSTED_ON
    shares_weights: ClassVar[bool] = False
    proposes: ClassVar[bool] = False
    seeds: ClassVar[int] = 1
    trains_float32: ClassVar[bool] = False

    @property
    def needs_weights(self) -> bool:
        """They start from the model's."""
        return True


@dataclass(frozen=True, slots=True)
class RetrainedSettings:
    """Each plan is trained in its number formats.

    It starts from the model's weights (float), or from those of the nearest plan that was trained before
    (nearest), where there is one. With ``front_seeds`` above 1 the members of the front are trained with as
    many seeds, to see how far apart their trainings end; no trial depends on that, nor does the ``repr``.
    """

    training: Recipe
    start: Literal["float", "nearest"] = "float"
    front_seeds: int = 1
    shares_weights: ClassVar[bool] = False
    proposes: ClassVar[bool] = False
    seeds: ClassVar[int] = 1
    trains_float32: ClassVar[bool] = False

    @property
    def needs_weights(self) -> bool:
        """It starts from the model's."""
        return True

    def __repr__(self) -> str:
        return repr(self.training) if self.start == "float" else f"{self.training!r} from {self.start}"


@dataclass(frozen=True, slots=True)
class CrossValidatedSettings(RetrainedSettings):
    """Each plan is trained in each of ``folds``, and each sample scored by weights taught without it.

    The float model of a fold is trained by ``float_recipe`` from parameters that are drawn anew.
    """

    folds: int = 5
    float_recipe: Recipe = FLOAT

    def __post_init__(self) -> None:
        if self.folds < FEWEST_FOLDS:
            raise SettingsError(f"folds: expected a whole number from {FEWEST_FOLDS}, found {self.folds}")
        if self.front_seeds > 1:
            raise SettingsError(
                f"folds: found {self.folds} with seeds = {self.front_seeds}; a plan is trained in each fold "
                "already; allowed with folds: seeds = 1"
            )

    def __repr__(self) -> str:
        start = "" if self.start == "float" else f" from {self.start}"
        return f"{self.training!r}{start} in {self.folds} folds, float models by {self.float_recipe!r}"


@dataclass(frozen=True, slots=True)
class CandidateSettings:
    """How resized candidates get their weights.

    ``weights``: drawn anew (scratch), the most important channels of the model's (slice, by ``importance``),
    or copies of its channels (net2net). ``training`` None: they are scored with these. Otherwise each is
    trained with ``seeds`` seeds, and scored by the mean or by the best of them (``keep``).
    """

    weights: Literal["scratch", "slice", "net2net"] = "scratch"
    importance: Importance = "l2"
    training: Recipe | None = None
    seeds: int = 1
    keep: Literal["mean", "best"] = "mean"
    shares_weights: ClassVar[bool] = False
    proposes: ClassVar[bool] = False

    @property
    def trains_float32(self) -> bool:
        """Unless candidates are scored untrained."""
        return self.training is not None

    @property
    def needs_weights(self) -> bool:
        """Unless they are drawn anew."""
        return self.weights != "scratch"


@dataclass(frozen=True, slots=True)
class LearnedSettings:
    """One training from random weights learns weights and widths and proposes the plans, with their weights.

    What is None is as suits the data (``LearnSettings.suited``). ``candidates`` are trained at once, with
    seeds of their own, and share one front. A network that is no chain of linear layers is trained from the
    model's weights, by itself (``of_program``), and so is every network where ``operands`` are not both.
    """

    epochs: int = 1000
    batch_size: int | None = None
    learning_rate: float | None = None
    operands: tuple[str, ...] = LEARNED_OPERANDS
    granularity: WeightGranularity = "weight"
    max_width: int = 16
    allowed: tuple[int, ...] = ()
    candidates: int = 1
    cost: str = "ebops"
    target: float | None = None
    seed: int = 0
    repeated: ClassVar[str] = ""
    shares_weights: ClassVar[bool] = False
    proposes: ClassVar[bool] = True
    seeds: ClassVar[int] = 1
    trains_float32: ClassVar[bool] = False

    @property
    def needs_weights(self) -> bool:
        """They are what the learned networks are compared with, and compute what enters the first layer."""
        return True

    @property
    def learns_both(self) -> bool:
        """Whether the widths of both weights and data are learned."""
        return set(self.operands) == set(LEARNED_OPERANDS)

    @property
    def words(self) -> str:
        """How plans get their weights."""
        several = f", {self.candidates} candidates at once" if self.candidates > 1 else ""
        whose = "their widths" if self.learns_both else f"widths of {self.operands[0]}"
        return (
            f"learned with {whose}, one for each {self.granularity}, in one training of "
            f"{self.epochs:,} epochs{several}{self.repeated}"
        )

    def of(self, samples: int) -> LearnSettings:
        """All settings of the training, for so many samples."""
        return self._suited(samples, {})

    def of_program(self, samples: int) -> LearnSettings:
        """The same where the model's own weights are learned on: half of each target is what it gives."""
        return self._suited(samples, {"soft_share": 0.5})

    def _suited(self, samples: int, others: Mapping[str, Any]) -> LearnSettings:
        given = {"batch_size": self.batch_size, "learning_rate": self.learning_rate}
        return LearnSettings.suited(
            self.epochs,
            samples,
            **others,
            weight_granularity=self.granularity,
            data_granularity="tensor" if self.granularity == "tensor" else "element",
            max_width=self.max_width,
            allowed=self.allowed,
            candidates=self.candidates,
            cost=self.cost,
            target=self.target,
            seed=self.seed,
            **{name: value for name, value in given.items() if value is not None},
        )


@dataclass(frozen=True, slots=True)
class LearnedShapesSettings(LearnedSettings):
    """The same for each choice of channel widths that a sampler proposes."""

    repeated: ClassVar[str] = ", for each choice of channel widths"


STARTED_FROM = "started_from"  # recorded with a trial: the number of the one whose weights it started from


def is_by_plan_alone(settings: PreparationSettings) -> bool:
    """Whether a plan becomes the same in every search, whatever was tried before it."""
    return not (isinstance(settings, RetrainedSettings) and settings.start == "nearest")
