"""Options that say where plans are scored, for new searches and for those that go on."""

from dataclasses import replace
from typing import Annotated

import typer

from narrower.errors import SettingsError, unknown_name
from narrower.evaluate.backends.backend import BACKENDS
from narrower.evaluate.backends.settings import BackendSettings
from narrower.settings import checks

Jobs = Annotated[
    str | None,
    typer.Option("--jobs", metavar="N", help="Processes, or auto for one a core; the results are the same."),
]
BackendName = Annotated[
    str | None, typer.Option("--backend", help=f"Where plans are scored: {', '.join(BACKENDS)}.")
]
Address = Annotated[
    str | None, typer.Option("--address", help="Of a Ray cluster: local, auto or ray://host:port.")
]


def with_backend_options(
    settings: BackendSettings, jobs: str | None, name: str | None, address: str | None
) -> BackendSettings:
    """The settings with what was given in their place.

    Raises:
        SettingsError: with the option, what was found and what is allowed.
    """
    if jobs is not None:
        try:
            count = checks.jobs(int(jobs) if jobs.isdecimal() else jobs)
        except ValueError as error:
            raise SettingsError(f"--jobs: {error}") from None
        settings = replace(settings, jobs=None if count == "auto" else count)
    if name is not None:
        if name not in BACKENDS:
            raise unknown_name("backend", name, BACKENDS)
        settings = replace(settings, name=name)
    if address is not None:
        if settings.name != "ray":
            raise SettingsError("--address means something with --backend ray only")
        try:
            settings = replace(settings, address=checks.ray_address(address))
        except ValueError as error:
            raise SettingsError(f"--address: {error}") from None
    return settings
