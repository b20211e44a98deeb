"""Adam on flat vectors, without the bookkeeping of an optimizer object."""

import torch
from torch import Tensor

BETAS = (0.9, 0.999)
EPSILON = 1e-7


class Adam:
    """The state of one vector (Kingma and Ba, 2015); all its numbers learn at one rate."""

    def __init__(self, vector: Tensor, gradient: Tensor) -> None:
        self._vector, self._gradient = vector, gradient
        self.mean, self.square = torch.zeros_like(vector), torch.zeros_like(vector)
        self.count = torch.zeros(())

    @property
    def state(self) -> tuple[Tensor, Tensor, Tensor]:
        """Its tensors, which may be written to: means, squares, and the number of steps."""
        return self.mean, self.square, self.count

    def step(self, rate: float) -> None:
        """Move the vector against its gradient, in place."""
        torch._fused_adam_(
            [self._vector],
            [self._gradient],
            [self.mean],
            [self.square],
            [],
            [self.count.add_(1)],
            amsgrad=False,
            lr=rate,
            beta1=BETAS[0],
            beta2=BETAS[1],
            weight_decay=0.0,
            eps=EPSILON,
            maximize=False,
        )
