"""Very small networks for samples of any shape, which are flattened."""

from math import prod

from torch import Tensor, nn

from narrower.data.sizes import Sizes


class Toy(nn.Module):
    """Two hidden layers of 8: [N, ...] -> [N, classes]."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.seq_blocks = nn.Sequential(
            nn.Linear(prod(sizes.sample), 8),
            nn.ReLU(),
            nn.Linear(8, 8),
            nn.ReLU(),
            nn.Linear(8, sizes.classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.seq_blocks(x.flatten(1))
        return output


class ToyTiny(nn.Module):
    """One hidden layer of 2: [N, ...] -> [N, classes]."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.l1, self.relu_1 = nn.Linear(prod(sizes.sample), 2), nn.ReLU()
        self.l2, self.relu_2 = nn.Linear(2, sizes.classes), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.relu_2(self.l2(self.relu_1(self.l1(x.flatten(1)))))
        return output
