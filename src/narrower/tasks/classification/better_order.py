"""Whether another order of its classes suits what a trained model gives far better.

The confusion of classes is compared with its best assignment. A network that was never trained confuses
classes as well, and some order suits it better than others; but its outputs are far from the best that they
could be. So an order counts only where, with it, outputs tell most of what could be known from them.
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

# Of the samples whose class has another place in the better order:
FAR_BETTER = 0.2  # so much more of them are right there
DEVIATIONS = 6.0  # the difference in standard deviations of a paired comparison
# The share of what could be known from outputs that they tell. One of two orders suits half of all networks.
LEAST_SHARE, LEAST_SHARE_OF_TWO = 0.7, 0.8


@dataclass(frozen=True, slots=True)
class BetterOrder:
    """Which output stands for each class, and how many of how many samples are right then and as it is."""

    output_of_class: tuple[int, ...]
    right: int
    right_as_it_is: int
    samples: int


def fits_as_it_is(outputs: Tensor, targets: Tensor, classes: int) -> bool:
    """Whether no other order gets more of the samples right."""
    counts = _counts(outputs, targets, classes)
    if counts.shape[1] >= classes and not _gains_in_a_cycle(counts):
        return True
    return not _assigned(counts)[1]


def better_order(outputs: Tensor, targets: Tensor, classes: int) -> BetterOrder | None:
    """The order in which outputs [N, M] fit classes far better than as they are, where there is one."""
    counts = _counts(outputs, targets, classes)
    assigned, moved = _assigned(counts)
    rows = np.array(moved, dtype=np.int64)
    as_found, as_it_is = int(counts[rows, assigned[rows]].sum()), int(counts[rows, rows].sum())
    if as_found - as_it_is < FAR_BETTER * int(counts[rows].sum()) or not moved:
        return None
    if (as_found - as_it_is) / sqrt(as_found + as_it_is) < DEVIATIONS:
        return None
    wanted = torch.from_numpy(assigned)[targets]
    least = LEAST_SHARE_OF_TWO if classes == 2 else LEAST_SHARE  # noqa: PLR2004
    if max(_share_of_squares(outputs, wanted), _share_of_information(outputs, wanted)) < least:
        return None
    right, right_as_it_is = int(counts[np.arange(classes), assigned].sum()), int(np.trace(counts))
    return BetterOrder(tuple(assigned.tolist()), right, right_as_it_is, len(targets))


def _counts(outputs: Tensor, targets: Tensor, classes: int) -> NDArray[np.int64]:
    """How often [classes, M] what is taken for what."""
    counts = np.zeros((classes, outputs.shape[1]), dtype=np.int64)
    np.add.at(counts, (targets.numpy(), outputs.argmax(dim=1).numpy()), 1)
    return counts


def _gains_in_a_cycle(counts: NDArray[np.int64]) -> bool:
    """Whether some classes can hand on their outputs in a circle so that more samples are right.

    Where none can, each class has the best output already. SciPy's assignment takes long to import; most
    models are as they should be, and this is all that they need (Floyd 1962, on gains).
    """
    outputs = counts.shape[1]
    gains = np.zeros((outputs, outputs), dtype=np.int64)  # outputs beyond the classes gain nothing
    gains[: len(counts)] = counts - counts.diagonal()[:, None]
    for via in range(outputs):
        np.maximum(gains, gains[:, via, None] + gains[via], out=gains)
        if (gains.diagonal() > 0).any():
            return True
    return False


def _assigned(counts: NDArray[np.int64]) -> tuple[NDArray[np.int64], tuple[int, ...]]:
    """The output that suits each class, and which classes move."""
    from scipy.optimize import linear_sum_assignment  # takes long to import

    classes = len(counts)
    stay = np.eye(*counts.shape) / (2 * classes)  # of equally good assignments the one that changes less
    _, assigned = linear_sum_assignment(counts + stay, maximize=True)
    return assigned, tuple(int(c) for c in np.flatnonzero(assigned != np.arange(classes)))


def _share_of_squares(outputs: Tensor, wanted: Tensor) -> float:
    """How much of what outputs tell linearly about the classes they tell as shares of one."""
    shares = F.one_hot(wanted, outputs.shape[1]).double()
    design = torch.cat([outputs, torch.ones(len(outputs), 1, dtype=torch.float64)], dim=1)
    best = design @ torch.linalg.lstsq(design, shares, driver="gelsd").solution
    nothing = (shares - shares.mean(dim=0)).square().sum()
    told, could = nothing - (shares - outputs).square().sum(), nothing - (shares - best).square().sum()
    return float(told / could) if could > 0 else 0.0


def _share_of_information(outputs: Tensor, wanted: Tensor) -> float:
    """How much of what outputs tell about the classes, read by the best linear map, they tell as scores.

    Scores may be too large, as those of an overfitted network are, but not too small.
    """
    nothing = float(F.cross_entropy(_frequencies(wanted, outputs.shape[1]).expand_as(outputs), wanted))
    own = min(float(F.cross_entropy(outputs / 2**halvings, wanted)) for halvings in range(7))
    could = nothing - _best_cross_entropy(outputs, wanted)
    return (nothing - own) / could if could > 0 else 0.0


def _frequencies(wanted: Tensor, outputs: int) -> Tensor:
    """The scores of a model that knows only how frequent classes are."""
    return (torch.bincount(wanted, minlength=outputs).double() / len(wanted)).clamp(min=1e-12).log()


def _best_cross_entropy(outputs: Tensor, wanted: Tensor) -> float:
    """The cross entropy of a logistic regression on the outputs."""
    deviation, mean = torch.std_mean(outputs, dim=0)
    inputs, width = (outputs - mean) / (deviation + 1e-12), outputs.shape[1]
    weight = torch.zeros(width, width, dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(width, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=60, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = F.cross_entropy(inputs @ weight + bias, wanted)
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    return float(loss().detach())
