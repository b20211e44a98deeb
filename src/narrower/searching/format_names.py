"""Which number formats the names in a search space stand for, and which options of an operand they read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from narrower.formats.affine import Affine, affine_over
from narrower.formats.fixed import FixedPoint
from narrower.formats.minifloat import MINIFLOAT, Minifloat, usual_bias
from narrower.formats.number_format import NumberFormat
from narrower.formats.text import parse_format

NOT_QUANTIZED = "NA"
Option = int | float | str
Options = Mapping[str, Option]  # by the end of their key: "width" of weight_width


@dataclass(frozen=True, slots=True)
class Operand:
    """What an operand's format may depend on besides its options.

    ``name`` is data, weight or bias. ``auto_fraction`` gives the fraction width with the least squared error
    at a width, ``data_range`` the smallest and the largest value of data. ``rounding``, ``overflow`` and
    ``signed`` are for fixed point. ``channel_axis`` is the one of a weight's output channels.
    """

    name: str
    auto_fraction: Callable[[int], int]
    data_range: Callable[[], tuple[float, float]]
    channel_axis: int = 0
    rounding: str = "half_even"
    overflow: str = "saturate"
    signed: bool = True


@dataclass(frozen=True, slots=True)
class NamedFormats:
    """What a name stands for: the ``keys`` of an operand's options that it reads, and the format they give.

    ``weight_keys`` are read of weights alone. A name that reads none is for data and weight; the bias stays
    as it is. ``sees_data`` where data get formats that follow from what they are.
    """

    keys: tuple[str, ...]
    make: Callable[[Options, Operand], NumberFormat]
    weight_keys: tuple[str, ...] = ()
    sees_data: bool = False

    def keys_of(self, operand: str) -> tuple[str, ...]:
        """The keys that it reads of data, weight or bias."""
        return (*self.keys, *self.weight_keys) if operand == "weight" else self.keys


def _fixed(options: Options, operand: Operand) -> NumberFormat:
    width, fraction = _whole(options, "width"), options["frac_width"]
    if fraction == "auto":
        fraction = operand.auto_fraction(width)
    # Without a sign there is nothing below zero that could be more than above it.
    is_symmetric = operand.overflow == "saturate_symmetric" and not operand.signed
    return FixedPoint(
        width,
        fraction if isinstance(fraction, int) else width // 2,
        operand.signed,
        operand.rounding,
        "saturate" if is_symmetric else operand.overflow,
    )


def _minifloat(options: Options, *, hidden_bit: bool) -> NumberFormat:
    exponent, bias = _whole(options, "exponent_width"), options["exponent_bias"]
    bias = bias if isinstance(bias, int) else usual_bias(exponent)
    return Minifloat(_whole(options, "width"), exponent, bias, hidden_bit=hidden_bit)


def _affine(options: Options, operand: Operand) -> NumberFormat:
    width, symmetric, scales = _whole(options, "width"), bool(options["symmetric"]), str(options["scales"])
    if operand.name == "data":
        return affine_over(*operand.data_range(), width, symmetric=symmetric, scales=scales)
    per = str(options.get("per", "tensor"))
    return Affine(width, symmetric, per, scales, axis=0 if per == "tensor" else operand.channel_axis)


def _whole(options: Options, key: str) -> int:
    value = options[key]
    assert isinstance(value, int)
    return value


def _named(text: str) -> NamedFormats:
    return NamedFormats((), lambda _options, _operand: parse_format(text))


FLOAT_KEYS = ("width", "exponent_width", "exponent_bias")
NAMED: dict[str, NamedFormats] = {
    "fixed": NamedFormats(("width", "frac_width"), _fixed),
    "affine": NamedFormats(("width", "symmetric", "scales"), _affine, ("per",), sees_data=True),
    "minifloat": NamedFormats(FLOAT_KEYS, lambda options, _: _minifloat(options, hidden_bit=True)),
    "minifloat_denorm": NamedFormats(FLOAT_KEYS, lambda options, _: _minifloat(options, hidden_bit=False)),
    **{name: _named(name) for name in MINIFLOAT.names if name in MINIFLOAT.examples},
}
# What keys may be where they are not said; "" is for operands that are not named.
DEFAULTS: dict[str, dict[str, tuple[Option, ...]]] = {
    "frac_width": {"": ("NA",)},
    "exponent_bias": {"": ("NA",)},
    "symmetric": {"data": (False,), "": (True,)},
    "scales": {"": ("free",)},
    "per": {"": ("channel",)},
}
# Every spelling, with the name that it stands for; those of MASE/chop are among them.
SPELLED = {"integer": "fixed", "minifloat_ieee": "minifloat", **{name: name for name in NAMED}}
# Names of MASE/chop without a family here.
ABSENT = {
    "block_fp": "there is no block floating point",
    "block_minifloat": "there is no block floating point",
    "block_log": "there is no block floating point",
    "binary": "nearest: 'fixed' with a width of 1",
    "ternary": "nearest: 'fixed' with a width of 2",
    "log": "nearest: 'minifloat' without mantissa bits",
}
