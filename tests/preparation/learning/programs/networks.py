"""Small networks of the kinds that are learned as they are, and data for them."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from narrower.data.parts import DataSet, Part
from narrower.graph.lower import lower
from narrower.graph.program import Program
from narrower.graph.trace import trace


class Convolutional(nn.Module):
    """A residual block with depthwise and pointwise convolutions, some without bias."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 4, 3, padding=1, bias=False)
        self.depth = nn.Conv2d(4, 4, 3, padding=1, groups=4, bias=False)
        self.point = nn.Conv2d(4, 4, 1)
        self.head = nn.Linear(4, 3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x).relu()
        x = (x + self.point(self.depth(x).relu())).relu()
        y: Tensor = self.head(x.mean((2, 3)))
        return y


class Attending(nn.Module):
    """One block of attention over rows, with a norm and a residual addition."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.place = nn.Linear(4, 8), nn.Parameter(torch.randn(4, 8) / 4)
        self.norm, self.mixed, self.out = nn.LayerNorm(8), nn.Linear(8, 24), nn.Linear(8, 8)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x[:, 0]) + self.place
        q, k, v = self.mixed(self.norm(x)).view(-1, 4, 3, 2, 4).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(-1, 4, 8)
        z: Tensor = self.head((x + self.out(y)).mean(1))
        return z


def images(count: int = 600) -> DataSet:
    """Noise in which one of three corners is brighter."""
    chance = torch.Generator().manual_seed(0)
    classes = torch.arange(count) % 3
    inputs = torch.randn(count, 1, 4, 4, generator=chance)
    for number, (row, column) in enumerate(((0, 0), (0, 2), (2, 0))):
        inputs[classes == number, :, row : row + 2, column : column + 2] += 3
    cuts = (slice(0, count * 2 // 3), slice(count * 2 // 3, count * 5 // 6), slice(count * 5 // 6, count))
    return DataSet("corners", *(Part(inputs[some], classes[some]) for some in cuts), ("a", "b", "c"))


def lowered(kind: type[nn.Module]) -> tuple[nn.Module, Program]:
    torch.manual_seed(0)
    model = kind().eval()
    return model, lower(trace(model, images(60).examples[0]))
