"""The networks of the MLPerf Tiny benchmark in any width: keyword spotting, anomaly detection, images."""

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F


class KeywordNetwork(nn.Module):
    """A DS-CNN (Zhang et al. 2017): [N, 1, 49, 10] -> [N, 12], a stem and blocks that are separable."""

    def __init__(self, channels: int = 64, blocks: int = 4, classes: int = 12) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(1, channels, (10, 4), stride=2, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Dropout(0.2),
        )
        self.blocks = nn.Sequential(*(_separable(channels) for _ in range(blocks)))
        self.dropout, self.pool = nn.Dropout(0.4), nn.AvgPool2d((25, 5))
        self.head = nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        # "same" at stride 2: the odd row and column of zeros come last.
        x = self.blocks(self.stem(F.pad(x, (1, 1, 4, 5))))
        return self.head(self.pool(self.dropout(x)).flatten(1))


def _separable(channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
        nn.Conv2d(channels, channels, 1, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
    )


def autoencoder(inputs: int = 640, hidden: int = 128, code: int = 8) -> nn.Sequential:
    """[N, inputs] -> [N, inputs]: four layers to a code, and four back."""
    sizes = [inputs, *[hidden] * 4, code, *[hidden] * 4]
    layers: list[nn.Module] = []
    for before, after in pairwise(sizes):
        layers += [nn.Linear(before, after), nn.BatchNorm1d(after), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(hidden, inputs))


class ResNet8(nn.Module):
    """[N, 3, S, S] -> [N, 10]: three residual blocks, the second and third of half the size."""

    def __init__(self, channels: int = 16, size: int = 32) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, channels, 3, padding=1), nn.BatchNorm2d(channels), nn.ReLU())
        self.blocks = nn.ModuleList(
            _Block(before * channels, after * channels) for before, after in ((1, 1), (1, 2), (2, 4))
        )
        self.pool = nn.AvgPool2d(size // 4)
        self.head = nn.Linear(4 * channels, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.head(self.pool(x).flatten(1))


class _Block(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        stride = outputs // inputs
        self.first = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1), nn.BatchNorm2d(outputs), nn.ReLU()
        )
        self.second = nn.Sequential(nn.Conv2d(outputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs))
        self.around = nn.Identity() if stride == 1 else nn.Conv2d(inputs, outputs, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.around(x) + self.second(self.first(x)))
