"""Small networks whose tensors are read several times, added and joined."""

import torch
from torch import Tensor, nn


class Residual(nn.Module):
    """[N, 3, 8, 8] -> [N, 5]: a convolution, a residual block, a global average and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.relu = nn.ReLU()
        self.second = nn.Conv2d(8, 8, 3, padding=1)
        self.third = nn.Conv2d(8, 8, 3, padding=1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.first(x))
        z = self.third(self.relu(self.second(y)))
        scores: Tensor = self.fc(self.pool(self.relu(z + y)).flatten(1))
        return scores


class Joined(nn.Module):
    """[N, 3, 8, 8] -> [N, 5]: two branches that are concatenated, and max pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.left = nn.Conv2d(3, 4, 3, padding=1)
        self.right = nn.Conv2d(3, 4, 1)
        self.pool = nn.MaxPool2d(2)
        self.last = nn.Conv2d(8, 8, 3)
        self.fc = nn.Linear(8 * 2 * 2, 5)

    def forward(self, x: Tensor) -> Tensor:
        joined = torch.cat([torch.relu(self.left(x)), self.right(x)], 1)
        scores: Tensor = self.fc(torch.relu(self.last(self.pool(joined))).flatten(1))
        return scores


class Mobile(nn.Module):
    """[N, 3, 8, 8] -> [N, 5]: an inverted residual block with a depthwise convolution and ReLU6."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU6())
        self.block = nn.Sequential(
            nn.Conv2d(8, 24, 1, bias=False),
            nn.BatchNorm2d(24),
            nn.ReLU6(),
            nn.Conv2d(24, 24, 3, padding=1, groups=24, bias=False),
            nn.BatchNorm2d(24),
            nn.ReLU6(),
            nn.Conv2d(24, 8, 1, bias=False),
            nn.BatchNorm2d(8),
        )
        self.fc = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(x)
        scores: Tensor = self.fc((y + self.block(y)).mean((2, 3)))
        return scores


def chain() -> nn.Module:
    """[N, 6] -> [N, 4]."""
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 4))
