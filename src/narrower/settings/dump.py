"""Resolved settings as TOML: what ``settings.toml`` of a run holds."""

import tomli_w

from narrower.settings.schema import RunSettings


def settings_text(settings: RunSettings) -> str:
    """TOML with every value that is set, defaults included."""
    return tomli_w.dumps(settings.model_dump(exclude_none=True, warnings=False, by_alias=True))
