"""What the outputs of an autoencoder mean that learned the usual: where they are far off, a sample is odd."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from narrower.errors import DataError
from narrower.tasks.regression.task import REGRESSION, SQUARED_ERROR
from narrower.tasks.side_by_side import side_by_side
from narrower.tasks.task import LOSS, Ending, Loss, SampleMetric, Words
from narrower.tasks.whole_metrics import (
    Floats,
    area_under_curve,
    average_precision,
    background_rejection,
    whole_metric,
)

if TYPE_CHECKING:
    from torch import Tensor


def _errors(outputs: "Tensor", targets: "Tensor") -> "Tensor":
    """The mean squared error of each sample; behind the values of a sample, targets say whether it is odd."""
    return (outputs.flatten(1) - targets[:, :-1]).square().mean(dim=1)


def _error_of_usual(outputs: "Tensor", targets: "Tensor") -> "Tensor":
    return _errors(outputs, targets) * (1 - targets[:, -1])


def _errors_and_kinds(outputs: "Tensor", targets: "Tensor") -> "Tensor":
    return side_by_side(_errors(outputs.double(), targets.double()), targets[:, -1])


def _usual(outputs: "Tensor", targets: "Tensor") -> "Tensor":
    own = targets.double()
    return side_by_side(_error_of_usual(outputs.double(), own), 1 - own[:, -1])


def _loss(outputs: "Tensor", targets: "Tensor") -> "Tensor":
    return _error_of_usual(outputs.double(), targets.double())


def _area(columns: Floats, times: Floats) -> Floats:
    return area_under_curve(columns[:, 0], columns[:, 1], times)


def _precision(columns: Floats, times: Floats) -> Floats:
    return average_precision(columns[:, 0], columns[:, 1], times)


def _rejection(columns: Floats, times: Floats) -> Floats:
    return background_rejection(columns[:, 0], columns[:, 1], times)


def _mean_of_usual(sums: Sequence[float], _samples: int) -> float:
    return sums[0] / sums[1] if sums[1] else float("nan")


class Anomalies:
    """Targets [N, F + 1] are the F values of each sample and 1 where it is odd, else 0.

    Outputs are the values that a model gives back. Odd samples teach nothing.
    """

    words = Words(
        "anomalies", "value", "values", "a model gives its inputs back, and odd samples are those it misses"
    )
    metrics = (
        whole_metric(
            "auc",
            "area under the ROC curve of the reconstruction error",
            _errors_and_kinds,
            _area,
            chance=lambda _n: 0.5,
        ),
        SampleMetric(LOSS, f"{SQUARED_ERROR} of usual samples", "minimize", _loss, best=(0.0,)),
        whole_metric(
            "average_precision",
            "average precision of the reconstruction error",
            _errors_and_kinds,
            _precision,
        ),
        whole_metric(
            "background_rejection",
            "1 / share of usual samples that pass where half of the odd ones do",
            _errors_and_kinds,
            _rejection,
        ),
        SampleMetric("mse", f"{SQUARED_ERROR} of usual samples", "minimize", _usual, _mean_of_usual),
    )

    def loss(self, ending: Ending) -> Loss:
        """The squared error of usual samples."""
        return Loss(SQUARED_ERROR, _error_of_usual, REGRESSION.loss(ending).warning)

    def check(
        self,
        targets: NDArray[Any],
        names: Sequence[str] | None = None,
        *,
        outputs: "Tensor | None" = None,
        teaches: bool = False,
    ) -> tuple[str, ...]:
        """Rows of real numbers with 0 or 1 behind them; as many outputs as values.

        Raises:
            DataError: they are something else, or there is nothing usual to learn from.
        """
        if targets.ndim != 2 or targets.shape[1] < 2 or targets.dtype.kind != "f":  # noqa: PLR2004 - [N, F + 1]
            raise DataError(
                f"the targets are {targets.dtype} of shape {targets.shape}; expected real numbers [N, F + "
                "1], the "
                "values of a sample and whether it is odd"
            )
        if not np.isin(targets[:, -1], (0, 1)).all():
            raise DataError("the last column of the targets holds more than 0 (usual) and 1 (odd)")
        if teaches and targets[:, -1].all():
            raise DataError("all training samples are odd; there is nothing usual to learn from")
        if names is None:
            names = tuple(f"value_{number}" for number in range(targets.shape[1] - 1))
        needed = (len(targets), targets.shape[1] - 1)
        if outputs is not None and tuple(outputs.flatten(1).shape) != needed:
            raise DataError(
                f"it gives outputs of shape {tuple(outputs.shape)}; needed are the {needed[1]} values of "
                "each input"
            )
        return tuple(names)


ANOMALIES = Anomalies()
