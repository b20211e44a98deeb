"""What a space is made of, as a user writes it: for some layers, lists of widths and fractions."""

from dataclasses import dataclass, field
from typing import Literal

from narrower.plan.formats.calibration import USUAL, CalibrationSettings
from narrower.plan.formats.fields import Word
from narrower.searching.format_names import DEFAULTS, NOT_QUANTIZED, Option

Kind = Literal["quantize", "resize", "quantize_and_resize"]

SIGNS = Word("sign", ("signed", "auto"))
Width = int | Literal["NA"]
Fraction = int | Literal["NA", "auto"]


@dataclass(frozen=True, slots=True)
class OperandChoices:
    """Options of one operand: width "NA" leaves it as it is, fraction "NA" is half of it.

    ``others`` holds those of further keys, each by the end of the key, such as "exponent_width".
    """

    widths: tuple[Width, ...] = ()
    fractions: tuple[Fraction, ...] = ("NA",)
    others: tuple[tuple[str, tuple[Option, ...]], ...] = ()

    def options(self, key: str, operand: str) -> tuple[Option, ...]:
        """What a key of data, weight or bias may be; nothing where it is not said and has to be."""
        given = {"width": self.widths, "frac_width": self.fractions, **dict(self.others)}
        usual = DEFAULTS.get(key, {})
        return given.get(key) or usual.get(operand) or usual.get("", ())


FLOAT_OPERAND = OperandChoices(("NA",))  # of a layer that has formats


@dataclass(frozen=True, slots=True)
class WidthChoices:
    """Multipliers of a layer's output channels, or numbers of them.

    ``parents`` are the layers that the user takes for the ones that compute its inputs; the network must
    agree.
    """

    multipliers: tuple[float, ...] = ()
    parents: tuple[str, ...] = ()
    channels: tuple[int, ...] = ()

    @property
    def is_given(self) -> bool:
        """Whether anything is said of the layer's width."""
        return bool(self.multipliers or self.channels)

    @property
    def wants_change(self) -> bool:
        """Whether the layer is to have another width than it has."""
        return bool(self.channels) or self.multipliers not in ((), (1.0,))


@dataclass(frozen=True, slots=True)
class LayerChoices:
    """What may be chosen for one layer.

    ``families`` holds names of formats (those of ``format_names.NAMED``) and "NA" (not quantized).
    """

    families: tuple[str, ...] = (NOT_QUANTIZED,)
    data: OperandChoices = field(default_factory=OperandChoices)
    weight: OperandChoices = field(default_factory=OperandChoices)
    bias: OperandChoices = field(default_factory=OperandChoices)
    width: WidthChoices = field(default_factory=WidthChoices)
    learned: tuple[str, ...] = ()  # "weight", "data": a training chooses their widths

    @property
    def is_learned(self) -> bool:
        """Whether a training chooses any of its widths."""
        return bool(self.learned)


@dataclass(frozen=True, slots=True)
class FixedFormats:
    """Formats of layers that nothing is chosen for; ``by``, ``layers`` and ``default`` as in a space."""

    by: Literal["name", "type", "regex"]
    layers: tuple[tuple[str, LayerChoices], ...]
    default: LayerChoices | None = None

    @property
    def quantizes(self) -> bool:
        """Whether any layer has another format than float32."""
        every = [*(choices for _, choices in self.layers), self.default]
        return any(choices is not None and choices.families != (NOT_QUANTIZED,) for choices in every)


@dataclass(frozen=True, slots=True)
class SpaceSettings:
    """Which layers get which choices.

    ``by`` says what ``layers`` names: layers, kinds of layers, or regular expressions that match whole names
    (the first that matches counts). ``default`` is for every other layer; None leaves them as they are.
    ``uniform`` gives all layers that are resized the same multiplier. With ``folds_batch_norm``, batch norms
    are in weight and bias of the products before them. With ``is_lenient``, layers that are named and whose
    width cannot change stay as they are. ``rounding`` and ``overflow`` are those of all fixed-point formats;
    with ``sign`` "auto", data that are never below zero have none. With ``on_edges`` data are rounded where
    they are written, not where they are read; ``agree`` gives one format to edges that are added or joined.
    """

    by: Literal["name", "type", "regex"]
    layers: tuple[tuple[str, LayerChoices], ...]
    default: LayerChoices | None = None
    kind: Kind = "quantize"
    uniform: bool = False
    folds_batch_norm: bool = False
    is_lenient: bool = False
    rounding: str = "half_even"
    overflow: str = "saturate"
    sign: Literal["signed", "auto"] = "signed"
    calibration: CalibrationSettings = USUAL
    fixed: FixedFormats | None = None  # of the layers that are left alone
    on_edges: bool = False
    agree: bool = True

    @property
    def is_learned(self) -> bool:
        """Whether a training chooses the widths of layers."""
        every = [choices for _, choices in self.layers]
        return any(choices.is_learned for choices in (*every, self.default) if choices is not None)

    @property
    def resizes(self) -> bool:
        """Whether widths are searched."""
        return self.kind != "quantize"
