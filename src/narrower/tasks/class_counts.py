"""What is counted of each class, hits, decisions and targets, and what is made of the counts."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

KINDS = 3  # of counts: hits, decided, actual


def class_counts(decided: "Tensor", targets: "Tensor", classes: int) -> "Tensor":
    """For each sample and class: hits, decisions for it and targets of it, [N, 3 * classes].

    ``decided`` and ``targets`` are [N, M]; negative targets count nowhere.
    """
    there = targets >= 0
    counts: Tensor = there.double().new_zeros(len(targets), KINDS, classes)
    one, own = there.double(), targets.clamp(min=0)
    counts[:, 0].scatter_add_(1, own, one * (decided == targets))
    counts[:, 1].scatter_add_(1, decided, one)
    counts[:, 2].scatter_add_(1, own, one)
    return counts.flatten(1)


def over_classes(
    of_class: Callable[[float, float, float], float | None],
) -> Callable[[Sequence[float], int], float]:
    """The mean over classes of what is made of hits, decisions and targets; None leaves a class out."""

    def value(sums: Sequence[float], _samples: int) -> float:
        size = len(sums) // KINDS
        triples = zip(sums[:size], sums[size : 2 * size], sums[2 * size :], strict=True)
        found = [each for triple in triples if (each := of_class(*triple)) is not None]
        return sum(found) / len(found) if found else float("nan")

    return value


def recall(hits: float, _decided: float, actual: float) -> float | None:
    """Which share of a class is found; None where it does not occur."""
    return hits / actual if actual else None


def f1(hits: float, decided: float, actual: float) -> float | None:
    """The harmonic mean of precision and recall; None where a class neither occurs nor is decided for."""
    return 2 * hits / (decided + actual) if decided + actual else None


def intersection_over_union(hits: float, decided: float, actual: float) -> float | None:
    """Hits over what is decided for, a target, or both; None where there is none of it."""
    return hits / (decided + actual - hits) if decided + actual else None
