"""A comparison of samplers as frozen values: the content of ``comparison.json``."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from narrower.errors import RunError

RECORD, PAGE = "comparison.json", "comparison.html"


@dataclass(frozen=True, slots=True)
class Setup:
    """What was compared on what.

    ``basis`` says whose front is the yardstick: that of all plans (exact) or of all runs together (union);
    ``basis_plans`` is the number of plans it was taken from, ``front_size`` the number of its points.
    ``reference`` is the value of each objective from which on a plan counts, ``best`` the best value of each.
    ``scored`` counts different plans that were scored for the whole comparison, ``plan_seconds`` is the time
    to score one alone: what each trial is charged beside its sampler's own time.
    """

    model: str
    data_set: str
    part: str
    samples: int
    space_size: int
    space_hash: str
    objectives: tuple[dict[str, Any], ...]
    sum_direction: Literal["maximize", "minimize"] | None
    constraints: tuple[dict[str, Any], ...]
    samplers: tuple[str, ...]
    seeds: tuple[int, ...]
    trials: int
    basis: Literal["exact", "union"]
    basis_plans: int
    enumeration_limit: int
    front_size: int
    reference: dict[str, float]
    best: dict[str, float]
    scored: int
    plan_seconds: float
    jobs: int
    seconds: float
    environment: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Steps:
    """How far a search was after each trial that changed its front; between two steps nothing changes.

    ``trials`` count from 1; ``seconds`` hold the sampler's time and ``plan_seconds`` for every trial until
    then. ``hypervolume`` is relative to the best front's, ``found`` the share of its points, ``distance`` the
    IGD+ to it; ``best`` holds the best value of each objective.
    """

    trials: tuple[int, ...]
    seconds: tuple[float, ...]
    hypervolume: tuple[float, ...]
    found: tuple[float, ...]
    distance: tuple[float, ...]
    best: dict[str, tuple[float, ...]]


@dataclass(frozen=True, slots=True)
class SamplerRun:
    """One sampler with one seed.

    ``repeated`` (proposals that had been proposed before) and ``sampler_seconds`` (the sampler's own) are
    those until each of the comparison's ``checkpoints``, the last of them held where the run ended earlier.
    ``drawn`` counts trials that were drawn at random because the sampler only repeated itself.
    """

    sampler: str
    seed: int
    trials: int
    steps: Steps
    repeated: tuple[int, ...]
    sampler_seconds: tuple[float, ...]
    drawn: int
    not_admitted: int
    failed: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """Median over seeds and its 95 % bootstrap interval; None stands for not reached."""

    median: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Needed:
    """What it took to reach a share of the best front's hypervolume, and how many seeds did."""

    share: float
    reached: int
    trials: Estimate
    seconds: Estimate


@dataclass(frozen=True, slots=True)
class Summary:
    """One sampler over all seeds.

    ``mean_hypervolume`` is the mean over the trials of a run, the others are values at its end.
    """

    sampler: str
    needed: tuple[Needed, ...]
    mean_hypervolume: Estimate
    hypervolume: Estimate
    found: Estimate
    distance: Estimate
    best: dict[str, Estimate]
    repeated: Estimate
    sampler_seconds: Estimate
    seconds: Estimate
    drawn: int
    failed: int


@dataclass(frozen=True, slots=True)
class PairTest:
    """Wilcoxon's signed-rank test of two samplers, paired by seed.

    ``corrected`` is p after Holm's correction for all tests of the comparison; ``better`` is the sampler that
    is seen to be better at 5 %, or None: no difference seen.
    """

    measure: str
    first: str
    second: str
    p: float
    corrected: float
    better: str | None


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What the numbers say, in words."""

    headline: str
    sentences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """All of it. ``checkpoints`` are numbers of trials."""

    setup: Setup
    checkpoints: tuple[int, ...]
    runs: tuple[SamplerRun, ...]
    summaries: tuple[Summary, ...]
    tests: tuple[PairTest, ...]
    conclusion: Conclusion

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return asdict(self)

    def runs_of(self, sampler: str) -> tuple[SamplerRun, ...]:
        """One run for each seed, in the order of the seeds."""
        return tuple(run for run in self.runs if run.sampler == sampler)


def read_comparison(path: Path) -> Comparison:
    """Read a record.

    Raises:
        RunError: there is none, or it cannot be read.
    """
    try:
        return TypeAdapter(Comparison).validate_json(path.read_bytes())
    except OSError as error:
        raise RunError(f"{path}: cannot be read: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise RunError(f"{path}: not the record of a comparison: {where}: {first['msg']}") from None
