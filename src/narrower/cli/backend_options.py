"""Options that say where plans are scored, for new searches and for those that go on."""

from typing import Annotated

import typer

from narrower.settings.backend import BACKEND_NAMES

Jobs = Annotated[
    str | None,
    typer.Option("--jobs", metavar="N", help="Processes, or auto for one a core; the results are the same."),
]
BackendName = Annotated[
    str | None, typer.Option("--backend", help=f"Where plans are scored: {', '.join(BACKEND_NAMES)}.")
]
Device = Annotated[
    str | None,
    typer.Option("--device", help="Scores plans: cpu, cuda, cuda:1, mps or auto, the fastest that is here."),
]
Address = Annotated[
    str | None, typer.Option("--address", help="Of a Ray cluster: local, auto or ray://host:port.")
]
