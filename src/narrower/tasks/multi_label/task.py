"""What the outputs of a model for several labels mean: a label is there where its number is above 0."""

from collections.abc import Sequence
from math import log
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from narrower.errors import DataError
from narrower.tasks.class_counts import f1, over_classes
from narrower.tasks.probabilities import refuse_probabilities
from narrower.tasks.side_by_side import side_by_side
from narrower.tasks.task import LOSS, Ending, Loss, SampleMetric, Words
from narrower.tasks.whole_metrics import Floats, area_under_curve, whole_metric

if TYPE_CHECKING:
    from torch import Tensor

CROSS_ENTROPY = "binary cross entropy"


def binary_cross_entropy(outputs: "Tensor", targets: "Tensor") -> "Tensor":
    """Of each sample, on average over its labels."""
    losses = outputs.clamp(min=0) - outputs * targets + (-outputs.abs()).exp().log1p()
    return losses.mean(dim=1)


def _smoothed(outputs: "Tensor", targets: "Tensor", share: float) -> "Tensor":
    return binary_cross_entropy(outputs, targets * (1 - share) + share / 2)


def _taught(outputs: "Tensor", teacher: "Tensor", temperature: float) -> "Tensor":
    return temperature**2 * binary_cross_entropy(outputs / temperature, (teacher / temperature).sigmoid())


def _loss_in_double(outputs: "Tensor", targets: "Tensor") -> "Tensor":
    return binary_cross_entropy(outputs.double(), targets.double())


def _right_labels(outputs: "Tensor", targets: "Tensor") -> "Tensor":
    return ((outputs > 0) == (targets > 0)).double().mean(dim=1)


def _all_right(outputs: "Tensor", targets: "Tensor") -> "Tensor":
    return ((outputs > 0) == (targets > 0)).all(dim=1)


def _counts(outputs: "Tensor", targets: "Tensor") -> "Tensor":
    decided, actual = (outputs > 0).double(), (targets > 0).double()
    return side_by_side(decided * actual, decided, actual)


def _scores_and_labels(outputs: "Tensor", targets: "Tensor") -> "Tensor":
    return side_by_side(outputs, targets > 0)


def _mean_area(columns: Floats, times: Floats) -> Floats:
    labels = columns.shape[1] // 2
    areas = [area_under_curve(columns[:, k], columns[:, labels + k], times) for k in range(labels)]
    with np.errstate(invalid="ignore"):
        found: Floats = np.nanmean(areas, axis=0)
    return found


class MultiLabel:
    """Targets are zeros and ones [N, K]; outputs [N, K] are logits."""

    words = Words("multi-label", "label", "labels", "each target is there or not")
    metrics = (
        SampleMetric(
            "label_accuracy",
            "share of labels that are right, on average over samples",
            "maximize",
            _right_labels,
            best=(1.0,),
        ),
        SampleMetric(
            LOSS, f"mean {CROSS_ENTROPY}", "minimize", _loss_in_double, best=(0.0,), chance=lambda _k: log(2)
        ),
        SampleMetric(
            "exact_match",
            "share of samples whose labels are all right",
            "maximize",
            _all_right,
            is_share=True,
            best=(1.0,),
            chance=lambda labels: 0.5**labels,
        ),
        SampleMetric("macro_f1", "F1, on average over labels", "maximize", _counts, over_classes(f1)),
        whole_metric(
            "auc",
            "area under the ROC curve, on average over labels",
            _scores_and_labels,
            _mean_area,
            chance=lambda _k: 0.5,
        ),
    )

    def loss(self, ending: Ending) -> Loss:
        """Binary cross entropy of logits."""
        warning = None
        if ending.kind in ("softmax", "log_softmax", "softmax over samples"):
            warning = (
                f"ends in {ending.kind}{ending.where}, which makes labels exclude each other; return the "
                "numbers "
                "before it"
            )
        return Loss(CROSS_ENTROPY, binary_cross_entropy, warning, _smoothed, _taught)

    def check(
        self,
        targets: NDArray[Any],
        names: Sequence[str] | None = None,
        *,
        outputs: "Tensor | None" = None,
        teaches: bool = False,
    ) -> tuple[str, ...]:
        """Zeros and ones, as real numbers; one logit for each label.

        Raises:
            DataError: they are something else, or there are more or fewer outputs.
        """
        if targets.ndim != 2 or 0 in targets.shape:  # noqa: PLR2004 - [N, K]
            raise DataError(
                f"the labels have shape {targets.shape}; expected [N, K], a column for each label"
            )
        if not np.isin(targets, (0, 1)).all():
            raise DataError("the labels hold more than 0 and 1; expected 1 where a label is there, else 0")
        if not np.issubdtype(targets.dtype, np.floating):
            raise DataError(
                f"the labels are {targets.dtype}; expected real numbers: targets.astype('float32')"
            )
        if teaches and (targets == targets[:1]).all():
            raise DataError(f"all {len(targets):,} samples have the same labels; there is nothing to learn")
        columns = targets.shape[1]
        names = tuple(names) if names is not None else tuple(f"label_{number}" for number in range(columns))
        if len(names) != columns:
            raise DataError(f"{columns} labels for each sample, but {len(names)} output_names")
        if outputs is not None:
            if tuple(outputs.shape) != targets.shape:
                raise DataError(
                    f"it gives outputs of shape {tuple(outputs.shape)}; needed is a logit for each label: "
                    f"{targets.shape}"
                )
            refuse_probabilities(outputs)
        return names


MULTI_LABEL = MultiLabel()
