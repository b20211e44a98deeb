"""Which number formats the names in a search space stand for, and which options of an operand they read."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from narrower.errors import SettingsError
from narrower.plan.formats.affine import Affine
from narrower.plan.formats.block import MX, BlockFloat, Mx
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.formats.fixed_channels import FixedChannels
from narrower.plan.formats.known_data import KnownValues
from narrower.plan.formats.minifloat import MINIFLOAT, Minifloat, usual_bias
from narrower.plan.formats.number_format import NumberFormat
from narrower.plan.formats.power_of_two import PowerOfTwo, middle_bias
from narrower.plan.formats.sign_only import TERNARY_SHARE, Binary, Ternary
from narrower.plan.formats.sparse import PERCENT, Sparse
from narrower.plan.formats.text import parse_format

NOT_QUANTIZED = "NA"
DATA = ("data", "output")  # operands whose values depend on the samples
Option = int | float | str
Options = Mapping[str, Option]  # by the end of their key: "width" of weight_width


@dataclass(frozen=True, slots=True)
class Operand:
    """What an operand's format may depend on besides its options.

    ``name`` is data, weight, bias, or output for an edge. ``auto_fraction`` gives the fraction width with the
    least squared error at a width, ``values`` what is known of data. ``rounding``, ``overflow`` and
    ``signed`` are for fixed point. ``channel_axis`` is the one of a weight's output channels,
    ``block_axis`` the one over which a product sums.
    """

    layer: str
    name: str
    auto_fraction: Callable[[int], int]
    values: KnownValues
    channel_axis: int = 0
    block_axis: int = -1
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


def _sparse(options: Options, operand: Operand) -> NumberFormat:
    """Fixed point, and of weights a share of zeros: 0.5, or "2:4" for 2 of each 4 numbers that are summed."""
    values, sparsity = _fixed(options, operand), options.get("sparsity", 0.0)
    assert isinstance(values, FixedPoint)
    if operand.name != "weight" or not sparsity:
        return values
    group, share = 0, sparsity
    if isinstance(sparsity, str):
        kept, group = map(int, sparsity.split(":"))
        share = 1 - kept / group
    zeros = round(PERCENT * float(share))
    axis = operand.block_axis if group else -1
    return Sparse(values.width, values.frac, zeros, group, axis, values.rounding, values.overflow)


def _fixed_channels(options: Options, operand: Operand) -> NumberFormat:
    """Fixed point, with a fraction for each channel of a weight, which calibration finds."""
    per = _per(options, "channel")
    if operand.name != "weight" or per == "tensor":
        return _fixed(options, operand)
    if per != "channel":
        raise SettingsError(f"fixed point has fractions for each tensor or channel, not for each {per}")
    if isinstance(options["frac_width"], int):
        raise SettingsError("calibration finds the fraction of each channel; allowed: 'auto'")
    width = _whole(options, "width")
    wanted = FixedChannels(width, (width // 2,), operand.channel_axis, operand.rounding, operand.overflow)
    return operand.values.weight(operand.layer, wanted, "calibration")


def as_read(families: Sequence[str], *, zeros: bool, parts: bool) -> tuple[str, ...]:
    """The names of formats, with fixed point sparse where a share of zeros is given.

    Where it is given what shares a scale, and no other of these formats has one, fixed point has fractions
    for each channel.
    """
    alone = parts and not any(
        "per" in NAMED[family].weight_keys for family in families if family != NOT_QUANTIZED
    )
    fixed = "sparse" if zeros else "fixed_channels" if alone else "fixed"
    return tuple(dict.fromkeys(fixed if family == "fixed" else family for family in families))


def _minifloat(options: Options, *, hidden_bit: bool) -> NumberFormat:
    exponent, bias = _whole(options, "exponent_width"), options["exponent_bias"]
    bias = bias if isinstance(bias, int) else usual_bias(exponent)
    return Minifloat(_whole(options, "width"), exponent, bias, hidden_bit=hidden_bit)


def _affine(options: Options, operand: Operand) -> NumberFormat:
    width, symmetric, scales = _whole(options, "width"), bool(options["symmetric"]), str(options["scales"])
    if operand.name in DATA:
        return operand.values.affine(operand.layer, width, symmetric=symmetric, scales=scales)
    per, axis = _per(options, "channel"), operand.channel_axis
    ranges = str(options.get("range", "max"))
    by_values = ranges in ("percentile", "cross_entropy")
    found = Affine(
        width,
        symmetric,
        per,
        scales,
        axis=0 if per == "tensor" else axis,
        range="max" if by_values else ranges,
    )
    is_found = by_values and operand.name == "weight"
    return operand.values.weight(operand.layer, found, ranges) if is_found else found


def _per(options: Options, usual: str) -> str:
    """What shares a scale: of weights what is said or usual, of biases the tensor."""
    per = str(options.get("per", "tensor"))
    return usual if per == "NA" else per


def _binary(options: Options, operand: Operand) -> NumberFormat:
    if operand.name in DATA:
        return Binary(_above_zero(operand.values.known_data(operand.layer).mean_magnitude))
    per = _per(options, "tensor")
    return Binary(per=per, axis=0 if per == "tensor" else operand.channel_axis)


def _ternary(options: Options, operand: Operand) -> NumberFormat:
    scaled = bool(options["scaling_factor"])
    if operand.name in DATA:
        known = operand.values.known_data(operand.layer)
        threshold = _above_zero(TERNARY_SHARE * known.mean_magnitude)
        return Ternary(max(known.mean_above, 2 * threshold) if scaled else max(1.0, 2 * threshold), threshold)
    per = _per(options, "tensor")
    if not scaled:
        return Ternary(1.0)
    return Ternary(per=per, axis=0 if per == "tensor" else operand.channel_axis)


def _above_zero(number: float) -> float:
    return number if number > 0 else 1.0


def _power_of_two(options: Options, *, has_zero: bool) -> NumberFormat:
    width, bias = _whole(options, "width"), options["exponent_bias"]
    return PowerOfTwo(width, bias if isinstance(bias, int) else middle_bias(width), has_zero)


def _block_fp(options: Options, operand: Operand) -> NumberFormat:
    exponent, bias = _whole(options, "exponent_width"), options["exponent_bias"]
    bias = bias if isinstance(bias, int) else usual_bias(exponent)
    return BlockFloat(
        _whole(options, "width"), _whole(options, "block_size"), exponent, bias, operand.block_axis
    )


def _mx(name: str) -> NamedFormats:
    element = parse_format(name)
    assert isinstance(element, Mx)
    return NamedFormats((), lambda _, operand: replace(element, axis=operand.block_axis))


def _whole(options: Options, key: str) -> int:
    value = options[key]
    assert isinstance(value, int)
    return value


def _named(text: str) -> NamedFormats:
    return NamedFormats((), lambda _options, _operand: parse_format(text))


POWER_KEYS = ("width", "exponent_bias")
FLOAT_KEYS = ("width", "exponent_width", "exponent_bias")
NAMED: dict[str, NamedFormats] = {
    "fixed": NamedFormats(("width", "frac_width"), _fixed),
    "sparse": NamedFormats(("width", "frac_width"), _sparse, ("sparsity",)),
    "fixed_channels": NamedFormats(("width", "frac_width"), _fixed_channels, ("per",), sees_data=True),
    "affine": NamedFormats(("width", "symmetric", "scales"), _affine, ("per", "range"), sees_data=True),
    "minifloat": NamedFormats(FLOAT_KEYS, lambda options, _: _minifloat(options, hidden_bit=True)),
    "minifloat_denorm": NamedFormats(FLOAT_KEYS, lambda options, _: _minifloat(options, hidden_bit=False)),
    "power_of_two": NamedFormats(POWER_KEYS, lambda options, _: _power_of_two(options, has_zero=True)),
    "log": NamedFormats(POWER_KEYS, lambda options, _: _power_of_two(options, has_zero=False)),
    "binary": NamedFormats(("width", "stochastic", "bipolar"), _binary, ("per",), sees_data=True),
    "ternary": NamedFormats(("width", "scaling_factor"), _ternary, ("per",), sees_data=True),
    "block_fp": NamedFormats(("width", "exponent_width", "exponent_bias", "block_size"), _block_fp),
    **{name: _mx(name) for name in MX.names if name in MX.examples},
    **{name: _named(name) for name in MINIFLOAT.names if name in MINIFLOAT.examples},
}
# What keys may be where they are not said; "" is for operands that are not named.
DEFAULTS: dict[str, dict[str, tuple[Option, ...]]] = {
    "frac_width": {"": ("NA",)},
    "exponent_bias": {"": ("NA",)},
    "sparsity": {"": (0.0,)},
    "symmetric": {"data": (False,), "": (True,)},
    "scales": {"": ("free",)},
    "per": {"": ("NA",)},
    "range": {"": ("max",)},
    "scaling_factor": {"": (True,)},
    "stochastic": {"": (False,)},
    "bipolar": {"": (True,)},
    "block_size": {"": (16,)},
}
# Every spelling, with the name that it stands for; those of MASE/chop are among them.
SPELLED = {"integer": "fixed", "minifloat_ieee": "minifloat", **{name: name for name in NAMED}}
# Names of MASE/chop without a family here.
ABSENT = {
    "block_minifloat": "its blocks share a bias; nearest: 'mxfp8', whose blocks share a power of two",
    "block_log": "nearest: 'log', or 'block_fp'",
}
