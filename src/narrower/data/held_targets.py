"""Targets of a named task as they are held, however others write them: real classes, a column, 255."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrower.tasks.classification.task import CLASSIFICATION
from narrower.tasks.multi_label.task import MULTI_LABEL
from narrower.tasks.segmentation.task import IGNORED, SEGMENTATION
from narrower.tasks.task import Task

NO_CLASS = 255  # of pixels, in the masks of VOC, Cityscapes, ADE20K and COCO-Stuff
CLASSES_BELOW = 192  # COCO-Stuff has 182; where none lies from here to 255, that one is no class
COLUMN = 2  # dimensions of [N, 1]


def held_targets(targets: NDArray[Any], task: Task | None) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Whole numbers where they are classes, real ones where they are labels; what was taken for what.

    What does not suit the task comes back as it is, for the task to refuse.
    """
    if task == MULTI_LABEL and targets.dtype.kind in "iub":
        return targets.astype(np.float32), ()
    if task not in (CLASSIFICATION, SEGMENTATION):
        return targets, ()
    if task == CLASSIFICATION and targets.ndim == COLUMN and targets.shape[1] == 1:
        targets = targets[:, 0]
    if targets.dtype.kind == "b" or (targets.dtype.kind == "f" and _are_whole(targets)):
        targets = targets.astype(np.int64)
    if task == SEGMENTATION and targets.dtype.kind in "iu" and _has_no_class(targets):
        place = np.where(targets == NO_CLASS, IGNORED, targets.astype(np.int64))
        return place, (f"class {NO_CLASS} is taken for pixels that do not count, as {IGNORED} is",)
    return targets, ()


def _are_whole(targets: NDArray[Any]) -> bool:
    return bool(np.isfinite(targets).all() and (targets == np.trunc(targets)).all())


def _has_no_class(targets: NDArray[Any]) -> bool:
    """Whether 255 is there, and no class that is near it."""
    above = targets[targets >= CLASSES_BELOW]
    return bool(above.size and (above == NO_CLASS).all())
