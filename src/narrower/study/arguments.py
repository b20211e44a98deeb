"""What is wrong with a search from Python, in words of its arguments, not of the keys of a settings file."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from narrower.errors import SettingsError

_LAYER = r"search\.search_space\.seed\.([^:\s,]+?)"
# What a settings file says, as patterns in the order in which they are tried, and what an argument says.
WORDS: tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...] = (
    (rf"{_LAYER}\.config\.data_in_width\b", r"space['\1']['data']"),
    (rf"{_LAYER}\.config\.(weight|bias)_width\b", r"space['\1']['\2']"),
    (rf"{_LAYER}\.config\.data_in_frac_width\b", r"space['\1']['data_frac']"),
    (rf"{_LAYER}\.config\.(weight|bias)_frac_width\b", r"space['\1']['\2_frac']"),
    (rf"{_LAYER}\.config\.(channel_multiplier|out_features|parent_block_name)\b", r"space['\1']['width']"),
    (rf"{_LAYER}\.config\b", r"space['\1']"),
    (r"search\.search_space\.seed\.([^:\s,]+)", r"space['\1']"),
    (r"search\.search_space\.(seed|name)\b", "space"),
    (r"search\.search_space\.setup\.(\w+)", r"\1"),
    (r"search\.strategy\.constraints\.([^:\s]+?)\.min\b", r"constraints['\1'][0]"),
    (r"search\.strategy\.constraints\.([^:\s]+?)\.max\b", r"constraints['\1'][1]"),
    (r"search\.strategy\.constraints\.([^:\s]+)", r"constraints['\1']"),
    (r"search\.strategy\.metrics\.([^:\s]+)", r"objectives: \1"),
    (r"search\.strategy\.(?:hw_runner|setup)\.(\w+)", r"\1"),
    (r"search\.strategy\.sw_runner\.basic_evaluation\.num_samples\b", "samples"),
    (r"search\.strategy\.sw_runner\.basic_evaluation\.data_loader\b", "part"),
    (r"\bval_dataloader\b", "'validation'"),
    (r"search\.strategy\.(?:training|eval_mode)\b", "candidates"),
    (r"\b(\w+) = (true|false)\b", lambda m: f"{m[1]}={m[2].capitalize()}"),
    (r"\ballowed: (true|false)\b", lambda m: f"allowed: {m[1].capitalize()}"),
)


@contextmanager
def spoken_of_arguments() -> Iterator[None]:
    """Say what is wrong in the words of the arguments of ``narrower.search``."""
    try:
        yield
    except SettingsError as error:
        raise SettingsError(as_arguments(str(error))) from error


def as_arguments(text: str) -> str:
    """A sentence about a settings file, about arguments."""
    for pattern, words in WORDS:
        text = re.sub(pattern, words, text)
    return text
