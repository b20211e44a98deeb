"""A search from Python: the same as from a settings file, with models and data as they are."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from torch import nn

from narrower.cost.missing import missing
from narrower.cost.network_cost import NetworkCost
from narrower.data.datasets import DataSet, Given
from narrower.data.parts import Part
from narrower.errors import SettingsError
from narrower.evaluate.backends.settings import BackendSettings
from narrower.evaluate.own_metric import named_metrics
from narrower.graph.called_modules import trace_or_call
from narrower.models.build import build_model
from narrower.models.fit import check_fit
from narrower.plan.formats.calibration import USUAL, CalibrationSettings
from narrower.plan.formats.fixed import OVERFLOWS, ROUNDINGS
from narrower.preparation.settings import CandidateSettings, PreparationSettings, SharedSettings
from narrower.searching.build_space import build_space
from narrower.searching.objective import (
    Constraint,
    Objectives,
)
from narrower.searching.options import SearchOptions
from narrower.searching.samplers.catalogue import ENDING, ENUMERATIONS, canonical_sampler, default_sampler
from narrower.searching.space_settings import (
    SIGNS,
    Kind,
    SpaceSettings,
)
from narrower.settings.logic_rounding import default_rounding
from narrower.store.trackers.tracker import Tracker, TrackerSettings
from narrower.study.arguments import spoken_of_arguments
from narrower.study.expressible import export_notes
from narrower.study.from_arguments import fitting, layer_choices, objectives_of, own_metrics_of
from narrower.study.from_python import followers_of, searched
from narrower.study.limits import check_counted
from narrower.study.possible import check_possible
from narrower.study.problem import Problem, any_fraction, first_samples, with_model
from narrower.study.result import SearchResult
from narrower.study.tracked import Callback
from narrower.transform.tried_channels import tried_channels

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler


@spoken_of_arguments()
def search(  # noqa: PLR0913 - one argument for each table of a settings file
    model: nn.Module | str,
    data: Given,
    space: Mapping[str, Mapping[str, Sequence[Any]]],
    objectives: Sequence[str] | Mapping[str, str],
    *,
    by: Literal["name", "type", "regex"] = "name",
    constraints: Mapping[str, tuple[float | None, float | None]] | None = None,
    sampler: "str | BaseSampler | None" = None,
    n_trials: int | None = None,
    timeout: float | None = None,
    n_jobs: int | Literal["auto"] = 1,
    backend: BackendSettings | None = None,
    batch: int | None = None,
    drop_dominated: bool = False,
    allow_uncounted: bool = False,
    uniform_first: bool = False,
    sensitivity_first: bool = False,
    samples: int | None = None,
    part: Literal["validation", "test", "train"] = "validation",
    seed: int = 0,
    directory: Path | str | None = None,
    candidates: PreparationSettings | None = None,
    uniform: bool = False,
    measure_front: Sequence[str] = (),
    class_order: Sequence[str] | None = None,
    rounding: Literal["half_even", "half_up", "floor"] | None = None,
    overflow: Literal["saturate", "saturate_symmetric", "wrap"] = "saturate",
    sign: Literal["signed", "auto"] = "signed",
    calibration: CalibrationSettings = USUAL,
    callbacks: Sequence[Callback] = (),
    trackers: Sequence[str | Tracker] | TrackerSettings = (),
) -> SearchResult:
    """Search the number formats of a model's layers, their widths, or both.

    ``space`` gives for each layer (a name, type or pattern, as ``by`` says) the options of its operands::

        {"seq_blocks.2": {"data": [4, 8], "weight": [2, 4, 8], "bias": [8], "weight_frac": ["auto"]}}

    A "name" lists kinds of formats (docs/formats.md), ``{"name": ["fixed", "e4m3fn"], "data": [8], ...}``;
    what they read besides widths has the name that it has in a file, "weight_exponent_width". A "width" lists
    multipliers of the layer's output channels: ``{"seq_blocks.2": {"width": [0.5, 1, 2]}}``.
    ``candidates`` says how plans get weights of their own: unless given, all plans have those of the model,
    and resized ones keep its most important channels; nothing is trained. ``uniform`` gives all layers the
    same multiplier.

    ``objectives`` are metrics, each improved in its own direction, or a mapping of metrics to "maximize" or
    "minimize"; ``package.module:function`` is a metric of your own. ``constraints`` map metrics to
    (minimum, maximum). The model is searched with the weights that it has, on arrays as they are given (those
    of a data set's name are standardised, as by ``narrower train``). ``n_jobs`` is the number of
    processes, unless ``backend`` says where plans are scored; ``batch`` is how many plans a sampler is asked
    for at a time; with ``drop_dominated``, enumerations drop plans that can no longer reach the front.
    With ``uniform_first``, plans with the same formats in every layer are tried before the sampler begins;
    with ``sensitivity_first``, the guided sampler begins where layers lose bits at the least loss.
    ``allow_uncounted`` searches also where no plan changes more than 1 % of the multiply-accumulates.
    ``directory`` keeps the run; without one nothing is left behind when this process ends. Without
    ``sampler``, every plan is tried, or with ``n_trials`` those that the guided sampler proposes; a sampler
    may also be one of Optuna's, ``sampler=study.sampler`` or ``optuna.samplers.CmaEsSampler()``.

    ``measure_front`` names metrics ("latency", "luts", "ebops") that are measured on the artefacts of the
    front's members; as objectives they are measured for every plan. ``class_order`` names the classes in the
    order in which the model gives them, where it is not that of the data. ``rounding`` is that of all
    fixed-point formats: ties to the even step, or with "luts" upwards, because logic rounds like that.
    ``overflow`` is what becomes of values outside their range. With ``sign`` "auto", data after ReLU,
    softmax, sigmoid and the like have no sign. ``calibration`` says how automatic ranges are found.

    ``callbacks`` are given every trial once it is recorded; one that raises ``narrower.StopSearch`` ends the
    search with what was scored. ``trackers`` are names (docs/trackers.md), objects of your own with the
    methods of ``narrower.Tracker``, or ``narrower.TrackerSettings``.

    What a command would print as a warning before the first trial is one here: work that no plan changes, and
    why plans cannot be exported.

    Raises:
        NarrowerError: what is asked for cannot be searched; the message says why.
        AllTrialsFailedError: no plan could be scored.
    """
    followers = followers_of(callbacks, trackers)
    problem = pose_search(
        model,
        data,
        space,
        objectives,
        by=by,
        constraints=constraints,
        samples=samples,
        part=part,
        seed=seed,
        candidates=candidates,
        uniform=uniform,
        measure_front=measure_front,
        class_order=class_order,
        rounding=rounding,
        overflow=overflow,
        sign=sign,
        calibration=calibration,
    )
    own = sampler if sampler is not None and not isinstance(sampler, str) else None
    named = type(own).__name__ if own else canonical_sampler(str(sampler or default_sampler(n_trials)))
    options = SearchOptions(
        named,
        n_trials,
        timeout,
        batch,
        seed,
        drop_dominated,
        tuple(measure_front),
        allow_uncounted=allow_uncounted,
        uniform_first=uniform_first,
        sensitivity_first=sensitivity_first,
    )
    if n_trials is None and options.sampler not in ENDING:
        raise SettingsError(f"n_trials is missing: the sampler {options.sampler!r} needs to know when to end")
    if drop_dominated and options.sampler not in ENUMERATIONS:
        raise SettingsError(f"drop_dominated needs one of the samplers {', '.join(ENUMERATIONS)}")
    check_counted(problem.program.network, allowed=allow_uncounted, way_out="allow_uncounted=True")
    where = backend or BackendSettings(jobs=None if n_jobs == "auto" else n_jobs)
    problem = replace(problem, options=options, backend=where)
    return searched(problem, directory, _note(problem), followers, own)


def pose_search(  # noqa: PLR0913 - as many as a search has
    model: nn.Module | str,
    data: Given,
    space: Mapping[str, Mapping[str, Sequence[Any]]],
    objectives: Sequence[str] | Mapping[str, str],
    *,
    by: Literal["name", "type", "regex"] = "name",
    constraints: Mapping[str, tuple[float | None, float | None]] | None = None,
    samples: int | None = None,
    part: Literal["validation", "test", "train"] = "validation",
    seed: int = 0,
    candidates: PreparationSettings | None = None,
    uniform: bool = False,
    measure_front: Sequence[str] = (),
    class_order: Sequence[str] | None = None,
    rounding: Literal["half_even", "half_up", "floor"] | None = None,
    overflow: Literal["saturate", "saturate_symmetric", "wrap"] = "saturate",
    sign: Literal["signed", "auto"] = "signed",
    calibration: CalibrationSettings = USUAL,
) -> Problem:
    """What is searched, with the meaning that the arguments have in ``search``; how is not said yet.

    Raises:
        NarrowerError: it cannot be searched.
    """
    model, data = fitting(model, data, class_order)
    rounded = rounding or default_rounding((*objectives, *(constraints or {}), *measure_front))
    ROUNDINGS.check(rounded)
    OVERFLOWS.check(overflow)
    SIGNS.check(sign)
    layers = tuple((key, layer_choices(key, table)) for key, table in space.items())
    kind: Kind = "quantize_and_resize" if any(c.width.multipliers for _, c in layers) else "quantize"
    chosen = SpaceSettings(
        by,
        layers,
        kind=kind,
        uniform=uniform,
        rounding=rounded,
        overflow=overflow,
        sign=sign,
        calibration=calibration,
    )
    module = build_model(model, seed=seed, sizes=data.sizes) if isinstance(model, str) else model
    name = model if isinstance(model, str) else type(model).__name__
    wanted = objectives_of(objectives, data.task)
    bounds = tuple(Constraint(metric, low, high) for metric, (low, high) in (constraints or {}).items())
    scoring = first_samples(data, part, samples)
    return _posed(module, name, data, scoring, part, chosen, wanted, bounds, candidates)


def _posed(  # noqa: PLR0913, PLR0917 - the parts of a problem
    module: nn.Module,
    name: str,
    data_set: DataSet,
    scoring: Part,
    part: str,
    chosen: SpaceSettings,
    wanted: Objectives,
    bounds: tuple[Constraint, ...],
    candidates: PreparationSettings | None,
) -> Problem:
    check_fit(module, data_set)
    program = trace_or_call(module, data_set.examples, name)
    if chosen.resizes:
        candidates = candidates or CandidateSettings(weights="slice")
    elif isinstance(candidates, CandidateSettings):
        raise SettingsError("candidates: no layer of the space has a 'width'; nothing is resized")
    channels = tried_channels(module, program, data_set.examples) if chosen.resizes else None
    metrics = [o.metric for o in wanted.each] + [c.metric for c in bounds]
    problem = Problem(
        model_name=name,
        data=data_set,
        part=scoring,
        part_name=part,
        model=module,
        program=program,
        space_settings=chosen,
        space=build_space(program.network, chosen, any_fraction, channels),
        objectives=wanted,
        constraints=bounds,
        own_metrics=own_metrics_of(metrics, data_set.task) | named_metrics(data_set.task, metrics),
        channels=channels,
        preparation=candidates or SharedSettings(),
        notes=(
            *(group.sentence for group in missing(NetworkCost(program.network))),
            *export_notes(program),
        ),
    )
    check_possible(problem)
    return with_model(problem, module)


def _note(problem: Problem) -> str:
    return (
        f"# A search from Python over {problem.space.size} plans of {problem.model_name}; no settings file.\n"
    )
