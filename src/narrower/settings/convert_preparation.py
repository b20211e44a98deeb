"""From the tables of training and space to how plans get their weights."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from narrower.errors import Mistakes, SettingsError
from narrower.plan.formats.calibration import ADJUSTMENTS
from narrower.preparation.learning.settings import LEARNED_COSTS
from narrower.preparation.settings import (
    AdjustedSettings,
    CandidateSettings,
    CrossValidatedSettings,
    LearnedSettings,
    LearnedShapesSettings,
    PreparationSettings,
    RetrainedSettings,
    SharedSettings,
)
from narrower.searching.match_layers import SEED
from narrower.settings.basic_train import basic_train_notes, with_basic_train
from narrower.settings.checks import shown
from narrower.settings.convert import training_settings
from narrower.settings.convert_space import learned_configs
from narrower.settings.layer_table import LayerConfig
from narrower.settings.load import about
from narrower.settings.schema import SPACE_KINDS, RunSettings
from narrower.settings.strategy_table import DATA_LOADERS, LEARNED
from narrower.settings.table import given_keys
from narrower.settings.training_tables import (
    OF_RESIZED,
    RECIPE_KEYS,
    ROUNDS,
    WHENS,
    CandidateTraining,
    with_table,
)
from narrower.training.finetuning import Finetuning
from narrower.training.recipe import Recipe

# What of [search.strategy.training] means something where widths are learned.
SAMPLERS_OF_SHAPES = ("brute_force", "random", "grid", "tpe")  # where widths of channels are searched as well
OF_A_LEARNED_FRONT = ("n_epochs", "max_epochs", "batch_size", "learning_rate", "n_seeds", "target")


def preparation_settings(settings: RunSettings) -> PreparationSettings:
    """How plans get their weights.

    Raises:
        SettingsError: beginning with the key, where it contradicts the others.
    """
    strategy, where = settings.search.strategy, "search.strategy.training"
    if configs := learned_configs(settings):
        return _learned_settings(settings, configs)
    if strategy.setup.sampler == LEARNED:
        raise SettingsError(
            "search.strategy.setup.sampler: found 'learned', and no layer has learn = ['weight', 'data'] in "
            "its config"
        )
    if strategy.training is not None and strategy.training.target is not None:
        raise SettingsError(f"{where}.target: means nothing where no widths are learned")
    if SPACE_KINDS[settings.search.search_space.name] == "quantize":
        return _of_formats(settings, where)
    return _of_widths(settings, where)


def _of_widths(settings: RunSettings, where: str) -> PreparationSettings:
    """How candidates of other widths get their weights."""
    strategy, mistakes = settings.search.strategy, Mistakes()
    given = strategy.training or CandidateTraining()
    if given.when is not None:
        raise SettingsError(
            f"{where}.when: found {given.when!r}, which is for number formats alone; resized candidates are "
            "trained before they are scored with eval_mode = false"
        )
    if given.start is not None:
        raise SettingsError(f"{where}.from: means nothing for resized candidates; allowed: weights")
    if given.seeds is not None or given.folds is not None:
        raise SettingsError(f"{where}.seeds and folds: mean nothing for resized candidates; allowed: n_seeds")
    weights = given.weights or ("slice" if strategy.eval_mode else "scratch")
    if strategy.eval_mode:
        if weights == "scratch":
            mistakes.found.append(
                f"{where}.weights: found 'scratch' with eval_mode = true: every candidate would be scored "
                "with random weights; allowed: slice, net2net, or eval_mode = false, which trains each"
            )
        mistakes.found += [
            f"{where}.{key}: nothing is trained with eval_mode = true; set it to false"
            for key in ("n_epochs", *RECIPE_KEYS, "n_seeds", "keep")
            if key in given_keys(given)
        ]
        mistakes.check()
    training = _of_candidates(settings, given)
    return CandidateSettings(
        weights,  # type: ignore[arg-type]
        given.importance,  # type: ignore[arg-type]
        None if strategy.eval_mode else training,
        given.n_seeds,
        given.keep,  # type: ignore[arg-type]
    )


def _of_formats(settings: RunSettings, where: str) -> PreparationSettings:
    """How plans get their weights that are number formats alone."""
    strategy = settings.search.strategy
    given = strategy.training
    if ways := settings.search.search_space.setup.adjust:
        if given is not None or not strategy.eval_mode:
            raise SettingsError(
                f"search.search_space.setup.adjust: found {list(ways)}; plans that are trained are not "
                "adjusted; allowed: eval_mode = true, no training"
            )
        return AdjustedSettings(tuple(way for way in ADJUSTMENTS if way in ways))
    if given is None:
        return SharedSettings() if strategy.eval_mode else RetrainedSettings(_of_plans(settings))
    if given.when is None and strategy.eval_mode:
        raise SettingsError(
            f"{where}: means nothing with eval_mode = true in this kind of space; allowed: "
            f"when = {' or '.join(map(repr, WHENS))}, which trains plans in their number formats"
        )
    meaningless = [key for key in given_keys(given) if key in OF_RESIZED]
    if meaningless:
        raise SettingsError(
            f"{where}.{meaningless[0]}: means nothing in this kind of space; search_space.name = 'resize' or "
            "'quantize_and_resize' has candidates of other widths"
        )
    if DATA_LOADERS[strategy.sw_runner.basic_evaluation.data_loader] == "train":
        raise SettingsError(
            "search.strategy.sw_runner.basic_evaluation.data_loader: found 'train_dataloader', whose samples "
            "train the plans; allowed: val_dataloader, test_dataloader"
        )
    of_rounds = [key for key in ("rounds", "order") if getattr(given, key) is not None]
    if of_rounds and given.when != "rounds":
        raise SettingsError(f"{where}.{of_rounds[0]}: means something with when = 'rounds' alone")
    if given.start is not None and given.when in ("front", "rounds"):
        raise SettingsError(
            f"{where}.from: means something with when = 'candidates' alone; members of a front start "
            "from the float weights"
        )
    if given.when in ("front", "rounds"):
        if not strategy.eval_mode:
            raise SettingsError(
                f"search.strategy.eval_mode: found false, which trains each plan before it is scored; with "
                f"{where}.when = {given.when!r} plans are trained after the search: allowed is true"
            )
        finetuning(settings)
        return SharedSettings()
    return _of_trained(settings, given, where)


def _of_trained(settings: RunSettings, given: CandidateTraining, where: str) -> RetrainedSettings:
    """How plans are trained before they are scored."""
    recipe, seeds, folds = _of_candidates(settings, given), given.seeds or 1, given.folds or 1
    start: Any = given.start or "float"
    if folds == 1:
        return RetrainedSettings(recipe, start, seeds)
    with about(where):
        return CrossValidatedSettings(recipe, start, seeds, folds, training_settings(settings))


def _of_plans(settings: RunSettings) -> Recipe:
    """As the model, but for what a table of MASE/chop says."""
    return with_basic_train(training_settings(settings), settings.search.strategy.sw_runner.basic_train)


def finetuning(settings: RunSettings) -> Finetuning:
    """How plans are trained after the search, where that is done.

    Raises:
        SettingsError: beginning with the key, where it contradicts itself.
    """
    given = settings.search.strategy.training or CandidateTraining()
    rounds = (given.rounds or ROUNDS) if given.when == "rounds" else 1
    with about("search.strategy.training"):
        return Finetuning(
            _of_candidates(settings, given),
            rounds,
            given.seeds or 1,
            given.folds or 1,
            training_settings(settings),
            given.order,
        )


def trains_after(settings: RunSettings) -> bool:
    """Whether plans are trained after the search."""
    given = settings.search.strategy.training
    return given is not None and given.when in ("front", "rounds")


def _of_candidates(settings: RunSettings, given: CandidateTraining) -> Recipe:
    """How plans are trained: as the model, but for what their own table says."""
    if given.n_epochs is not None and given.max_epochs is not None:
        raise SettingsError("search.strategy.training.n_epochs: another name of max_epochs; give one of them")
    recipe = with_table(_of_plans(settings), given)
    return recipe if given.n_epochs is None else replace(recipe, max_epochs=given.n_epochs)


def _learned_settings(settings: RunSettings, configs: Mapping[str, LayerConfig]) -> LearnedSettings:
    """How one training learns all widths.

    Raises:
        SettingsError: beginning with the keys that contradict each other.
    """
    strategy, mistakes = settings.search.strategy, Mistakes()
    first, *others = configs.items()
    mistakes.found += _disagreeing(first, others)
    is_resized = SPACE_KINDS[settings.search.search_space.name] != "quantize"
    samplers = SAMPLERS_OF_SHAPES if is_resized else (LEARNED,)
    if strategy.setup.sampler not in samplers:
        what = (
            "a sampler proposes the widths of channels" if is_resized else "the training proposes the plans"
        )
        mistakes.found.append(
            f"search.strategy.setup.sampler: found {strategy.setup.sampler!r}; where widths are learned, "
            f"{what}; allowed: {', '.join(samplers)}"
        )
    mistakes.found += [
        f"search.strategy.setup.{key}: means nothing where widths are learned; the training ends after "
        "search.strategy.training.n_epochs"
        for key in (("timeout", "batch") if is_resized else ("n_trials", "timeout", "batch"))
        if getattr(strategy.setup, key) is not None
    ]
    given = strategy.training or CandidateTraining()
    mistakes.found += [
        f"search.strategy.training.{key}: means nothing where widths are learned; allowed: "
        + ", ".join(OF_A_LEARNED_FRONT)
        for key in given_keys(given)
        if key not in OF_A_LEARNED_FRONT
    ]
    if given.n_epochs is not None and given.max_epochs is not None:
        mistakes.found.append("search.strategy.training.n_epochs: another name of max_epochs; give one")
    cost = next((name for name in strategy.metrics if name in LEARNED_COSTS), LEARNED_COSTS[0])
    mistakes.found += [
        f"search.strategy.training.target.{key}: the training lowers {cost} (search.strategy.metrics), and "
        f"comes to a target of that"
        for key in (() if given.target is None else given_keys(given.target))
        if key != cost
    ]
    mistakes.check()
    config, usual = first[1], LearnedSettings()
    with mistakes.about(f"{SEED}.{first[0]}.config"):
        made = (LearnedShapesSettings if is_resized else LearnedSettings)(
            epochs=given.n_epochs or given.max_epochs or usual.epochs,
            batch_size=given.batch_size,
            learning_rate=given.learning_rate,
            operands=tuple(sorted(set(config.learn or ()))),
            granularity=config.granularity or usual.granularity,  # type: ignore[arg-type]
            max_width=config.max_width or usual.max_width,
            allowed=tuple(sorted(config.allowed or ())),
            candidates=given.n_seeds,
            cost=cost,
            target=None if given.target is None else getattr(given.target, cost),
            seed=settings.seed,
        )
        made.of(1)  # what does not go together shows here
    mistakes.check()
    return made


def _disagreeing(first: tuple[str, LayerConfig], others: Sequence[tuple[str, LayerConfig]]) -> list[str]:
    """What layers say that one training has once for all of them."""
    return [
        f"{SEED}.{key}.config.{name}: found {shown(getattr(config, name))}, and {first[0]} has "
        f"{shown(getattr(first[1], name))}; one training has one {name} for all layers"
        for key, config in others
        for name in ("learn", "granularity", "max_width", "allowed")
        if getattr(config, name) != getattr(first[1], name)
    ]


def runner_notes(settings: RunSettings) -> tuple[str, ...]:
    """What has no effect of how plans are said to be trained."""
    strategy = settings.search.strategy
    given = strategy.training
    trains = not strategy.eval_mode or (given is not None and given.when is not None)
    return basic_train_notes(strategy.sw_runner.basic_train, trains=trains)
