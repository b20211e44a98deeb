"""Say what was given and means nothing: keys of a file in a warning, options as a mistake."""

from collections.abc import Sequence

import typer

from narrower.cli.console import warn
from narrower.errors import SettingsError
from narrower.settings.load import LoadedSettings


def say_ignored(loaded: LoadedSettings) -> None:
    """Name the keys of a file that mean nothing here, in one warning, and what else was made of it."""
    if loaded.ignored:
        warn(f"without meaning here and passed over: {', '.join(loaded.ignored)}")
    warn(*loaded.notes)


def refuse_given(context: typer.Context, names: Sequence[str], why: str) -> None:
    """Refuse options that were given on the command line although they mean nothing here."""
    sources = {name: context.get_parameter_source(name) for name in names}
    given = [name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"]
    if given:
        options = ", ".join("--" + name.removesuffix("_values").replace("_", "-") for name in given)
        raise SettingsError(f"{options}: {why}")
