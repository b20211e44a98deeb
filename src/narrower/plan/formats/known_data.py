"""What calibration tells the formats of a space: ranges of data, and the integers that hold them."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from narrower.plan.formats.affine import Affine, affine_over
from narrower.plan.formats.fixed_channels import FixedChannels

InChannels = Affine | FixedChannels


@dataclass(frozen=True, slots=True)
class KnownData:
    """The ends of the range, the mean magnitude, and that of the values above 3/4 of it (Li et al. 2016)."""

    low: float = -1.0
    high: float = 1.0
    mean_magnitude: float = 0.5
    mean_above: float = 0.75


@runtime_checkable
class KnownValues(Protocol):
    """What calibration says of the data of layers."""

    def known_data(self, layer: str, /) -> KnownData:
        """What the data of a layer are."""

    def affine(self, layer: str, width: int, *, symmetric: bool, scales: str) -> Affine:
        """The affine integers that hold the data of a layer."""

    def weight(self, layer: str, wanted: InChannels, method: str) -> InChannels:
        """A format of a layer's weight whose ranges are found, or numbers of its channels, by a method.

        The method "calibration" is the one that the settings of calibration name.
        """


class AnyValues:
    """Stands in for calibration where only the shape of a space matters."""

    def known_data(self, _layer: str, /) -> KnownData:
        return KnownData()

    def affine(self, layer: str, width: int, *, symmetric: bool, scales: str) -> Affine:
        known = self.known_data(layer)
        return affine_over(known.low, known.high, width, symmetric=symmetric, scales=scales)

    def weight(self, _layer: str, wanted: InChannels, _method: str) -> InChannels:
        return wanted


@runtime_checkable
class KnownEdges(KnownValues, Protocol):
    """What calibration says of edges; those that must agree are known together, by the first of them."""

    def fraction(self, edge: str, width: int, /) -> int:
        """The fraction width with the least loss."""


class AnyEdges(AnyValues):
    """Stands in for calibration of edges where only the shape of a space matters."""

    def fraction(self, _edge: str, width: int, /) -> int:
        return width // 2
