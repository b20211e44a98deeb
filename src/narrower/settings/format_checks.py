"""Checks of what a settings file says of number formats and widths of a layer."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from narrower.plan.formats.block import BLOCKS
from narrower.plan.formats.calibration import LEAST_PERCENTILE, MOST_PERCENTILE
from narrower.plan.formats.fixed import FRACTIONS, WIDTHS
from narrower.plan.formats.minifloat import BIASES
from narrower.plan.formats.parts import PARTS, SCALES
from narrower.plan.formats.sparse import GROUP
from narrower.searching.format_names import NOT_QUANTIZED, SPELLED
from narrower.settings.checks import allows, number, one_of, shown, whole_number, yes_or_no

LEAST_ZEROS = 0.01  # a share
FAMILIES = {**SPELLED, NOT_QUANTIZED: NOT_QUANTIZED}  # number formats by every spelling
SCOPES = ("output_only", "both", "input_only")  # what of a layer is resized; inputs follow in any case
KINDS_OF_LAYERS = ("linear", "relu")  # as names: a layer with a width of its own, one without
LARGEST_MULTIPLIER = 1000


@allows({"anyOf": [{"type": "integer", "minimum": WIDTHS.low, "maximum": WIDTHS.high}, {"const": "NA"}]})
def width(value: Any) -> int | str:
    """A width in bits, or "NA" for an operand that is not quantized."""
    if value == "NA":
        return "NA"
    if isinstance(value, bool) or not isinstance(value, int) or not WIDTHS.low <= value <= WIDTHS.high:
        raise ValueError(f"found {shown(value)}; allowed: whole numbers from {WIDTHS.allowed}, or 'NA'")
    return value


@allows({"type": "number", "exclusiveMinimum": 0, "maximum": LARGEST_MULTIPLIER})
def multiplier(value: Any) -> float:
    """What a number of channels is multiplied by."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 < value <= LARGEST_MULTIPLIER:
        raise ValueError(f"found {shown(value)}; allowed: numbers above 0, up to {LARGEST_MULTIPLIER}")
    return float(value)


@allows(
    {
        "anyOf": [
            {"type": "integer", "minimum": FRACTIONS.low, "maximum": FRACTIONS.high},
            {"enum": ["NA", "auto"]},
        ]
    }
)
def fraction(value: Any) -> int | str:
    """A fraction width in bits, "NA" for half the width, or "auto"."""
    if value in ("NA", "auto") and isinstance(value, str):
        return str(value)
    if isinstance(value, bool) or not isinstance(value, int) or not FRACTIONS.low <= value <= FRACTIONS.high:
        raise ValueError(
            f"found {shown(value)}; allowed: whole numbers from {FRACTIONS.allowed}, "
            "'NA' (half the width) or 'auto'"
        )
    return value


@allows({"anyOf": [{"type": "integer", "minimum": BIASES.low, "maximum": BIASES.high}, {"const": "NA"}]})
def exponent_bias(value: Any) -> int | str:
    """The bias of an exponent, or "NA" for the one that puts 1 in the middle of the exponents."""
    if value in ("NA", "none", "None") and isinstance(value, str):
        return "NA"
    if isinstance(value, bool) or not isinstance(value, int) or not BIASES.low <= value <= BIASES.high:
        raise ValueError(
            f"found {shown(value)}; allowed: whole numbers from {BIASES.allowed}, or 'NA' (half of the "
            "exponents below 1)"
        )
    return value


@allows({"anyOf": [{"type": "integer", "minimum": BLOCKS.low, "maximum": BLOCKS.high}, {"type": "array"}]})
def block_size(value: Any) -> int:
    """Numbers in a block; as a list, the sizes along each axis, of which all but the last are 1."""
    sizes = value if isinstance(value, list) and value else [value]
    checked = [whole_number(BLOCKS.low, BLOCKS.high)(size) for size in sizes]
    if any(size != 1 for size in checked[:-1]):
        raise ValueError(f"found {shown(value)}; allowed: blocks along one axis, such as 16 or [1, 16]")
    return checked[-1]


def _only(wanted: bool, why: str) -> Callable[[Any], Any]:
    """A check for one truth value: what the other means does not exist here."""

    @allows({"const": wanted})
    def check(value: Any) -> Any:
        if value is not wanted:
            raise ValueError(f"found {shown(value)} ({why}); allowed: {shown(wanted)}")
        return wanted

    return check


percentile = number(
    f"a number above {LEAST_PERCENTILE:g}, up to {MOST_PERCENTILE:g}",
    lambda value: LEAST_PERCENTILE < value <= MOST_PERCENTILE,
)


@allows(
    {
        "anyOf": [
            {"type": "number", "minimum": 0, "maximum": 0.99},
            {"type": "string", "pattern": "^\\d+:\\d+$"},
        ]
    }
)
def sparsity(value: Any) -> float | str:
    """A share of zeros, or N:M with N of each M numbers kept."""
    if isinstance(value, str) and (match := re.fullmatch(r"(\d+):(\d+)", value)):
        kept, group = map(int, match.groups())
        if 1 <= kept < group <= GROUP.high:
            return value
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and (value == 0 or LEAST_ZEROS <= value <= 1 - LEAST_ZEROS):
        return float(value)
    raise ValueError(
        f"found {shown(value)}; allowed: 0, a share of zeros from 0.01 to 0.99, or 'N:M' with N of each M "
        f"weights kept, such as '2:4', M up to {GROUP.high}"
    )


# Checks of the options of an operand besides width and fraction, by the end of the key, each with an example.
FORMAT_OPTIONS: Mapping[str, tuple[Callable[[Any], Any], str]] = {
    "exponent_width": (whole_number(1, 8), "[3, 4]"),
    "block_size": (block_size, "[16]"),
    "stochastic": (_only(False, "values are not rounded at random"), "[false]"),
    "bipolar": (_only(True, "binary values are -1 and 1; 0 and 1 are 'fixed' of one unsigned bit"), "[true]"),
    "scaling_factor": (yes_or_no, "[true]"),
    "symmetric": (yes_or_no, "[true]"),
    "scales": (one_of(SCALES.words), "['free']"),
    "range": (one_of(("max", "mse", "percentile", "cross_entropy")), "['max']"),
    "per": (one_of(PARTS.words), "['channel']"),
    "exponent_bias": (exponent_bias, "['NA'] or [7]"),
    "sparsity": (sparsity, "[0, 0.5, '2:4']"),
}
