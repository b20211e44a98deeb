"""``--set`` and ``--override``: what takes the place of values of a settings file."""

from pathlib import Path
from typing import Annotated

import typer

from narrower.cli.complete import like_key

Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="A value in the place of the file's; give it several times.",
        autocompletion=like_key,
    ),
]
Override = Annotated[
    list[Path] | None,
    typer.Option("--override", metavar="FILE", help="A settings file (TOML) whose values go over the first."),
]
