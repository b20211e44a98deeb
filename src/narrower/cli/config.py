"""``narrower config show`` and ``narrower schema``: what a settings file says, and what it may say."""

from pathlib import Path
from typing import Annotated

import typer

from narrower.cli.console import answer, print_json
from narrower.cli.passed_over import say_ignored
from narrower.cli.settings_options import Override, Set
from narrower.settings.explain import dotted
from narrower.settings.layers import read_layers
from narrower.settings.origins import origins, text_with_origins
from narrower.study.read import read_settings

Config = Annotated[Path, typer.Argument(metavar="FILE", help="Settings of a search (TOML).")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

config = typer.Typer(no_args_is_help=True, help="Look at a settings file.")


@config.command("show")
def show(file: Config, set_values: Set = None, override: Override = None, as_json: Json = False) -> None:
    """Print every value of FILE, defaults included, and where it comes from; FILE is not tried."""
    loaded = read_settings(read_layers(file, override or (), set_values or ()))
    say_ignored(loaded)
    if as_json:
        print_json({dotted(key): {"value": value, "from": origin} for key, value, origin in origins(loaded)})
    else:
        answer(text_with_origins(loaded))


def schema() -> None:
    """Print the JSON Schema of settings files, with which editors complete and check them."""
    from narrower.settings.json_schema import settings_schema

    print_json(settings_schema())
