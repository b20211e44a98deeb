"""``narrower demo``: the main job from start to end, in a new folder, without anything of the user's."""

from contextlib import chdir
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from narrower.cli.console import answer, tell
from narrower.cli.report import report
from narrower.cli.search import search
from narrower.errors import OutputError

SETTINGS = "jsc-toy.toml"
PROJECT = "jsc-toy"

Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="A new folder for all that is written.")]


def demo(context: typer.Context, folder: Folder = Path("narrower-demo")) -> int:
    """Train a small network, search its number formats and write a report, all in a new folder.

    The network tags jets of particles; settings and 55,000 jets come with the program.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise OutputError(f"{folder}: exists already; give the name of a new folder")
        text = files("narrower.cli").joinpath(SETTINGS).read_text(encoding="utf-8")
        (folder / SETTINGS).write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written: {error.strerror}") from error
    tell(f"{folder / SETTINGS}: the settings, as 'narrower search --config' takes them")
    with chdir(folder):
        code = search(context, config=Path(SETTINGS))
        if code == 0:
            report([Path("runs") / PROJECT])
    if code == 0:
        answer(
            f"all of it lies in {folder}; next, with data and a model of your own:\n"
            "  narrower init mine:model data.csv --target COLUMN"
        )
    return code
