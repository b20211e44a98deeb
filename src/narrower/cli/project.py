"""The option ``--project``: the name of a run, which every command understands in the same way."""

from typing import Annotated

import typer

from narrower.settings import checks


def _named(text: str) -> str:
    try:
        return checks.directory_name(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


Project = Annotated[
    str | None,
    typer.Option("--project", parser=_named, metavar="TEXT", help="Name of the new run, below runs/."),
]
