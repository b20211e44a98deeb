"""How large a sample is and how many classes there are: what some models are built for."""

import json
from dataclasses import asdict, dataclass
from math import prod

SAMPLES_AT_ONCE = 4096  # that go through a model where nothing else decides
USUAL_CLASSES = 10  # where nothing says how many there are
LARGEST_SAMPLE = 3 * 224 * 224  # values; a file must not make a model of any size
LARGEST_CLASSES = 2**16


@dataclass(frozen=True, slots=True)
class Sizes:
    """The shape of one sample, and the number of classes; the names of a model's arguments, if known."""

    sample: tuple[int, ...]
    classes: int
    arguments: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The JSON form, as it is kept beside weights."""
        return json.dumps(asdict(self))


def sizes_from_text(text: str) -> Sizes | None:
    """What ``Sizes.text`` wrote; None where it is something else, or larger than can be meant."""
    try:
        held = json.loads(text)
        sample, classes, arguments = held["sample"], held["classes"], held.get("arguments", ())
        numbers = [*sample, classes]
    except (ValueError, TypeError, KeyError):
        return None
    if not all(isinstance(number, int) and number > 0 for number in numbers):
        return None
    if not all(isinstance(name, str) and name.isidentifier() for name in arguments):
        return None
    is_small = prod(sample) <= LARGEST_SAMPLE and classes <= LARGEST_CLASSES
    return Sizes(tuple(sample), classes, tuple(arguments)) if is_small else None
