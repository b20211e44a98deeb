"""From the settings file to how to search, where plans are scored, and how the model gets its weights."""

from pathlib import Path

from narrower.errors import SettingsError
from narrower.evaluate.backends.settings import BackendSettings
from narrower.searching.options import DeviceOptions, LatencyOptions, LogicOptions, SearchOptions
from narrower.settings.schema import RunSettings
from narrower.settings.training_tables import with_table
from narrower.training.recipe import Recipe


def backend_settings(settings: RunSettings) -> BackendSettings:
    """Where plans are scored."""
    backend, jobs = settings.search.strategy.backend, settings.search.strategy.setup.n_jobs
    return BackendSettings(
        backend.name,
        None if jobs == "auto" else jobs,
        backend.address,
        backend.max_workers,
        backend.accept_other_bits,
        backend.device or ("auto" if backend.name == "device" else "cpu"),
    )


def search_options(settings: RunSettings) -> SearchOptions:
    """How to go about the search."""
    setup, hardware = settings.search.strategy.setup, settings.search.strategy.hw_runner
    return SearchOptions(
        sampler=setup.sampler,
        trials=setup.n_trials,
        timeout_seconds=setup.timeout,
        batch=setup.batch,
        seed=settings.seed,
        drop_dominated=setup.drop_dominated,
        measure_front=hardware.measure_front or (),
        latency=LatencyOptions(hardware.latency.batch_size, hardware.latency.threads, hardware.latency.limit),
        device=DeviceOptions(hardware.device.processor, hardware.device.pack),
        logic=LogicOptions(hardware.logic.clock_ns),
        allow_uncounted=setup.allow_uncounted,
        uniform_first=setup.uniform_first,
        sensitivity_first=setup.sensitivity_first,
        part=_part(setup.part),
    )


def training_settings(settings: RunSettings) -> Recipe:
    """How the model is trained where it has no weights yet."""
    base = Recipe(
        max_epochs=settings.max_epochs,
        batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        seed=settings.seed,
        accelerator=settings.accelerator,
        log_every_n_steps=settings.log_every_n_steps,
    )
    return with_table(base, settings.training)


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


def _part(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    part, parts = map(int, text.split("/"))
    return part, parts
