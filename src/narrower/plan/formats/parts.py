"""Which numbers of a tensor share a scale, and how many scales there are."""

from math import ceil, prod

from narrower.plan.formats.fields import Whole, Word

GROUPS = {"group32": 32, "group64": 64, "group128": 128}
PARTS = Word("per", ("tensor", "channel", *GROUPS))
AXES = Whole("an axis", -1, 1, unit="")
FREE_SCALE_BITS = 32
POWER_OF_TWO_BITS = 8  # an exponent
SCALES = Word("scales", ("free", "power_of_two"))
SCALE_BITS = {"free": FREE_SCALE_BITS, "power_of_two": POWER_OF_TWO_BITS}


def parts_of(shape: tuple[int, ...], per: str, axis: int) -> int:
    """How many parts a tensor has; groups are of numbers of one channel that follow one another."""
    if per == "tensor" or not shape:
        return 1
    channels = shape[axis if -len(shape) <= axis < len(shape) else 0]
    if per == "channel":
        return channels
    return channels * ceil(prod(shape) / max(1, channels) / GROUPS[per])
