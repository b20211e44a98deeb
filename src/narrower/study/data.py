"""The data set that a settings file names, or what stands in for it where its file is not here."""

from pathlib import Path

from narrower.data.absent import is_known, stand_in
from narrower.data.datasets import DataSet, load_data_set
from narrower.errors import AbsentDataError, DataError, SettingsError
from narrower.settings.data_keys import request_of
from narrower.settings.load import about
from narrower.settings.schema import RunSettings


def named_data(settings: RunSettings) -> DataSet:
    """The data set, read from its file where it has one.

    Raises:
        SettingsError: beginning with the key, where it cannot be had.
    """
    path = Path(settings.data_path) if settings.data_path else None
    try:
        request = request_of(settings.dataset, settings)
    except DataError as error:  # begins with the key
        raise SettingsError(str(error)) from error
    with about("data_path" if path else "dataset"):
        return load_data_set(request.text, path=path)


def present_data(settings: RunSettings) -> tuple[DataSet, str | None]:
    """The data set; or samples of its shape and classes, and a sentence that says which file is missing.

    Raises:
        SettingsError: beginning with the key, where it is there and cannot be read.
    """
    try:
        return named_data(settings), None
    except SettingsError as error:
        if not isinstance(error.__cause__, AbsentDataError) or not is_known(settings.dataset):
            raise
        return stand_in(settings.dataset), f"{error}; the rest of the file is checked without the data"
