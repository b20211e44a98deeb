"""What the outputs of an autoencoder mean: they should be its inputs."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from narrower.errors import DataError
from narrower.tasks.regression.task import REGRESSION
from narrower.tasks.task import Ending, Loss, SampleMetric, Words

if TYPE_CHECKING:
    from torch import Tensor

KEPT = ("mse", "loss", "mae", "rmse")


class Reconstruction:
    """Targets [N, ...] are the inputs; outputs have their shape, or its values in a row."""

    words = Words("reconstruction", "value", "values", "a model is to give its inputs back")
    metrics: tuple[SampleMetric, ...] = tuple(m for m in REGRESSION.metrics if m.name in KEPT)

    def loss(self, ending: Ending) -> Loss:
        """The squared error."""
        return REGRESSION.loss(ending)

    def check(
        self,
        targets: NDArray[Any],
        names: Sequence[str] | None = None,
        *,
        outputs: "Tensor | None" = None,
        teaches: bool = False,
    ) -> tuple[str, ...]:
        """Real numbers; as many outputs.

        Raises:
            DataError: they are something else.
        """
        rows = targets.reshape(len(targets), -1) if len(targets) else targets
        if rows.dtype.kind != "f":
            raise DataError(f"the inputs are {rows.dtype}; what is given back must be real numbers")
        if teaches and (rows == rows[:1]).all():
            raise DataError(f"all {len(rows):,} samples are the same; there is nothing to learn")
        if names is None:
            names = tuple(f"value_{number}" for number in range(rows.shape[1]))
        if outputs is not None and tuple(outputs.flatten(1).shape) != rows.shape:
            raise DataError(
                f"it gives outputs of shape {tuple(outputs.shape)}; needed is the shape of the inputs: "
                f"{targets.shape}"
            )
        return tuple(names)


RECONSTRUCTION = Reconstruction()
