"""What one rounded layer does to a network, and in which order layers should therefore lose bits."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Measured:
    """A network with one layer rounded; ``sqnr_db`` compares its outputs with those of float32."""

    layer: str
    rounded: str
    format: str
    bits: float
    metrics: Mapping[str, float]
    added_loss: float
    sqnr_db: float
    bitops: int  # of the layer


@dataclass(frozen=True, slots=True)
class Step:
    """A layer that goes to its next format; ``price`` is the loss that this adds for each bit operation."""

    layer: str
    before: str
    after: str
    added_loss: float
    saved_bitops: int

    @property
    def price(self) -> float:
        return self.added_loss / self.saved_bitops


@dataclass(frozen=True, slots=True)
class LayerSensitivity:
    """``float32``'s metrics, every measurement, and the order in which layers should lose bits."""

    float32: Mapping[str, float]
    samples: int
    formats: tuple[str, ...]
    measured: tuple[Measured, ...]
    order: tuple[Step, ...]


def losing_order(measured: Sequence[Measured]) -> tuple[Step, ...]:
    """Steps of all layers from their costliest format to their cheapest, the smallest price first.

    A layer's step is taken after those that come before it in the layer. Formats between two that cost less
    and lose less are passed over, so that prices rise along each layer.
    """
    ways = {layer: _hull(list(found)) for layer, found in _by_layer(measured)}
    at = dict.fromkeys(ways, 0)
    order: list[Step] = []
    while left := [layer for layer, way in ways.items() if at[layer] + 1 < len(way)]:
        steps = [_step(ways[layer][at[layer]], ways[layer][at[layer] + 1]) for layer in left]
        best = min(steps, key=lambda step: (step.price, -step.saved_bitops, left.index(step.layer)))
        order.append(best)
        at[best.layer] += 1
    return tuple(order)


def _by_layer(measured: Sequence[Measured]) -> Iterator[tuple[str, list[Measured]]]:
    both = [each for each in measured if each.rounded == "both"]
    for layer in dict.fromkeys(each.layer for each in both):
        yield layer, [each for each in both if each.layer == layer]


def _hull(found: list[Measured]) -> list[Measured]:
    """From the dearest format that no other beats in both, along the lower convex hull of loss over cost."""
    hull: list[Measured] = []
    for each in sorted(found, key=lambda m: (m.bitops, m.added_loss), reverse=True):
        while hull and hull[-1].added_loss >= each.added_loss:
            hull.pop()  # dearer and no better
        if hull and hull[-1].bitops == each.bitops:
            continue
        while len(hull) > 1 and _step(hull[-2], hull[-1]).price >= _step(hull[-1], each).price:
            hull.pop()
        hull.append(each)
    return hull


def _step(before: Measured, after: Measured) -> Step:
    added = after.added_loss - before.added_loss
    return Step(after.layer, before.format, after.format, added, before.bitops - after.bitops)
