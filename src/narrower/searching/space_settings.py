"""What a space is made of, as a user writes it: for some layers, lists of widths and fractions."""

from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["quantize", "resize", "quantize_and_resize"]

Width = int | Literal["NA"]
Fraction = int | Literal["NA", "auto"]

NOT_QUANTIZED = "NA"


@dataclass(frozen=True, slots=True)
class OperandChoices:
    """Widths and fractions of one operand: width "NA" leaves it as it is, fraction "NA" is half of it."""

    widths: tuple[Width, ...] = ()
    fractions: tuple[Fraction, ...] = ("NA",)


@dataclass(frozen=True, slots=True)
class WidthChoices:
    """Multipliers of a layer's output channels.

    ``parents`` are the layers that the user takes for the ones that compute its inputs; the network must
    agree.
    """

    multipliers: tuple[float, ...] = ()
    parents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LayerChoices:
    """What may be chosen for one layer. ``families`` holds "fixed" and "NA" (not quantized)."""

    families: tuple[str, ...] = (NOT_QUANTIZED,)
    data: OperandChoices = field(default_factory=OperandChoices)
    weight: OperandChoices = field(default_factory=OperandChoices)
    bias: OperandChoices = field(default_factory=OperandChoices)
    width: WidthChoices = field(default_factory=WidthChoices)


@dataclass(frozen=True, slots=True)
class SpaceSettings:
    """Which layers get which choices.

    ``by`` says what ``layers`` names: layers, kinds of layers, or regular expressions that match whole names
    (the first that matches counts). ``default`` is for every other layer; None leaves them as they are.
    ``uniform`` gives all layers that are resized the same multiplier. With ``folds_batch_norm``, batch norms
    are in weight and bias of the products before them.
    """

    by: Literal["name", "type", "regex"]
    layers: tuple[tuple[str, LayerChoices], ...]
    default: LayerChoices | None = None
    kind: Kind = "quantize"
    uniform: bool = False
    folds_batch_norm: bool = False

    @property
    def resizes(self) -> bool:
        """Whether widths are searched."""
        return self.kind != "quantize"
