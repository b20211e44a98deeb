"""How sparse fixed point rounds: what is small becomes zero, the rest is rounded."""

import torch
from torch import Tensor
from torch.nn import functional as F

from narrower.plan.formats.sparse import Sparse
from narrower.transform.quantizers.fixed import FixedQuantizer

_VALUES = FixedQuantizer()


class SparseQuantizer:
    """Of equal sizes the first is kept; NaN is kept. The gradient passes where nothing saturates.

    It passes to what is zero as well, which so can come back (Zhou et al. 2021).
    """

    def round(self, x: Tensor, number_format: Sparse) -> Tensor:
        return torch.where(mask(x, number_format), _VALUES.round(x, number_format.values), 0.0).to(x.dtype)

    def round_to_steps(self, x: Tensor, number_format: Sparse, out: Tensor) -> None:
        _VALUES.round_to_steps(x, number_format.values, out)
        out.mul_(mask(x, number_format))

    def passes_gradient(self, x: Tensor, number_format: Sparse) -> Tensor:
        return _VALUES.passes_gradient(x, number_format.values)


def mask(x: Tensor, number_format: Sparse) -> Tensor:
    """Which numbers are not made zero."""
    sizes = torch.where(x.isnan(), float("inf"), x.abs().double())
    if not number_format.group or x.dim() == 0:
        return _largest(sizes.flatten()[None], number_format.kept(tuple(x.shape))).view(x.shape)
    axis = number_format.axis if -x.dim() <= number_format.axis < x.dim() else -1
    last = sizes.movedim(axis, -1)
    length, group = last.shape[-1], number_format.group
    # What fills up the last group is smaller than anything.
    filled = F.pad(last, (0, -length % group), value=-1.0)
    kept = _largest(filled.reshape(-1, group), number_format.kept_of_group)
    return kept.view(filled.shape)[..., :length].movedim(-1, axis)


def _largest(sizes: Tensor, count: int) -> Tensor:
    """The ``count`` largest of each row [R, N]."""
    order = sizes.argsort(dim=1, descending=True, stable=True)
    found = torch.zeros_like(sizes, dtype=torch.bool)
    return found.scatter_(1, order[:, :count], True)
