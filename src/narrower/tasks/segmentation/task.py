"""What the outputs of a segmentation mean: the highest of a pixel's scores [N, classes, ...] is its class."""

from collections.abc import Sequence
from math import log
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from narrower.errors import DataError
from narrower.tasks.class_counts import class_counts, f1, intersection_over_union, over_classes
from narrower.tasks.side_by_side import side_by_side
from narrower.tasks.task import LOSS, Ending, Loss, SampleMetric, Words, class_name

if TYPE_CHECKING:
    from torch import Tensor

CROSS_ENTROPY = "cross entropy of pixels"
IGNORED = -100  # the class of places that count nowhere; PyTorch's own


def cross_entropy_of_places(outputs: "Tensor", targets: "Tensor") -> "Tensor":
    """Of each sample [N], on average over the places [N, ...] that count; outputs are [N, classes, ...]."""
    there = targets >= 0
    own = outputs.log_softmax(dim=1).gather(1, targets.clamp(min=0)[:, None])[:, 0]
    return -(own * there).flatten(1).sum(dim=1) / there.flatten(1).sum(dim=1).clamp(min=1)


def softmax_warning(ending: Ending) -> str | None:
    """What is wrong with a model that ends in a softmax of its own."""
    if ending.kind not in ("softmax", "sigmoid", "softmax over samples"):
        return None
    return (
        f"ends in {ending.kind}{ending.where}, and the loss takes softmax of its outputs: it trains worse; "
        "return "
        "the scores before it"
    )


def _loss_in_double(outputs: "Tensor", targets: "Tensor") -> "Tensor":
    return cross_entropy_of_places(outputs.double(), targets)


def _counts(outputs: "Tensor", targets: "Tensor") -> "Tensor":
    return class_counts(outputs.argmax(dim=1).flatten(1), targets.flatten(1), outputs.shape[1])


def _hits(outputs: "Tensor", targets: "Tensor") -> "Tensor":
    right = (outputs.argmax(dim=1) == targets).flatten(1).sum(dim=1)
    return side_by_side(right, (targets >= 0).flatten(1).sum(dim=1))


def _share(sums: Sequence[float], _samples: int) -> float:
    return sums[0] / sums[1] if sums[1] else float("nan")


class Segmentation:
    """Targets [N, height, width] are classes of pixels, -100 where none counts; outputs [N, classes, ...]."""

    words = Words("segmentation", "class", "classes", "each pixel has a class")
    metrics = (
        SampleMetric(
            "mean_iou",
            "intersection over union of all pixels, on average over classes",
            "maximize",
            _counts,
            over_classes(intersection_over_union),
        ),
        SampleMetric(LOSS, f"mean {CROSS_ENTROPY}", "minimize", _loss_in_double, best=(0.0,), chance=log),
        SampleMetric(
            "dice", "Dice (F1) of all pixels, on average over classes", "maximize", _counts, over_classes(f1)
        ),
        SampleMetric(
            "pixel_accuracy",
            "share of pixels whose highest score is their class",
            "maximize",
            _hits,
            _share,
            chance=lambda classes: 1 / classes,
        ),
    )

    def loss(self, ending: Ending) -> Loss:
        """Cross entropy of each pixel."""
        return Loss(CROSS_ENTROPY, cross_entropy_of_places, softmax_warning(ending))

    def check(
        self,
        targets: NDArray[Any],
        names: Sequence[str] | None = None,
        *,
        outputs: "Tensor | None" = None,
        teaches: bool = False,
    ) -> tuple[str, ...]:
        """Whole numbers for each pixel; scores of each class for each pixel.

        Raises:
            DataError: they are something else, or the shapes do not fit.
        """
        names = check_places(targets, names, "pixel", teaches=teaches)
        if outputs is not None:
            needed = (len(targets), len(names), *targets.shape[1:])
            if tuple(outputs.shape) != needed:
                raise DataError(
                    f"it gives outputs of shape {tuple(outputs.shape)}; needed are scores of shape {needed}, "
                    "one for "
                    "each class and pixel"
                )
        return names


def check_places(
    targets: NDArray[Any], names: Sequence[str] | None, place: str, *, teaches: bool
) -> tuple[str, ...]:
    """Whole numbers of at least two dimensions, as many names as classes; the names.

    Raises:
        DataError: they are something else, or no place counts.
    """
    if targets.ndim < 2 or not np.issubdtype(targets.dtype, np.integer):  # noqa: PLR2004 - [N, places]
        raise DataError(
            f"the targets are {targets.dtype} of shape {targets.shape}; expected whole numbers [N, ...], the "
            "class of "
            f"each {place}"
        )
    known = targets[targets >= 0]
    if not known.size:
        raise DataError(f"no {place} has a class; negative numbers are those that do not count")
    if ((targets < 0) & (targets != IGNORED)).any():
        raise DataError(f"found class {int(targets.min())}; {place}s that do not count have class {IGNORED}")
    largest = int(known.max())
    if teaches and int(known.min()) == largest:
        raise DataError(f"all {place}s are of class {class_name(largest, names)}; there is nothing to learn")
    if names is None:
        return tuple(str(number) for number in range(largest + 1))
    if largest >= len(names):
        raise DataError(f"class {largest} has no name; output_names has {len(names)}")
    return tuple(names)


SEGMENTATION = Segmentation()
