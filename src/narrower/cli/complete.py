"""What a shell completes: names of runs, models, data sets, samplers, layers and keys of settings files."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from narrower.data.catalogue import DATA_SETS
from narrower.models.catalogue import MODELS
from narrower.searching.samplers.catalogue import SAMPLERS
from narrower.store.run_directory import list_runs
from narrower.store.trackers.catalogue import TRACKERS


def like_run(incomplete: str) -> list[str]:
    """Runs below runs/."""
    return _beginning((str(run.path) for run in list_runs()), incomplete)


def like_model(incomplete: str) -> list[str]:
    """Built-in models."""
    return _beginning(MODELS, incomplete)


def like_data_set(incomplete: str) -> list[str]:
    """Built-in data sets."""
    return _beginning(DATA_SETS, incomplete)


def like_sampler(incomplete: str) -> list[str]:
    """Samplers of a search."""
    return _beginning(SAMPLERS, incomplete)


def like_tracker(incomplete: str) -> list[str]:
    """What a search can be written down with."""
    return _beginning(TRACKERS, incomplete)


def like_layer(context: typer.Context, incomplete: str) -> list[str]:
    """Layers of the built-in model that stands before, for an option LAYER=VALUE or a list of layers."""
    *before, last = incomplete.split(",")
    start = "".join(f"{layer}," for layer in before)
    given = [context.params.get("model"), *context.args]  # unfinished lines leave arguments unread
    model = next((name for name in given if name in MODELS), None)
    return [f"{start}{layer}" for layer in _layers(model) if layer.startswith(last)]


def like_key(incomplete: str) -> list[str]:
    """Keys of settings files, for KEY=VALUE."""
    from narrower.settings.schema import RunSettings

    return _beginning((f"{key}=" for key in _keys(RunSettings, "")), incomplete)


Runs = Annotated[
    list[Path], typer.Argument(help="Directory of a run; several are compared.", autocompletion=like_run)
]
Run = Annotated[Path, typer.Argument(help="Directory of a run.", autocompletion=like_run)]


def _beginning(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]


def _layers(model: str | None) -> Iterator[str]:
    """Layers that have weights; of a model of the user's own none, for its code is not run for this."""
    if model is None:
        return
    from narrower.models.build import build_model

    for name, module in build_model(model).named_modules():
        if name and next(module.parameters(recurse=False), None) is not None:
            yield name


def _keys(table: Any, start: str) -> Iterator[str]:
    from narrower.settings.explain import table_type

    for name, field in table.model_fields.items():
        below = table_type(field.annotation)
        if isinstance(below, type):
            yield from _keys(below, f"{start}{name}.")
        elif below is None:
            yield f"{start}{name}"
