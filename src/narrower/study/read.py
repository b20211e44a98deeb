"""Read a settings file; everything that is wrong with it is said at once."""

from collections.abc import Callable
from pathlib import Path

from narrower.errors import SettingsError, SeveralMistakesError
from narrower.settings.load import LoadedSettings, in_order, located, read_draft

Say = Callable[[str], None]


def read_settings(path: Path, data_path: Path | None = None, *, absent: Say | None = None) -> LoadedSettings:
    """Read and validate a settings file; where it has mistakes, look at all the rest as well.

    ``data_path`` takes the place of the file's own there. ``absent`` is told what is missing where
    data are not here; without it that is a mistake.

    Raises:
        SettingsError: with file, line, key, what was found and what is allowed, for every mistake.
    """
    draft = read_draft(path)
    if draft.loaded is not None:
        return draft.loaded
    mistakes = list(draft.mistakes)
    if draft.rest is not None:
        from narrower.study.pose import look_at_rest  # torch takes seconds to import

        try:
            with located(path):
                given = {} if data_path is None else {"data_path": str(data_path)}
                rest = draft.rest.model_copy(update=given)
                look_at_rest(rest, draft.wrong, absent=absent)
        except SettingsError as error:
            mistakes += error.mistakes if isinstance(error, SeveralMistakesError) else [str(error)]
    raise SeveralMistakesError(in_order(path, mistakes), str(path))
