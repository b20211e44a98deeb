"""``narrower init``: write settings for a first search of a model and data of the user's own."""

from pathlib import Path
from typing import Annotated

import typer

from narrower.cli.check import check
from narrower.cli.console import tell
from narrower.cli.own_modules import say_imports
from narrower.cli.train import Dataset, Model, Target
from narrower.data.catalogue import wished
from narrower.errors import OutputError
from narrower.store.files import check_output

Output = Annotated[Path, typer.Option("--output", help="The file to write.")]


def init(model: Model, dataset: Dataset, target: Target = None, output: Output = Path("search.toml")) -> None:
    """Look at MODEL and DATASET and write a settings file with comments, for a first search.

    A module of your own is imported. Then it says what the search would do, as 'narrower check' does.
    """
    check_output(output)
    if output.exists():
        raise OutputError(f"{output}: exists already; give another name with --output")
    from narrower.data.datasets import load_data_set
    from narrower.study.first_settings import first_settings

    name = wished(dataset, target)
    say_imports(name, (model,))
    text = first_settings(model, name, load_data_set(name))  # what is said of the data, the check says
    output.write_text(text, encoding="utf-8")
    tell(f"{output}: settings with comments; search with 'narrower search --config {output}'")
    check(output)
