"""Load the data set of a command, and say what was done with it."""

from pathlib import Path

from narrower.cli.console import note
from narrower.data.datasets import DataSet, load_data_set


def loaded_data(name: str, path: Path | None = None) -> DataSet:
    """The data set of this name; its notes go to stderr."""
    data = load_data_set(name, path=path)
    for line in data.notes:
        note(line)
    return data
