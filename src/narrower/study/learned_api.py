"""Learned widths from Python: the same as from a settings file, with models and data as they are."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

from torch import nn

from narrower.data.datasets import DataSet, Given
from narrower.errors import SettingsError
from narrower.graph.called_modules import trace_or_call
from narrower.graph.lower import lower
from narrower.models.build import build_model
from narrower.models.fit import check_fit
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.plan import OPERANDS
from narrower.preparation.learned import learnable_chain
from narrower.preparation.learning.settings import LEARNED_COSTS, WeightGranularity
from narrower.preparation.settings import LEARNED_OPERANDS, LearnedSettings, LearnedShapesSettings
from narrower.searching.build_space import build_space
from narrower.searching.objective import Constraint, Objective, Objectives
from narrower.searching.options import SearchOptions
from narrower.searching.space_settings import (
    FLOAT_OPERAND,
    Kind,
    LayerChoices,
    OperandChoices,
    SpaceSettings,
    WidthChoices,
)
from narrower.settings.convert_preparation import SAMPLERS_OF_SHAPES
from narrower.store.trackers.tracker import Tracker, TrackerSettings
from narrower.study.arguments import spoken_of_arguments
from narrower.study.expressible import export_notes
from narrower.study.from_arguments import fitting
from narrower.study.from_python import followers_of, searched
from narrower.study.possible import check_possible
from narrower.study.problem import Problem, any_fraction, with_model
from narrower.study.result import SearchResult
from narrower.study.tracked import Callback
from narrower.tasks.task import leading
from narrower.transform.tried_channels import tried_channels

LEARNED = "learned"


@spoken_of_arguments()
def learn(  # noqa: PLR0913 - what a settings file says
    model: nn.Module | str,
    data: Given,
    cost: str = "ebops",
    *,
    operands: Sequence[str] = LEARNED_OPERANDS,
    kept: Mapping[str, FixedPoint] | None = None,
    epochs: int = 1000,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    granularity: WeightGranularity = "weight",
    max_width: int = 16,
    allowed: Sequence[int] = (),
    candidates: int = 1,
    target: float | None = None,
    shapes: Sequence[float] = (),
    trials: int = 10,
    sampler: str = "tpe",
    constraints: Mapping[str, tuple[float | None, float | None]] | None = None,
    measure_front: Sequence[str] = (),
    seed: int = 0,
    directory: Path | str | None = None,
    class_order: Sequence[str] | None = None,
    callbacks: Sequence[Callback] = (),
    trackers: Sequence[str | Tracker] | TrackerSettings = (),
) -> SearchResult:
    """Learn the width of every weight and datum of a model in one training, which gives a whole front.

    The front is of the task's leading metric on the validation part and one ``cost``: "ebops", "bitops",
    "model_size", "energy" or "average_bitwidth". With ``target`` the training is steered to that cost instead
    of through all of them.

    A model that ends in a chain of linear layers with ReLU between them is learned from random weights,
    ``candidates`` of them at once; every other one from the weights that it has, and so is every model where
    ``operands`` is ["weight"] or ["data"] alone: then ``kept`` has the formats of the others, {"data":
    FixedPoint(8, 4)} or "weight" and "bias"; without them they stay float32. ``granularity`` says what
    shares a width: nothing ("weight"), the weights of an output ("channel") or of a layer ("tensor").
    ``max_width`` bounds all widths; with ``allowed`` all are of that list. What is None is as suits the data.
    ``shapes`` are multipliers of each layer's channels, such as [0.25, 0.5, 1]: ``sampler`` proposes
    ``trials`` choices of them (all, where there are no more), each has a training of its own, and all
    networks share one front.
    Arrays are taken as they are: standardise features of other sizes than about 1 before.
    ``constraints`` map costs to (minimum, maximum); ``measure_front``, ``directory``, ``class_order``,
    ``callbacks`` and ``trackers`` are those of ``narrower.search``.

    Raises:
        NarrowerError: the model cannot be learned; the message names its layers and says why.
    """
    for name, given, known in (
        ("cost", cost, LEARNED_COSTS),
        ("granularity", granularity, get_args(WeightGranularity)),
        ("sampler", sampler, SAMPLERS_OF_SHAPES),
    ):
        if given not in known:
            raise SettingsError(f"{name}: found {given!r}; allowed: {', '.join(known)}")
    followers = followers_of(callbacks, trackers)
    model, data = fitting(model, data, class_order)
    settings = (LearnedShapesSettings if shapes else LearnedSettings)(
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        operands=tuple(sorted(set(operands))),
        granularity=granularity,
        max_width=max_width,
        allowed=tuple(sorted(allowed)),
        candidates=candidates,
        cost=cost,
        target=target,
        seed=seed,
    )
    settings.of(len(data.train))  # what does not go together shows here
    bounds = tuple(Constraint(metric, low, high) for metric, (low, high) in (constraints or {}).items())
    options = SearchOptions(LEARNED, seed=seed, measure_front=tuple(measure_front))
    if shapes:
        options = replace(options, sampler=sampler, trials=trials)
    problem = _pose(model, data, settings, bounds, options, _choices(settings, kept or {}, shapes))
    note = f"# Widths of {problem.model_name}, learned from Python; no settings file.\n"
    return searched(problem, directory, note, followers)


def _pose(
    model: nn.Module | str,
    data: DataSet,
    settings: LearnedSettings,
    constraints: tuple[Constraint, ...],
    options: SearchOptions,
    choices: LayerChoices,
) -> Problem:
    module = build_model(model, seed=settings.seed, sizes=data.sizes) if isinstance(model, str) else model
    check_fit(module, data)
    name = model if isinstance(model, str) else type(model).__name__
    program = trace_or_call(module, data.examples, name)
    resizes = choices.width.is_given
    kind: Kind = "quantize_and_resize" if resizes else "quantize"
    space_settings = SpaceSettings("name", (), choices, kind, folds_batch_norm=not resizes)
    channels = tried_channels(module, program, data.examples) if resizes else None
    metric = leading(data.task)
    problem = Problem(
        model_name=name,
        data=data,
        part=data.validation,
        part_name="validation",
        model=module,
        program=program,
        space_settings=space_settings,
        space=build_space(program.network, space_settings, any_fraction, channels),
        objectives=Objectives(
            (Objective(metric.name, metric.direction), Objective(settings.cost, "minimize"))
        ),
        constraints=constraints,
        options=options,
        channels=channels,
        preparation=settings,
        notes=export_notes(program),
    )
    check_possible(problem)
    chain = learnable_chain(lower(program), data.task, settings, problem.subject.kept)
    if chain is None and settings.candidates > 1:
        raise SettingsError(
            f"candidates: found {settings.candidates}; a network that is no chain of linear layers is "
            "learned from the weights that it has; allowed: 1"
        )
    return with_model(problem, module)


def _choices(
    settings: LearnedSettings, kept: Mapping[str, FixedPoint], shapes: Sequence[float]
) -> LayerChoices:
    learned = settings.operands
    if not learned or any(operand not in LEARNED_OPERANDS for operand in learned):
        raise SettingsError(
            f"operands: found {list(learned)}; allowed: {', '.join(LEARNED_OPERANDS)} or both"
        )
    if shapes and not settings.learns_both:
        both = ", ".join(LEARNED_OPERANDS)
        raise SettingsError(f"operands: found {list(learned)}; with shapes both are learned; allowed: {both}")
    allowed = [o for o in OPERANDS if ("data" if o == "data" else "weight") not in learned]
    for operand in kept:
        if operand not in allowed:
            raise SettingsError(f"kept: found {operand!r}; allowed, as they are not learned: {allowed}")
    if not kept:
        wanted = tuple(sorted({_multiplier(shape) for shape in shapes}))
        return LayerChoices(width=WidthChoices(wanted), learned=learned)
    data, weight, bias = (
        OperandChoices((kept[operand].width,), (kept[operand].frac,)) if operand in kept else FLOAT_OPERAND
        for operand in OPERANDS
    )
    return LayerChoices(("fixed",), data, weight, bias, learned=learned)


def _multiplier(shape: float) -> float:
    if not 0 < shape < float("inf"):
        raise SettingsError(f"shapes: found {shape!r}; expected numbers above 0, as [0.5, 1]")
    return float(shape)
