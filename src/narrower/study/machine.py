"""What a settings file asks for and this machine does not have: an accelerator, a file of weights."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from narrower.settings.convert import weights_file
from narrower.settings.load import LoadedSettings
from narrower.training.accelerator import accelerators


def on_this_machine(loaded: LoadedSettings) -> LoadedSettings:
    """The settings with the CPU in the place of an accelerator that is not here, which a note says."""
    wanted = loaded.settings.accelerator
    if accelerators()[wanted]:
        return loaded
    settings = loaded.settings.model_copy(update={"accelerator": "cpu"})
    note = f"accelerator: found {wanted!r}, which this machine does not have; goes on on the CPU"
    return replace(loaded, settings=settings, notes=(*loaded.notes, note))


def weights_of(
    loaded: LoadedSettings, given: Path | None, absent: Callable[[str], None] | None
) -> Path | None:
    """The file of weights. Where ``absent`` is told that the one of the settings is not here, there is none.

    Raises:
        SettingsError: the settings name a pickled graph.
    """
    path = weights_file(loaded.settings, given)
    if absent is None or path is None or given is not None or is_file(path):
        return path
    absent(f"load_name: {path} is not on this machine; 'narrower search' needs {WAYS_OUT}")
    return None


WAYS_OUT = (
    "one of these: --load FILE; load_name = a file that is here; no load_name at all, so that the model is "
    "trained first"
)


def is_file(path: Path) -> bool:
    """Whether there is a file; a name that no file can have is none."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False
