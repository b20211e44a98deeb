"""Very small networks for samples of any size."""

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


class ToySegmenter(nn.Module):
    """Three convolutions: [N, channels, height, width] -> [N, classes, height, width]."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.seq_blocks = nn.Sequential(
            nn.Conv2d(sizes.sample[0], 8, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(8, 8, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(8, sizes.classes, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.seq_blocks(x)
        return output


class ToyWords(nn.Module):
    """A score of each next token by the one before it: [N, places] -> [N, places, tokens]."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.embedding = nn.Embedding(sizes.classes, 16)
        self.seq_blocks = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, sizes.classes))

    def forward(self, tokens: Tensor) -> Tensor:
        output: Tensor = self.seq_blocks(self.embedding(tokens))
        return output
