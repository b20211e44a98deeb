"""What the outputs of a classifier mean: one score for each class, of which the highest counts."""

from collections.abc import Sequence
from math import log
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from narrower.errors import DataError
from narrower.tasks.classification.cross_entropy import cross_entropies
from narrower.tasks.probabilities import refuse_probabilities
from narrower.tasks.task import LOSS, Ending, Loss, SampleMetric, Words, class_name

if TYPE_CHECKING:
    from torch import Tensor

CROSS_ENTROPY = "cross entropy"  # what the loss is, unless the model ends in something of its own
LOSSES = {
    "log_softmax": "negative log likelihood",
    "softmax": "cross entropy of softmax applied twice",
    "sigmoid": "cross entropy of softmax after sigmoid",
    "softmax over samples": "cross entropy of softmax after a softmax over samples",
}
MOST_CLASSES = 100_000
EXPECTED_CLASSES = "expected one whole number for each sample, numbered from 0"


def is_right(outputs: "Tensor", targets: "Tensor") -> "Tensor":
    """Whether the highest score of each sample is that of its class: outputs [N, classes], targets [N]."""
    if _is_logit(outputs):
        return (outputs.flatten() > 0) == (targets > 0)
    return outputs.argmax(dim=1) == targets


def _is_logit(outputs: "Tensor") -> bool:
    """Whether outputs [N] or [N, 1] say by one number which of two classes a sample has."""
    return outputs.dim() == 1 or outputs.shape[1] == 1


def two_scores(outputs: "Tensor") -> "Tensor":
    """Scores [N, classes]; a single logit is the score of class 1 beside a score of 0."""
    if not _is_logit(outputs):
        return outputs
    scores = outputs.new_zeros(len(outputs), 2)
    scores[:, 1] = outputs.flatten()
    return scores


def cross_entropy(outputs: "Tensor", targets: "Tensor") -> "Tensor":
    """The negative logarithm of what softmax gives the class of each sample."""
    return _negative_log_likelihood(two_scores(outputs).log_softmax(dim=1), targets)


def _negative_log_likelihood(outputs: "Tensor", targets: "Tensor") -> "Tensor":
    return -outputs.gather(1, targets[:, None])[:, 0]


def _smoothed_cross_entropy(outputs: "Tensor", targets: "Tensor", share: float) -> "Tensor":
    return _smoothed_likelihood(two_scores(outputs).log_softmax(dim=1), targets, share)


def _smoothed_likelihood(outputs: "Tensor", targets: "Tensor", share: float) -> "Tensor":
    return (1 - share) * _negative_log_likelihood(outputs, targets) - share * outputs.mean(dim=1)


def _divergence(outputs: "Tensor", teacher: "Tensor", temperature: float) -> "Tensor":
    """Hinton et al. (2015): the square of the temperature keeps the size of the gradient."""
    own, wanted = ((two_scores(scores) / temperature).log_softmax(dim=1) for scores in (outputs, teacher))
    return temperature**2 * (wanted.exp() * (wanted - own)).sum(dim=1)


def _cross_entropies(outputs: "Tensor", targets: "Tensor") -> "Tensor":
    return cross_entropies(two_scores(outputs), targets)


class Classification:
    """Targets are numbers of classes; outputs [N, classes] are scores, or [N] or [N, 1] a logit of two."""

    words = Words("classification", "class", "classes")
    metrics = (
        SampleMetric(
            "accuracy",
            "share of samples whose highest score is their class",
            "maximize",
            is_right,
            is_share=True,
            best=(1.0,),
            chance=lambda classes: 1 / classes,
        ),
        SampleMetric(
            LOSS,
            "mean cross entropy",
            "minimize",
            _cross_entropies,
            best=(0.0,),
            chance=log,
        ),
    )

    def loss(self, ending: Ending) -> Loss:
        """Cross entropy; of logarithms of probabilities, what it is there, without a second logarithm."""
        name = LOSSES.get(ending.kind, CROSS_ENTROPY)
        if ending.kind == "log_softmax":
            return Loss(name, _negative_log_likelihood, None, _smoothed_likelihood, _divergence)
        if ending.kind not in LOSSES:
            return Loss(name, cross_entropy, None, _smoothed_cross_entropy, _divergence)
        said = (
            f"ends in {ending.kind}{ending.where}, and the loss takes softmax of its outputs: it is the "
            f"{name}, trains worse and stays far from 0"
        )
        way_out = "return the scores before it, or log_softmax (accuracy is the same)"
        if ending.kind == "softmax over samples":
            way_out = "outputs depend on the other samples of a batch: return the scores before it"
        return Loss(name, cross_entropy, f"{said}; {way_out}", _smoothed_cross_entropy, _divergence)

    def check(
        self,
        targets: NDArray[Any],
        names: Sequence[str] | None = None,
        *,
        outputs: "Tensor | None" = None,
        teaches: bool = False,
    ) -> tuple[str, ...]:
        """Whole numbers from 0, few enough to be numbers of classes; one score for each class.

        Raises:
            DataError: they are no classes, or have no name, or there are not enough scores.
        """
        _check_shape(targets.shape)
        _check_type(targets)
        largest = int(targets.max())
        if teaches and int(targets.min()) == largest:
            raise DataError(
                f"all {len(targets):,} samples are of class {class_name(largest, names)}; a classification "
                "needs two classes or more"
            )
        if names is None:
            names = tuple(str(number) for number in range(largest + 1))
        elif largest >= len(names):
            raise DataError(f"class {largest} has no name; output_names has {len(names)}")
        if outputs is not None:
            if tuple(outputs.shape) in ((len(targets),), (len(targets), 1)) and len(names) == 2:  # noqa: PLR2004
                refuse_probabilities(outputs)
            else:
                _check_outputs(tuple(outputs.shape), (len(targets), len(names)))
        return tuple(names)


CLASSIFICATION = Classification()


def _check_shape(shape: tuple[int, ...]) -> None:
    if len(shape) == 1:
        return
    way_out = "classes.argmax(axis=1) turns one-hot rows into classes"
    if len(shape) == 2 and shape[1] == 1:  # noqa: PLR2004 - [N, 1]
        way_out = "classes.ravel() drops the second dimension"
    raise DataError(f"the classes have shape {shape}; {EXPECTED_CLASSES} ({way_out})")


def _check_type(targets: NDArray[Any]) -> None:
    if np.issubdtype(targets.dtype, np.floating):
        raise DataError(
            f"the targets are {targets.dtype}: real numbers are the targets of a regression; if they are "
            "classes, targets.astype('int64') says so"
        )
    if not np.issubdtype(targets.dtype, np.integer):
        raise DataError(
            f"the classes are {targets.dtype}, such as {targets[0]!s}; {EXPECTED_CLASSES} "
            "(numpy.unique(classes, return_inverse=True)[1] numbers them)"
        )
    smallest, largest = int(targets.min()), int(targets.max())
    if smallest < 0:
        raise DataError(f"found class {smallest}; {EXPECTED_CLASSES}")
    if largest >= MOST_CLASSES:
        raise DataError(
            f"found class {largest:,} among {len(np.unique(targets)):,} different ones; "
            f"{EXPECTED_CLASSES}, at most {MOST_CLASSES - 1:,}"
        )


def _check_outputs(found: tuple[int, ...], needed: tuple[int, int]) -> None:
    if len(found) != len(needed) or found[0] != needed[0] or found[1] < needed[1]:
        raise DataError(
            f"it gives outputs of shape {found}; needed are scores of shape {needed}, one for each class"
        )
