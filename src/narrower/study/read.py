"""Read a settings file; everything that is wrong with it is said at once."""

from collections.abc import Callable
from pathlib import Path

from narrower.errors import SettingsError, SeveralMistakesError
from narrower.settings.layers import Layers, read_layers
from narrower.settings.load import LoadedSettings, draft_of, in_order, located

Say = Callable[[str], None]


def read_settings(
    source: Path | Layers, data_path: Path | None = None, *, absent: Say | None = None
) -> LoadedSettings:
    """Read and validate settings; where they have mistakes, look at all the rest as well.

    ``data_path`` takes the place of the file's own there. ``absent`` is told what is missing where
    data are not here; without it that is a mistake.

    Raises:
        SettingsError: with file, line, key, what was found and what is allowed, for every mistake.
    """
    layers = read_layers(source) if isinstance(source, Path) else source
    draft = draft_of(layers)
    if draft.loaded is not None:
        return draft.loaded
    mistakes = list(draft.mistakes)
    if draft.rest is not None:
        from narrower.study.pose import look_at_rest  # torch takes seconds to import

        try:
            with located(layers):
                given = {} if data_path is None else {"data_path": str(data_path)}
                rest = draft.rest.model_copy(update=given)
                look_at_rest(rest, draft.wrong, absent=absent)
        except SettingsError as error:
            mistakes += error.mistakes if isinstance(error, SeveralMistakesError) else [str(error)]
    raise SeveralMistakesError(in_order(layers, mistakes), layers.main)
