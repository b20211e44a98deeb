"""The class that scores stand for: the first of the highest."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def decided(scores: NDArray[Any]) -> NDArray[np.int64]:
    """The class [N] of each sample of scores [N, classes]."""
    if scores.ndim == 1 or scores.shape[1] == 1:  # a logit of two classes
        return np.asarray(scores.reshape(len(scores)) > 0).astype(np.int64)
    return np.asarray(scores.argmax(axis=1))
