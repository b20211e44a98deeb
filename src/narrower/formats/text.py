"""The text form of number formats, and back."""

import re
from collections.abc import Callable

from narrower.errors import SettingsError, nearest
from narrower.formats.fixed import FixedPoint
from narrower.formats.float32 import FLOAT32
from narrower.formats.number_format import NumberFormat

_CALL = re.compile(r"\s*(?P<name>\w+)\s*(?:\(\s*(?P<width>\d+)\s*,\s*frac\s*=\s*(?P<frac>-?\d+|NA)\s*\))?\s*")


def _fixed(signed: bool) -> Callable[[int, int], NumberFormat]:
    return lambda width, frac: FixedPoint(width, frac, signed)


FORMATS: dict[str, Callable[[int, int], NumberFormat]] = {"fixed": _fixed(True), "ufixed": _fixed(False)}
NAMES = ("float32", *FORMATS)


def parse_format(text: str) -> NumberFormat:
    """Read ``float32``, ``fixed(8,frac=4)`` or ``fixed(8,frac=NA)`` (half the width).

    Raises:
        SettingsError: the text is no number format.
    """
    match = _CALL.fullmatch(text)
    name = match["name"] if match else text.split("(", maxsplit=1)[0].strip()
    if name not in NAMES:
        raise SettingsError(
            f"unknown number format {text!r}{nearest(name, NAMES)}; allowed: {', '.join(NAMES)}"
        )
    if match and name == "float32" and match["width"] is None:
        return FLOAT32
    if not match or name == "float32" or match["width"] is None:
        raise SettingsError(
            f"{text!r} is no number format; examples: float32, fixed(8,frac=4), fixed(8,frac=NA)"
        )
    width = int(match["width"])
    return FORMATS[name](width, width // 2 if match["frac"] == "NA" else int(match["frac"]))
