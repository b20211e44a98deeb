"""From the settings file's tables to the values that the program works with."""

from pathlib import Path

from narrower.errors import SettingsError
from narrower.searching.objective import METRICS, Constraint, Direction, Objective, Objectives
from narrower.searching.options import SearchOptions
from narrower.searching.space_settings import LayerChoices, OperandChoices, SpaceSettings
from narrower.settings.checks import FAMILIES
from narrower.settings.schema import LayerConfig, RunSettings
from narrower.tasks.training_settings import TrainingSettings


def space_settings(settings: RunSettings) -> SpaceSettings:
    """What may be chosen for which layers."""
    space = settings.search.search_space
    layers = {key: _layer_choices(seed.config) for key, seed in space.seed.items()}
    default = layers.pop("default", None)
    return SpaceSettings(space.setup.by, tuple(layers.items()), default)  # type: ignore[arg-type]


def objectives(settings: RunSettings) -> Objectives:
    """What to improve."""
    strategy = settings.search.strategy
    each = tuple(
        Objective(name, _direction(metric.direction) or METRICS[name].direction, metric.scale)
        for name, metric in strategy.metrics.items()
    )
    setup = strategy.setup
    return Objectives(each, _direction(setup.direction) if setup.sum_scaled_metrics else None)


def constraints(settings: RunSettings) -> tuple[Constraint, ...]:
    """What must hold."""
    return tuple(
        Constraint(name, bound.min, bound.max) for name, bound in settings.search.strategy.constraints.items()
    )


def search_options(settings: RunSettings) -> SearchOptions:
    """How to go about the search."""
    setup = settings.search.strategy.setup
    return SearchOptions(
        sampler=setup.sampler,
        trials=setup.n_trials,
        timeout_seconds=setup.timeout,
        batch=setup.batch,
        seed=settings.seed,
        jobs=setup.n_jobs,
        drop_dominated=setup.drop_dominated,
    )


def training_settings(settings: RunSettings) -> TrainingSettings:
    """How the model is trained where it has no weights yet."""
    return TrainingSettings(
        max_epochs=settings.max_epochs,
        batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        seed=settings.seed,
        accelerator=settings.accelerator,
        log_every_n_steps=settings.log_every_n_steps,
    )


def weights_file(settings: RunSettings, given: Path | None) -> Path | None:
    """The file to load weights from: the one given on the command line, or else the settings' own.

    What kind of file it is, is read from the file itself.

    Raises:
        SettingsError: the settings name a pickled graph.
    """
    if given is not None or settings.load_name is None:
        return given
    if settings.load_type == "mz":
        raise SettingsError(
            "load_type: found 'mz', a pickled graph, which could run any code when it is loaded; save the "
            "weights alone with torch.save(model.state_dict(), 'weights.pt') and load those as 'pt'"
        )
    return Path(settings.load_name)


def _direction(name: str | None) -> Direction | None:
    return name  # type: ignore[return-value]


def _layer_choices(config: LayerConfig) -> LayerChoices:
    families = tuple(dict.fromkeys(FAMILIES[name] for name in config.name))
    return LayerChoices(
        families,
        OperandChoices(config.data_in_width or (), config.data_in_frac_width),
        OperandChoices(config.weight_width or (), config.weight_frac_width),
        OperandChoices(config.bias_width or (), config.bias_frac_width),
    )
