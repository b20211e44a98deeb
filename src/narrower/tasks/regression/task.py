"""What the outputs of a regression mean: numbers that should be near their targets."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial
from math import sqrt
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from narrower.errors import DataError
from narrower.tasks.task import LOSS, Ending, Loss, OfSamples, SampleMetric, Words

if TYPE_CHECKING:
    from torch import Tensor

SQUARED_ERROR = "mean squared error"
WARNED = ("softmax", "log_softmax", "sigmoid", "softmax over samples")
HUBER_DELTA = 1.0  # of standardised targets: beyond it an error counts by its size, not its square


def rows(values: "Tensor") -> "Tensor":
    """Numbers [N] or [N, ...] as [N, K]."""
    return values[:, None] if values.dim() == 1 else values.flatten(1)


def _differences(outputs: "Tensor", targets: "Tensor", scales: tuple[float, ...]) -> "Tensor":
    """How far outputs are off, in the units that targets had before they were standardised: [N, K]."""
    found = rows(outputs).double() - rows(targets).double()
    return found * found.new_tensor(scales) if scales else found


def _squares(outputs: "Tensor", targets: "Tensor", scales: tuple[float, ...] = ()) -> "Tensor":
    return _differences(outputs, targets, scales).square().mean(dim=1)


def _squares_of_each(outputs: "Tensor", targets: "Tensor", scales: tuple[float, ...] = ()) -> "Tensor":
    return _differences(outputs, targets, scales).square()


def _distances(outputs: "Tensor", targets: "Tensor", scales: tuple[float, ...] = ()) -> "Tensor":
    return _differences(outputs, targets, scales).abs().mean(dim=1)


def _squares_and_targets(outputs: "Tensor", targets: "Tensor") -> "Tensor":
    """For each sample and target: the squared error, the target and its square, [N, 3 * K]."""
    own, wanted = rows(outputs).double(), rows(targets).double()
    columns: Any = [(own - wanted).square(), wanted, wanted.square()]
    filled: Tensor = columns[0].new_empty(len(wanted), 3 * wanted.shape[1])
    for number, column in enumerate(columns):
        filled[:, number :: len(columns)] = column
    return filled


def _explained(sums: Sequence[float], samples: int) -> float:
    """1 less the squared errors over the targets' own spread, on average over targets that vary."""
    found = []
    for error, total, squares in zip(sums[0::3], sums[1::3], sums[2::3], strict=True):
        spread = squares - total * total / samples
        if spread > 0:
            found.append(1 - error / spread)
    return sum(found) / len(found) if found else 0.0


def _roots(sums: Sequence[float], samples: int) -> float:
    """The root of the mean squared error of each target, on average over targets."""
    return sum(sqrt(total / samples) for total in sums) / len(sums)


def _squared_error(outputs: "Tensor", targets: "Tensor") -> "Tensor":
    return (rows(outputs) - rows(targets)).square().mean(dim=1)


def _absolute_error(outputs: "Tensor", targets: "Tensor") -> "Tensor":
    return (rows(outputs) - rows(targets)).abs().mean(dim=1)


def _huber(outputs: "Tensor", targets: "Tensor") -> "Tensor":
    """Half the square of small errors, the size of large ones less a half (Huber 1964)."""
    off = (rows(outputs) - rows(targets)).abs()
    near = off.clamp(max=HUBER_DELTA)
    return (near * (off - near / 2)).mean(dim=1)


LOSSES: dict[str, tuple[str, OfSamples]] = {
    "mse": (SQUARED_ERROR, _squared_error),
    "mae": ("mean absolute error", _absolute_error),
    "huber": ("Huber loss", _huber),
}


def _in_double(loss: OfSamples, outputs: "Tensor", targets: "Tensor") -> "Tensor":
    return loss(outputs.double(), targets.double())


@cache
def _metrics(scales: tuple[float, ...], trained_by: str) -> tuple[SampleMetric, ...]:
    scaled: Any = partial(partial, scales=scales) if scales else lambda function: function
    name, loss = LOSSES[trained_by]
    return (
        SampleMetric("mse", SQUARED_ERROR, "minimize", scaled(_squares), best=(0.0,)),
        SampleMetric(LOSS, name, "minimize", partial(_in_double, loss), best=(0.0,)),
        SampleMetric("mae", "mean absolute error", "minimize", scaled(_distances), best=(0.0,)),
        SampleMetric(
            "r2",
            "share of the targets' variance that is explained, on average over targets",
            "maximize",
            _squares_and_targets,
            _explained,
            chance=lambda _outputs: 0.0,
        ),
        SampleMetric("rmse", "root of the mean squared error", "minimize", scaled(_squares_of_each), _roots),
    )


@dataclass(frozen=True, slots=True)
class Regression:
    """Targets are real numbers [N] or [N, K]; outputs [N, K], or [N] where there is one.

    ``scales`` are what standardised targets were divided by: metrics are in the units before, the loss is
    not. ``trained_by`` names the loss.
    """

    scales: tuple[float, ...] = ()
    trained_by: str = "mse"

    words: ClassVar = Words("regression", "target", "targets", "the targets are real numbers")

    @property
    def metrics(self) -> tuple[SampleMetric, ...]:
        """What is measured; the first leads."""
        return _metrics(self.scales, self.trained_by)

    def loss(self, ending: Ending) -> Loss:
        """The squared error, unless another loss was asked for."""
        warning = None
        if ending.kind in WARNED:
            warning = (
                f"ends in {ending.kind}{ending.where}, which bounds its outputs: targets elsewhere "
                "cannot be met; return the numbers before it"
            )
        name, of_samples = LOSSES[self.trained_by]
        return Loss(name, of_samples, warning, taught=_distance_to_teacher)

    def check(
        self,
        targets: NDArray[Any],
        names: Sequence[str] | None = None,
        *,
        outputs: "Tensor | None" = None,
        teaches: bool = False,
    ) -> tuple[str, ...]:
        """Finite real numbers, which differ where something is to be learned; as many outputs as targets.

        Raises:
            DataError: they are none, or there are more or fewer names or outputs.
        """
        if targets.ndim not in (1, 2) or 0 in targets.shape:
            raise DataError(
                f"the targets have shape {targets.shape}; expected [N], or [N, K] for several each"
            )
        if not np.issubdtype(targets.dtype, np.floating):
            raise DataError(
                f"the targets are {targets.dtype}; a regression has real numbers: targets.astype('float32')"
            )
        if not np.isfinite(targets).all():
            raise DataError("the targets hold NaN or infinity")
        if _are_one_hot(targets):
            raise DataError(
                "the targets are rows of zeros with a single one, as of classes: classes.argmax(axis=1) "
                "numbers them"
            )
        if teaches and (targets == targets[:1]).all():
            raise DataError(f"all {len(targets):,} samples have the same targets; there is nothing to learn")
        columns = 1 if targets.ndim == 1 else targets.shape[1]
        if names is None:
            names = ("target",) if columns == 1 else tuple(f"target_{number}" for number in range(columns))
        if len(names) != columns:
            raise DataError(f"{columns} targets for each sample, but {len(names)} output_names")
        if outputs is not None and tuple(outputs.shape) not in _fitting(len(targets), columns):
            raise DataError(
                f"it gives outputs of shape {tuple(outputs.shape)}; needed is one number for each target: "
                f"{(len(targets), columns)}"
            )
        return tuple(names)


REGRESSION = Regression()


def _distance_to_teacher(outputs: "Tensor", teacher: "Tensor", _temperature: float) -> "Tensor":
    return _squared_error(outputs, teacher)


def _are_one_hot(targets: NDArray[Any]) -> bool:
    if targets.ndim == 1 or targets.shape[1] == 1:
        return False
    return bool((((targets == 0) | (targets == 1)).all(axis=1) & (targets.sum(axis=1) == 1)).all())


def _fitting(samples: int, columns: int) -> tuple[tuple[int, ...], ...]:
    return ((samples, 1), (samples,)) if columns == 1 else ((samples, columns),)
